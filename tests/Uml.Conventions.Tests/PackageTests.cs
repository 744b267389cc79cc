using System.Diagnostics;
using System.IO.Compression;
using System.Xml.Linq;

namespace Uml.Conventions.Tests;

/// <summary>What `dotnet pack` makes is fit to be published.</summary>
[TestFixture]
[CancelAfter(600_000)]
public sealed class PackageTests
{
    private string _output = null!;

    [OneTimeSetUp]
    public async Task PackAsync()
    {
        _output = Path.Combine(Path.GetTempPath(), "uml-pack-" + Path.GetRandomFileName());
        foreach (string library in Repository.Libraries)
        {
            await PackAsync(Path.Combine(Repository.Root, library));
        }
    }

    [OneTimeTearDown]
    public void CleanUp() => Directory.Delete(_output, recursive: true);

    [Test]
    public void There_are_five_packages_each_with_symbols()
    {
        IEnumerable<string> names = Directory.EnumerateFiles(_output).Select(path => Path.GetFileName(path)!);
        Assert.That(names, Is.EquivalentTo(Repository.Libraries.SelectMany(
            library => new[] { $"{library}.{Version(library)}.nupkg", $"{library}.{Version(library)}.snupkg" })));
    }

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
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
    }

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public void A_symbol_package_has_the_symbols(string library)
    {
        using ZipArchive package = ZipFile.OpenRead(Path.Combine(_output, $"{library}.{Version(library)}.snupkg"));
        Assert.That(package.Entries.Select(entry => entry.FullName), Does.Contain($"lib/net10.0/{library}.pdb"));
    }

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
        using Process pack = Process.Start(new ProcessStartInfo("dotnet", ["pack", "--no-build", "-c", configuration, "-o", _output, "-v", "q", project])
        {
            RedirectStandardOutput = true,
        })!;
        string output = await pack.StandardOutput.ReadToEndAsync();
        await pack.WaitForExitAsync();
        Assert.That(pack.ExitCode, Is.Zero, output);
    }
}
