using System.Text.RegularExpressions;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Hosting.Assets;
using Uml.Hosting.Testing;

namespace Uml.Guest.Tests;

/// <summary>Stock kernels boot to a shell.</summary>
[TestFixture]
[Category("Guest")]
public sealed class KernelTests
{
    [TestCase("linux-image-cloud-amd64/bookworm", "6.1.")]
    [TestCase("linux-image-cloud-amd64/bookworm-backports", "6.12.")]
    [TestCase("linux-image-amd64/bookworm", "6.1.")]
    public async Task A_stock_kernel_boots_to_a_shell_without_a_complaint(string package, string version)
    {
        KernelAsset kernel = await GuestAssets.GetKernelAsync(package);
        await using GuestMachine guest = await GuestMachine.BootToShellAsync(commandLine: "loglevel=7", kernel: kernel.ImagePath);
        GuestCommandResult release = await guest.Shell.RunAsync("uname -r", GuestMachine.Patience);
        Assert.That(release.ExitCode, Is.Zero);
        Assert.That(release.Output.Trim(), Is.EqualTo(kernel.Release).And.StartWith(version));
        GuestCommandResult warnings = await guest.Shell.RunAsync("dmesg -r | grep -E '^<[0-4]>'", GuestMachine.Patience);
        Assert.That(Unexpected(warnings.Output), Is.Empty);
        await guest.Console.WriteLineAsync("exit 3");
        MachineExit exit = await guest.Machine.WaitForExitAsync().WaitAsync(GuestMachine.Patience);
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, 3u)));
    }

    [TestCase(BootProtocol.BzImage64)]
    [TestCase(BootProtocol.BzImage32)]
    public async Task A_kernel_that_unpacks_itself_boots_to_a_shell(BootProtocol protocol)
    {
        await using GuestMachine guest = await GuestMachine.BootToShellAsync(machine => machine.ConfigureBoot(boot => boot.Protocol = protocol));
        Assert.That((await guest.Shell.RunAsync("uname -r", GuestMachine.Patience)).Output.Trim(), Is.EqualTo(GuestAssets.Kernel.Release));
    }

    private static IEnumerable<string> Unexpected(string messages) =>
        messages.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !Regex.IsMatch(line, "^<[0-4]>\\[ *[0-9.]+\\] *$"));
}
