using System.Runtime.InteropServices;

namespace Uml.Conventions.Tests;

/// <summary>A program with a machine can be published as a native executable.</summary>
[TestFixture]
public sealed class NativeProgramTests
{
    private const string Sample = "BootLinux";

    private static readonly string[] s_linkers = ["clang", "gcc"];

    private string _output = null!;

    [SetUp]
    public void MakeFolder() => _output = Directory.CreateTempSubdirectory("uml-native-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(_output, recursive: true);

    [Test]
    [CancelAfter(1_200_000)]
    public async Task A_sample_is_published_as_a_native_executable_that_runs(CancellationToken cancellationToken)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            Assert.Ignore("Native executables are made for Linux on x86-64 here.");
        }

        string[] folders = Environment.GetEnvironmentVariable("PATH")!.Split(':');
        if (!s_linkers.Any(linker => folders.Any(folder => File.Exists(Path.Combine(folder, linker)))))
        {
            Assert.Ignore("There is no linker: apt-get install clang, or gcc");
        }

        // Everything goes to the folder: what others build in the tree stays as it is.
        string project = Path.Combine(Repository.Root, "samples", Sample);
        string[] options = ["-r", "linux-x64", "-p:PublishAot=true", "--artifacts-path", _output];
        (int code, string output) = await Dotnet.TryRunAsync("dotnet", _output, ["restore", .. options, project], cancellationToken);
        if (code != 0 && output.Contains("ILCompiler", StringComparison.OrdinalIgnoreCase))
        {
            Assert.Ignore("The package Microsoft.DotNet.ILCompiler is in none of NuGet's sources here.");
        }

        Assert.That(code, Is.Zero, output);
        string program = Path.Combine(_output, "program", Sample);
        await Dotnet.RunAsync(
            _output, ["publish", "--no-restore", "-c", "Release", "-v", "q", "-m:1", .. options, "-p:RunAnalyzers=false", "-o", Path.Combine(_output, "program"), project], cancellationToken);
        Assert.That(File.Exists(program + ".dll"), Is.False);
        (code, output) = await Dotnet.TryRunAsync(program, _output, ["--help"], cancellationToken);
        Assert.That(code, Is.Zero, output);
        Assert.That(output, Does.Contain("--kernel").And.Contain("linux-image-cloud-amd64"));
    }
}
