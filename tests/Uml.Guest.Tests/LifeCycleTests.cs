using System.Diagnostics;
using System.Globalization;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Hosting.Testing;

namespace Uml.Guest.Tests;

/// <summary>A running kernel, handled from outside.</summary>
[TestFixture]
[Category("Guest")]
public sealed class LifeCycleTests
{
    [Test]
    public async Task Two_machines_run_at_once_and_do_not_touch_each_other()
    {
        GuestMachine[] guests = await Task.WhenAll(BootAsync("one", 96), BootAsync("two", 192));
        await using GuestMachine one = guests[0], two = guests[1];
        await one.Shell.RunAsync("echo mine > /tmp/file", GuestMachine.Patience);
        Assert.That((await two.Shell.RunAsync("ls /tmp", GuestMachine.Patience)).Output, Is.Empty);
        Assert.That((await one.Shell.RunAsync("cat /tmp/file", GuestMachine.Patience)).Output, Is.EqualTo("mine\n"));
        Assert.That(await GetMemoryAsync(two), Is.GreaterThan(await GetMemoryAsync(one) + 90_000));
        await one.Machine.StopAsync();
        Assert.That((await two.Shell.RunAsync("echo alive", GuestMachine.Patience)).Output, Is.EqualTo("alive\n"));
    }

    [Test]
    public async Task A_paused_guest_misses_no_time_and_shows_its_registers()
    {
        await using GuestMachine guest = await GuestMachine.BootToShellAsync();
        double before = await GetUptimeAsync(guest);
        var watch = Stopwatch.StartNew();
        await guest.Machine.PauseAsync();
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(1)));
        ulong instructions = guest.Machine.InstructionsRetired;
        ProcessorRegisters registers = guest.Machine.Processors[0];
        Assert.That(registers.Cr0 >> 31, Is.EqualTo(1), "paging is on");
        Assert.That(registers.Efer & 0x400, Is.Not.Zero, "long mode is active");
        Assert.That(registers.Rip, Is.Not.Zero);
        await Task.Delay(3000);
        Assert.That(guest.Machine.InstructionsRetired, Is.EqualTo(instructions));
        watch.Restart();
        await guest.Machine.ResumeAsync();
        double after = await GetUptimeAsync(guest);
        Assert.That(after - before, Is.LessThan(2.9 + watch.Elapsed.TotalSeconds));
    }

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(3)]
    public async Task A_booting_kernel_stops_within_a_second(int seconds)
    {
        await using GuestMachine guest = await GuestMachine.CreateAsync();
        await guest.Machine.StartAsync();
        await Task.Delay(TimeSpan.FromSeconds(seconds));
        await StopAsync(guest);
    }

    [TestCase("while :; do :; done")]
    [TestCase("cat /dev/zero > /dev/null")]
    [TestCase("while :; do echo flood; done")]
    [TestCase("sleep 1000")]
    public async Task A_busy_guest_stops_within_a_second(string command)
    {
        await using GuestMachine guest = await GuestMachine.BootToShellAsync();
        await guest.Console.WriteLineAsync(command);
        await Task.Delay(500);
        await StopAsync(guest);
    }

    [Test]
    public async Task A_kernel_without_a_root_panics()
    {
        await using GuestMachine guest = await GuestMachine.CreateAsync(commandLine: "quiet rdinit=/nothing");
        await guest.Machine.StartAsync();
        MachineExit exit = await guest.Machine.WaitForExitAsync().WaitAsync(GuestMachine.Patience);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.Panic), guest.Console.Transcript);
        Assert.That(exit.Message, Does.Contain("Unable to mount root fs").Or.Contain("No working init"));
    }

    [Test]
    public async Task A_kernel_boots_in_80_MiB()
    {
        // 72 MiB is the least that has been seen to do; the margin is for the next kernel package.
        (MachineExit exit, string output, _) = await GuestMachine.RunAsync(
            "echo small", builder => builder.Configure(options => options.MemorySize = 80UL << 20));
        Assert.That((exit.Reason, output), Is.EqualTo((MachineExitReason.DebugExit, "small\n")));
    }

    private static Task<GuestMachine> BootAsync(string name, ulong megabytes) => GuestMachine.BootToShellAsync(
        builder => builder.Configure(options => (options.Name, options.MemorySize) = (name, megabytes << 20)));

    private static async Task StopAsync(GuestMachine guest)
    {
        var watch = Stopwatch.StartNew();
        await guest.Machine.StopAsync();
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(1)));
        Assert.That((await guest.Machine.WaitForExitAsync()).Reason, Is.EqualTo(MachineExitReason.HostStop));
    }

    private static async Task<long> GetMemoryAsync(GuestMachine guest)
    {
        GuestCommandResult result = await guest.Shell.RunAsync("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo", GuestMachine.Patience);
        return long.Parse(result.Output, CultureInfo.InvariantCulture);
    }

    private static async Task<double> GetUptimeAsync(GuestMachine guest)
    {
        GuestCommandResult result = await guest.Shell.RunAsync("cut -d' ' -f1 /proc/uptime", GuestMachine.Patience);
        return double.Parse(result.Output, CultureInfo.InvariantCulture);
    }
}
