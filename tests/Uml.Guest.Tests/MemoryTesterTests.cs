using System.Diagnostics;
using System.Text.RegularExpressions;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Hosting;
using Uml.Storage.Images;

namespace Uml.Guest.Tests;

/// <summary>memtest86+: a bzImage that is no Linux. It measures time with the 8254.</summary>
[TestFixture]
[Category("Guest")]
public sealed class MemoryTesterTests
{
    private const string Package = "memtest86+";

    private string _directory = "";

    [OneTimeSetUp]
    public async Task FetchAsync()
    {
        _directory = Directory.CreateTempSubdirectory("uml-").FullName;
        GuestAssets.RequireApt();
        var start = new ProcessStartInfo("apt-get", ["-q", "download", Package]) { WorkingDirectory = _directory, RedirectStandardError = true, RedirectStandardOutput = true };
        using Process apt = Process.Start(start)!;
        string output = await apt.StandardOutput.ReadToEndAsync() + await apt.StandardError.ReadToEndAsync();
        await apt.WaitForExitAsync();
        if (apt.ExitCode != 0)
        {
            Assert.Ignore($"apt has no lists that tell of {Package}; run apt-get update. {output}");
        }

        using DebianPackage package = DebianPackage.Open(Directory.GetFiles(_directory, "*.deb").Single());
        package.Extract(_directory, path => path.StartsWith("boot/", StringComparison.Ordinal));
    }

    [OneTimeTearDown]
    public void Remove() => Directory.Delete(_directory, recursive: true);

    [TestCase("memtest86+x64.bin")]
    [TestCase("memtest86+ia32.bin")]
    public async Task A_kernel_that_is_no_Linux_runs(string image)
    {
        var console = new InMemoryConsoleChannel();
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options => options.MemorySize = 16 << 20)
            .UseKernel(BootFile.FromPath(Path.Combine(_directory, "boot", image)), null, "console=ttyS0,115200")
            .AddConsole(console)
            .Build();
        await machine.StartAsync();

        // It is through with the walking ones and own addresses. It does not show every test that it runs.
        await console.ExpectAsync(new Regex("#([3-9]|1[0-9])"), GuestMachine.Patience);
        Assert.That(console.Transcript, Does.Contain("16MB").And.Contain("Errors: 0").And.Not.Match("Errors: *[1-9]"));
    }
}
