using System.Diagnostics;
using Uml.Core.Machine;

namespace Uml.Guest.Tests;

/// <summary>Time that advances with instructions.</summary>
[TestFixture]
[Category("Guest")]
public sealed class VirtualTimeTests
{
    private const string Command = "date +%F; uptime | cut -c1-9; sleep 3600; uptime | cut -c1-9; head -c 8 /dev/urandom | od -An -tx1; cat /proc/interrupts | head -20";

    [Test]
    public async Task Two_runs_are_the_same_to_the_instruction_and_an_hour_passes_at_once()
    {
        (MachineExit exit, string output, ulong instructions) first = await RunAsync();
        var watch = Stopwatch.StartNew();
        (MachineExit exit, string output, ulong instructions) second = await RunAsync();
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromMinutes(10)));
        Assert.That(second.output, Is.EqualTo(first.output));
        Assert.That(second.instructions, Is.EqualTo(first.instructions));
        Assert.That(first.exit.Reason, Is.EqualTo(MachineExitReason.DebugExit));
        string[] lines = first.output.Split('\n');
        Assert.That(lines[0], Is.EqualTo("2000-01-01"));
        Assert.That(lines[1], Does.StartWith(" 00:00:0"));
        Assert.That(lines[2], Does.StartWith(" 01:00:0"));
    }

    private static Task<(MachineExit Exit, string Output, ulong Instructions)> RunAsync() =>
        GuestMachine.RunAsync(Command, builder => builder.Configure(options => options.ClockMode = ClockMode.Virtual));
}
