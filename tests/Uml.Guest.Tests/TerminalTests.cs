using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Hosting.Images;

namespace Uml.Guest.Tests;

/// <summary>The guest's terminal under a command: signals from the keyboard, and the terminal's size.</summary>
[TestFixture]
[Category("Guest")]
public sealed class TerminalTests
{
    private static readonly TimeSpan InterruptPatience = TimeSpan.FromMinutes(1);

    [Test]
    public async Task Ctrl_C_interrupts_the_command_and_is_its_status()
    {
        await using GuestMachine guest = await GuestMachine.CreateAsync(new BusyBoxImageOptions { Command = "echo here; sleep 1000" });
        await guest.Machine.StartAsync();
        await guest.Console.ExpectAsync("here", GuestMachine.Patience);
        await guest.Console.WriteAsync(new byte[] { 3 });
        MachineExit exit = await guest.Machine.WaitForExitAsync().WaitAsync(GuestMachine.Patience);
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, 130u)), guest.Console.Transcript);
    }

    [Test]
    public async Task The_terminals_size_follows_the_control_port()
    {
        var control = new InMemoryConsoleChannel();
        await using GuestMachine guest = await GuestMachine.CreateAsync(
            new BusyBoxImageOptions
            {
                ControlPort = "ttyS1",
                TerminalSize = (90, 20),
                Command = "trap 'stty size; exit 7' WINCH; stty size; while :; do sleep 0.1; done",
            },
            builder => builder.AddConsole(control, "ttyS1"));
        await guest.Machine.StartAsync();
        await control.ExpectAsync("ready\n", GuestMachine.Patience);
        await guest.Console.ExpectAsync("20 90\n", GuestMachine.Patience);
        await control.WriteLineAsync("100 30");
        await guest.Console.ExpectAsync("30 100\n", GuestMachine.Patience);
        Assert.That((await guest.Machine.WaitForExitAsync().WaitAsync(GuestMachine.Patience)).Status, Is.EqualTo(7));
    }

    [Test]
    public async Task Ctrl_C_that_waited_for_the_control_port_interrupts_the_command()
    {
        var control = new InMemoryConsoleChannel();
        await using GuestMachine guest = await GuestMachine.CreateAsync(
            new BusyBoxImageOptions { ControlPort = "ttyS1", Command = "sleep 1000" },
            builder => builder.AddConsole(control, "ttyS1"));
        await guest.Machine.StartAsync();
        await control.ExpectAsync("\n", GuestMachine.Patience);
        await guest.Console.WriteAsync(new byte[] { 3 });
        MachineExit exit = await guest.Machine.WaitForExitAsync().WaitAsync(InterruptPatience);
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, 130u)), guest.Console.Transcript);
    }

    [Test]
    public async Task A_kernel_without_a_driver_for_the_control_port_releases_input_all_the_same()
    {
        var control = new InMemoryConsoleChannel();
        await using GuestMachine guest = await GuestMachine.CreateAsync(
            new BusyBoxImageOptions { ControlPort = "ttyS1", Command = "ls /dev/ttyS*; read x; echo got $x" },
            builder => builder.AddConsole(control, "ttyS1"),
            "quiet loglevel=1 8250.nr_uarts=1");
        await guest.Machine.StartAsync();
        await control.ExpectAsync("\n", GuestMachine.Patience);
        await guest.Console.WriteLineAsync("typed");
        await guest.Machine.WaitForExitAsync().WaitAsync(GuestMachine.Patience);
        Assert.That(guest.Console.Transcript, Is.EqualTo("/dev/ttyS0\ngot typed\n"));
    }

    [Test]
    public async Task At_an_interactive_terminal_lines_end_in_CR_LF_and_input_is_echoed()
    {
        await using GuestMachine guest = await GuestMachine.CreateAsync(
            new BusyBoxImageOptions { Command = "echo ready; read x; echo got $x $TERM", IsInteractive = true, TerminalType = "xterm" });
        await guest.Machine.StartAsync();
        await guest.Console.ExpectAsync("ready\r\n", GuestMachine.Patience);
        await guest.Console.WriteLineAsync("typed");
        await guest.Console.ExpectAsync("typed\r\ngot typed xterm\r\n", GuestMachine.Patience);
    }

    [TestCase("xterm; reboot")]
    [TestCase("")]
    [TestCase("a\nb")]
    public void A_terminal_type_is_a_name(string type) => Assert.That(
        () => BusyBoxImage.CreateBuilder("/bin/sh", new BusyBoxImageOptions { TerminalType = type }),
        Throws.ArgumentException.With.Message.Contains("TerminalType"));
}
