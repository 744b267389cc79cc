using System.Globalization;
using System.Text.RegularExpressions;
using Uml.Core.Machine;
using Uml.Hosting.Testing;

namespace Uml.Guest.Tests;

/// <summary>Kernels that are told to do without the I/O APIC, the local APIC or ACPI take the 8259 pair and the 8254.</summary>
[TestFixture]
[Category("Guest")]
public sealed class LegacyInterruptTests
{
    private static readonly string[] Arguments = ["noapic", "nosmp", "maxcpus=0", "nolapic", "acpi=off", "noapic acpi=off", "nolapic acpi=off"];

    [TestCaseSource(nameof(Arguments))]
    public async Task User_space_writes_reads_sleeps_and_switches_off(string arguments)
    {
        await using GuestMachine guest = await GuestMachine.BootToShellAsync(commandLine: "quiet loglevel=1 " + arguments);
        Assert.That((await RunAsync(guest, "echo here")).Output, Is.EqualTo("here\n"));
        string interrupts = (await RunAsync(guest, "cat /proc/interrupts")).Output;
        Assert.That(interrupts, Does.Match(@"4: +[1-9][0-9]* +XT-PIC +ttyS0"));
        Assert.That(interrupts, Does.Not.Contain("IO-APIC"));
        Assert.That(interrupts, Does.Match("ERR: +0\n"));
        await RunAsync(guest, "sleep 0.3");
        string after = (await RunAsync(guest, "cat /proc/interrupts")).Output;
        Assert.That(CountTicks(after), Is.GreaterThan(CountTicks(interrupts)), "something ticks: interrupt 0 or the local timer");
        if (arguments.Contains("nolapic", StringComparison.Ordinal))
        {
            Assert.That(after, Does.Match(@" 0: +[1-9][0-9]* +XT-PIC +timer"));
        }

        Assert.That(Unexpected((await RunAsync(guest, "dmesg -r | grep -E '^<[0-4]>'")).Output), Is.Empty);
        await guest.Console.WriteLineAsync("poweroff -f");
        MachineExit exit = await guest.Machine.WaitForExitAsync().WaitAsync(GuestMachine.Patience);

        // Without ACPI the kernel knows of nothing to switch off: it halts for good.
        Assert.That(exit.Reason, Is.EqualTo(arguments.Contains("acpi=off", StringComparison.Ordinal) ? MachineExitReason.Halted : MachineExitReason.PowerOff));
    }

    [TestCase("nolapic")]
    [TestCase("acpi=off")]
    public async Task Virtual_time_runs_by_the_8254_too(string arguments)
    {
        (MachineExit exit, string output, ulong instructions) first = await RunVirtualAsync(arguments);
        (MachineExit exit, string output, ulong instructions) second = await RunVirtualAsync(arguments);
        Assert.That(first.exit.Reason, Is.EqualTo(MachineExitReason.DebugExit));
        Assert.That(first.output, Does.Contain("later"));
        Assert.That((second.output, second.instructions), Is.EqualTo((first.output, first.instructions)));
    }

    [Test]
    public async Task The_clocks_alarm_wakes_a_program_that_waits_for_it()
    {
        await using GuestMachine guest = await GuestMachine.BootToShellAsync();
        string alarm = (await RunAsync(
            guest, "echo +2 > /sys/class/rtc/rtc0/wakealarm; cat /sys/class/rtc/rtc0/wakealarm; sleep 4; cat /sys/class/rtc/rtc0/wakealarm; grep rtc0 /proc/interrupts")).Output;
        Assert.That(alarm, Does.Match(@"^[0-9]+\n *8: +[1-9]"), "the alarm is gone, and it interrupted");
    }

    private static Task<GuestCommandResult> RunAsync(GuestMachine guest, string command) => guest.Shell.RunAsync(command, GuestMachine.Patience);

    private static Task<(MachineExit Exit, string Output, ulong Instructions)> RunVirtualAsync(string arguments) => GuestMachine.RunAsync(
        "sleep 600; echo later; head -8 /proc/interrupts",
        builder => builder.Configure(options => options.ClockMode = ClockMode.Virtual),
        "quiet loglevel=1 " + arguments);

    private static long CountTicks(string interrupts) => Regex.Matches(interrupts, "^ *(0|LOC): +([0-9]+)", RegexOptions.Multiline)
        .Sum(match => long.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture));

    // What the kernel says of these arguments on any machine, and of hosts that were busy.
    private static IEnumerable<string> Unexpected(string messages) => messages.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line =>
        !line.Contains("MPS support code is not built-in", StringComparison.Ordinal)
        && !line.Contains("boot CPU (#0) not listed by the BIOS", StringComparison.Ordinal)
        && !line.Contains("ACPI: setting ELCR to ", StringComparison.Ordinal)
        && !line.Contains("hrtimer: interrupt took ", StringComparison.Ordinal));
}
