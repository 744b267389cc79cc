using System.IO.Compression;
using System.Reflection;
using System.Xml.Linq;

namespace Uml.Conventions.Tests;

/// <summary>What `dotnet pack` makes is fit to be published.</summary>
[TestFixture]
[CancelAfter(600_000)]
public sealed class PackageTests
{
    private const string Setting = "System.Runtime.TieredCompilation.CallCountingDelayMs";
    private const string RepositoryUrl = "https://example.org/uml";

    /// <summary>A library is packed when it holds something.</summary>
    private static readonly string[] Packed = [.. Repository.Libraries.Where(library => Repository.Load(library).GetExportedTypes().Length > 0)];

    private string _output = null!;

    [OneTimeSetUp]
    public async Task PackAsync()
    {
        _output = Directory.CreateTempSubdirectory("uml-pack-").FullName;
        foreach (string library in Repository.Libraries)
        {
            await PackAsync(Path.Combine(Repository.Root, library));
        }
    }

    [OneTimeTearDown]
    public void CleanUp() => Directory.Delete(_output, recursive: true);

    [Test]
    public void Each_library_that_holds_something_is_a_package_with_symbols()
    {
        IEnumerable<string> names = Directory.EnumerateFiles(_output).Select(path => Path.GetFileName(path)!);
        Assert.That(names, Is.EquivalentTo(Packed.SelectMany(
            library => new[] { $"{library}.{Version(library)}.nupkg", $"{library}.{Version(library)}.snupkg" })));
    }

    [TestCaseSource(nameof(Packed))]
    public void A_package_depends_on_packages_that_there_are(string library)
    {
        using ZipArchive package = ZipFile.OpenRead(Path.Combine(_output, $"{library}.{Version(library)}.nupkg"));
        IEnumerable<string> own = ReadMetadata(package, library).Descendants().Where(element => element.Name.LocalName == "dependency")
            .Select(element => element.Attribute("id")!.Value).Where(id => id.StartsWith("Uml.", StringComparison.Ordinal));
        Assert.That(own, Is.SubsetOf(Packed));
    }

    [TestCaseSource(nameof(Packed))]
    public void A_package_brings_readme_license_and_documentation_and_no_native_code(string library)
    {
        using ZipArchive package = ZipFile.OpenRead(Path.Combine(_output, $"{library}.{Version(library)}.nupkg"));
        string[] files = [.. package.Entries.Select(entry => entry.FullName)];
        Assert.That(files, Does.Contain("README.md").And.Contain("LICENSE"));
        Assert.That(files, Does.Contain($"lib/net10.0/{library}.dll").And.Contain($"lib/net10.0/{library}.xml"));
        Assert.That(files.Where(file => file.StartsWith("runtimes/", StringComparison.Ordinal)), Is.Empty);
        XElement metadata = ReadMetadata(package, library);
        Assert.That(Get(metadata, "license"), Is.EqualTo("MIT"));
        Assert.That(Get(metadata, "readme"), Is.EqualTo("README.md"));
        Assert.That(Get(metadata, "description"), Has.Length.GreaterThan(20).And.Not.EqualTo("Package Description"));
        Assert.That(files, Does.Contain("CHANGELOG.md").And.Contain(Get(metadata, "icon")));
        Assert.That(Get(metadata, "releaseNotes"), Does.Contain("CHANGELOG.md"));
        Assert.That(Get(metadata, "projectUrl"), Is.EqualTo(RepositoryUrl));
        Assert.That(metadata.Elements().Single(element => element.Name.LocalName == "repository").Attribute("url")!.Value, Is.EqualTo(RepositoryUrl));
    }

    [Test]
    public void Programs_and_packages_have_one_version()
    {
        string tests = typeof(PackageTests).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        Assert.That(Packed.Select(Version), Is.All.EqualTo(tests), "what --version prints of a program is made as that of these tests");
    }

    [TestCaseSource(nameof(Packed))]
    public void A_symbol_package_has_the_symbols(string library)
    {
        using ZipArchive package = ZipFile.OpenRead(Path.Combine(_output, $"{library}.{Version(library)}.snupkg"));
        Assert.That(package.Entries.Select(entry => entry.FullName), Does.Contain($"lib/net10.0/{library}.pdb"));
    }

    /// <summary>An application of the packages, from a feed that is a folder, without anything from the network.</summary>
    [Test]
    public async Task An_application_of_the_package_gets_the_runtimes_setting_and_can_have_it_otherwise()
    {
        string application = Directory.CreateDirectory(Path.Combine(_output, "application")).FullName;
        string packages = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        await File.WriteAllTextAsync(Path.Combine(application, "nuget.config"), $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="{application}/packages" /></config>
              <packageSources><clear /><add key="packed" value="{_output}" /></packageSources>
              <fallbackPackageFolders><clear /><add key="fetched" value="{packages}" /></fallbackPackageFolders>
            </configuration>
            """);
        await File.WriteAllTextAsync(Path.Combine(application, "application.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
                <OutputType>Exe</OutputType>
                <UseAppHost>false</UseAppHost>
                <NuGetAudit>false</NuGetAudit>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="Uml.Hosting" Version="{Version("Uml.Hosting")}" />
                <RuntimeHostConfigurationOption Include="System.Runtime.TieredCompilation.CallCountingDelayMs" Value="7" Condition="'$(Own)' == 'true'" />
              </ItemGroup>
            </Project>
            """);
        await File.WriteAllTextAsync(
            Path.Combine(application, "Program.cs"), "System.Console.WriteLine(Uml.Hosting.UmlMachine.CreateDefaultBuilder().Services.Count > 0);");

        await Dotnet.RunAsync(application, ["build", "-v", "q", "-o", "out"]);
        Assert.That(await File.ReadAllTextAsync(Path.Combine(application, "out", "application.runtimeconfig.json")), Does.Contain($"\"{Setting}\": 0"));
        Assert.That(await Dotnet.RunAsync(application, ["out/application.dll"]), Is.EqualTo("True\n"));

        Assert.That(await GetSettingAsync(application, "-p:UmlCallCountingDelayMs=50"), Does.Contain("\"Value\": \"50\""));
        Assert.That(await GetSettingAsync(application, "-p:Own=true"), Does.Contain("\"Value\": \"7\"").And.Not.Contain("\"Value\": \"0\""));
        Assert.That(await GetSettingAsync(application, "-p:UmlCallCountingDelayMs=default"), Does.Not.Contain(Setting));
    }

    private static Task<string> GetSettingAsync(string application, string property) =>
        Dotnet.RunAsync(application, ["msbuild", "-getItem:RuntimeHostConfigurationOption", property]);

    private static XElement ReadMetadata(ZipArchive package, string library)
    {
        using Stream stream = package.GetEntry(library + ".nuspec")!.Open();
        return XDocument.Load(stream).Root!.Elements().Single(element => element.Name.LocalName == "metadata");
    }

    private static string? Get(XElement metadata, string name) => metadata.Elements().SingleOrDefault(element => element.Name.LocalName == name)?.Value;

    private static string Version(string library) => Repository.Load(library).GetName().Version!.ToString(3);

    /// <summary>Packs what the build of these tests has built already.</summary>
    private async Task PackAsync(string project)
    {
        string configuration = AppContext.BaseDirectory.Contains($"{Path.DirectorySeparatorChar}Release{Path.DirectorySeparatorChar}", StringComparison.Ordinal)
            ? "Release"
            : "Debug";
        await Dotnet.RunAsync(_output, ["pack", "--no-build", "-c", configuration, "-o", _output, "-v", "q", $"-p:RepositoryUrl={RepositoryUrl}", project]);
    }
}
