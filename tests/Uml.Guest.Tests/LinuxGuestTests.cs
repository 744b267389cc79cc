using Uml.Core;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Hosting;
using Uml.Hosting.Testing;

namespace Uml.Guest.Tests;

/// <summary>The one line that gives a machine.</summary>
[TestFixture]
[Category("Guest")]
[CancelAfter(600_000)]
public sealed class LinuxGuestTests
{
    [Test]
    public async Task One_line_starts_a_machine_that_takes_commands(CancellationToken token)
    {
        await using LinuxGuest guest = await UmlMachine.StartAsync("linux-image-cloud-amd64", cancellationToken: token);

        GuestCommandResult result = await guest.RunAsync("uname -s; exit 3", cancellationToken: token);
        Assert.That((result.ExitCode, result.Output), Is.EqualTo((3, "Linux\n")));
        await guest.Console.WriteLineAsync("exit 7", token);
        MachineExit exit = await guest.Machine.WaitForExitAsync(token);
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, 7u)));
    }

    [Test]
    public async Task The_machine_can_be_changed_before_it_starts(CancellationToken token)
    {
        IVirtualMachine machine;
        await using (LinuxGuest guest = await UmlMachine.StartAsync(
            GuestAssets.Kernel.ImagePath,
            builder => builder.Configure(options => options.MemorySize = 128 << 20).ConfigureBoot(boot => boot.CommandLine += " my.argument=1"),
            GuestAssets.Cache,
            token))
        {
            machine = guest.Machine;
            Assert.That((await guest.RunAsync("cat /proc/cmdline", cancellationToken: token)).Output, Does.Contain("cryptomgr.notests").And.EndsWith("my.argument=1\n"));
            Assert.That(machine.Memory.Size, Is.EqualTo(128UL << 20));
        }

        Assert.That(machine.State, Is.EqualTo(MachineState.Stopped));
    }

    [Test]
    public async Task A_guest_that_panics_is_shown(CancellationToken token)
    {
        ConsoleExpectException error = (await Assert.ThrowsAsync<ConsoleExpectException>(() => UmlMachine.StartAsync(
            GuestAssets.Kernel.ImagePath, builder => builder.ConfigureBoot(boot => boot.Initrd = null), GuestAssets.Cache, token)))!;

        Assert.That(error.Message, Does.Contain("VFS: Unable to mount root fs"));
    }

    [Test]
    public void A_kernel_that_is_not_there_is_named(CancellationToken token) => Assert.That(
        () => UmlMachine.StartAsync("/no/such/kernel", cancellationToken: token),
        Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("/no/such/kernel"));
}
