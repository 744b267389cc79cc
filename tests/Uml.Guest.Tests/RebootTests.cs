using Uml.Core.Machine;
using Uml.Hosting.Images;

namespace Uml.Guest.Tests;

/// <summary>A kernel that reboots, in a machine that is reset by it.</summary>
[TestFixture]
[Category("Guest")]
public sealed class RebootTests
{
    [Test]
    public async Task A_guest_that_reboots_comes_up_again_and_again()
    {
        await using GuestMachine guest = await GuestMachine.CreateAsync(
            new BusyBoxImageOptions { Command = "echo up with $(cat /proc/uptime); reboot -f" },
            builder => builder.Configure(machine => machine.OnReboot = RebootAction.Reset));
        await guest.Machine.StartAsync();
        for (int boot = 0; boot < 3; boot++)
        {
            await guest.Console.ExpectAsync("up with ", GuestMachine.Patience);
        }

        Assert.That(guest.Machine.State, Is.EqualTo(MachineState.Running));
        await guest.Machine.StopAsync();
    }

    [Test]
    public async Task A_panic_ends_the_machine_all_the_same()
    {
        await using GuestMachine guest = await GuestMachine.CreateAsync(
            new BusyBoxImageOptions { Command = "echo c > /proc/sysrq-trigger" },
            builder => builder.Configure(machine => machine.OnReboot = RebootAction.Reset));
        await guest.Machine.StartAsync();
        MachineExit exit = await guest.Machine.WaitForExitAsync().WaitAsync(GuestMachine.Patience);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.Panic), guest.Console.Transcript);
    }

    [Test]
    public async Task In_virtual_time_it_comes_up_again_too()
    {
        await using GuestMachine guest = await GuestMachine.CreateAsync(
            new BusyBoxImageOptions { Command = "echo up; reboot -f" },
            builder => builder.Configure(machine => (machine.OnReboot, machine.ClockMode) = (RebootAction.Reset, ClockMode.Virtual)));
        await guest.Machine.StartAsync();
        for (int boot = 0; boot < 2; boot++)
        {
            await guest.Console.ExpectAsync("up", GuestMachine.Patience);
        }
    }
}
