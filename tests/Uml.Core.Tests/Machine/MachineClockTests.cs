using System.Buffers;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Core.Snapshots;

namespace Uml.Core.Tests.Machine;

[TestFixture]
[CancelAfter(20_000)]
public sealed class MachineClockTests
{
    private ScriptedCpu _cpu = null!;

    [SetUp]
    public void SetUp() => _cpu = new ScriptedCpu();

    [TearDown]
    public void TearDown() => _cpu.Dispose();

    [Test]
    public void Timers_fire_in_order_of_deadline_then_of_arming()
    {
        var clock = new VirtualTimeClock(default);
        clock.Connect(_cpu);
        var fired = new List<int>();
        ulong[] deadlines = [50, 20, 90, 20, 10, 50, 70, 5];
        IMachineTimer[] timers = [.. deadlines.Select((_, i) => clock.CreateTimer("test", () => fired.Add(i)))];
        for (int i = 0; i < timers.Length; i++)
        {
            timers[i].Schedule(deadlines[i]);
        }

        timers[2].Cancel();
        timers[6].Schedule(15);
        _cpu.InstructionsRetired = 60;
        clock.RunDueTimers();
        Assert.That(fired, Is.EqualTo(new[] { 7, 4, 6, 1, 3, 0, 5 }));
        Assert.That(clock.NextDeadline, Is.Null);
    }

    /// <summary>States are written device by device, whatever the order of arming was.</summary>
    [Test]
    public void Timers_that_are_restored_fire_in_the_order_that_they_were_armed_in()
    {
        var fired = new List<int>();
        IMachineTimer[] saved = CreateTimers(fired.Add, 4);
        foreach (int i in new[] { 2, 0, 3, 1 })
        {
            saved[i].Schedule(i == 3 ? 10UL : 50UL);
        }

        byte[] state = Save(saved);
        StateReader reader = new(state, "test");
        IMachineTimer[] restored = CreateTimers(fired.Add, 5, out VirtualTimeClock clock);
        restored[4].Schedule(50);
        Array.ForEach(restored[..4], reader.Restore);
        Assert.That(Save(restored.AsSpan(..4)), Is.EqualTo(state));
        _cpu.InstructionsRetired = 60;
        clock.RunDueTimers();
        Assert.That(fired, Is.EqualTo(new[] { 3, 2, 0, 1, 4 }));
    }

    [Test]
    public void The_heap_agrees_with_sorting_over_random_operations()
    {
        var random = new Random(1);
        var clock = new VirtualTimeClock(default);
        clock.Connect(_cpu);
        var heap = new TimerHeap();
        MachineTimer[] timers = [.. Enumerable.Range(0, 20).Select(_ => new MachineTimer(clock, "test", () => { }))];
        var expected = new Dictionary<MachineTimer, ulong>();
        for (int step = 0; step < 10_000; step++)
        {
            MachineTimer timer = timers[random.Next(timers.Length)];
            if (random.Next(3) == 0)
            {
                heap.Remove(timer);
                expected.Remove(timer);
            }
            else
            {
                ulong deadline = (ulong)random.Next(100);
                heap.Schedule(timer, deadline);
                expected[timer] = deadline;
            }

            Assert.That(heap.Count, Is.EqualTo(expected.Count));
            Assert.That(heap.Earliest?.Deadline, Is.EqualTo(expected.Count == 0 ? null : expected.Values.Min()));
        }
    }

    [Test]
    public void A_timer_that_rearms_itself_in_the_past_fires_once_a_round()
    {
        var clock = new VirtualTimeClock(default);
        clock.Connect(_cpu);
        int fired = 0;
        IMachineTimer? timer = null;
        timer = clock.CreateTimer("test", () =>
        {
            fired++;
            timer!.Schedule(0);
        });
        timer.Schedule(0);
        clock.RunDueTimers();
        Assert.That(fired, Is.EqualTo(1));
        Assert.That(clock.BeginSlice(), Is.EqualTo(1));
    }

    [Test]
    public void A_timer_armed_within_a_slice_shortens_it()
    {
        var clock = new VirtualTimeClock(default);
        clock.Connect(_cpu);
        IMachineTimer timer = clock.CreateTimer("test", () => { });
        timer.Schedule(5000);
        Assert.That(clock.BeginSlice(), Is.EqualTo(5000));
        timer.Schedule(6000);
        Assert.That(_cpu.AttentionRequested, Is.False);
        timer.Schedule(1000);
        Assert.That(_cpu.AttentionRequested);
    }

    [Test]
    public void Other_threads_see_virtual_time_as_of_the_last_slice()
    {
        var clock = new VirtualTimeClock(default);
        clock.Connect(_cpu);
        clock.Resume();
        clock.BeginSlice();
        _cpu.InstructionsRetired = 500;
        Assert.That(clock.Nanoseconds, Is.EqualTo(500), "the machine's own thread");
        Assert.That(ReadElsewhere(), Is.Zero);
        clock.EndSlice();
        Assert.That(ReadElsewhere(), Is.EqualTo(500));
        clock.SkipTo(900);
        Assert.That(ReadElsewhere(), Is.EqualTo(900));

        ulong ReadElsewhere()
        {
            ulong time = 0;
            var thread = new Thread(() => time = clock.Nanoseconds);
            thread.Start();
            thread.Join();
            return time;
        }
    }

    [Test]
    public async Task Virtual_time_counts_instructions_and_skips_idle_time(CancellationToken token)
    {
        var ticks = new List<ulong>();
        var device = new TestDevice(machine =>
        {
            IMachineTimer? timer = null;
            timer = machine.Clock.CreateTimer("test", () =>
            {
                ticks.Add(machine.Clock.ReadTsc());
                if (ticks.Count == 3)
                {
                    machine.RequestExit(new MachineExit(MachineExitReason.PowerOff, 0, ""));
                }

                timer!.Schedule(machine.Clock.Nanoseconds + 1_000_000_000_000);
            });
            timer.Schedule(1_000_000_000_000);
        });
        _cpu.Script = (cpu, _) =>
        {
            cpu.InstructionsRetired += 3;
            return RunResult.Halted;
        };
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu).Configure(o => o.ClockMode = ClockMode.Virtual);
        builder.Services.AddSingleton<IMachineDevice>(device);
        await using IVirtualMachine machine = builder.Build();
        Assert.That(machine.Clock.StartTime, Is.EqualTo(new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero)));
        await machine.StartAsync(token);
        await machine.WaitForExitAsync(token);
        Assert.That(ticks, Is.EqualTo(new ulong[] { 1_000_000_000_000, 2_000_000_000_000, 3_000_000_000_000 }));
        Assert.That(machine.InstructionsRetired, Is.EqualTo(9));
        device.Dispose();
    }

    [Test]
    public async Task Real_time_follows_the_provider_and_wakes_an_idle_guest(CancellationToken token)
    {
        var provider = new FakeTimeProvider(new DateTimeOffset(2026, 5, 6, 7, 8, 9, TimeSpan.Zero));
        var fired = new TaskCompletionSource<ulong>();
        var device = new TestDevice(machine =>
        {
            IMachineTimer timer = machine.Clock.CreateTimer("test", () => fired.SetResult(machine.Clock.Nanoseconds));
            timer.Schedule(5_000_000_000);
        });
        _cpu.Script = (_, _) => RunResult.Halted;
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<TimeProvider>(provider);
        builder.Services.AddSingleton<IMachineDevice>(device);
        await using IVirtualMachine machine = builder.Build();
        Assert.That(machine.Clock.StartTime, Is.EqualTo(provider.GetUtcNow()));
        await machine.StartAsync(token);
        while (!fired.Task.IsCompleted)
        {
            provider.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(1, token);
        }

        Assert.That(await fired.Task, Is.GreaterThanOrEqualTo(5_000_000_000));
        device.Dispose();
    }

    [Test]
    public async Task A_guest_that_gets_slow_all_at_once_is_called_back_for_a_timer([Values] bool isArmedByThen, CancellationToken token)
    {
        const ulong deadline = 50_000_000;
        var fired = new TaskCompletionSource<ulong>();
        bool isCalledBack = false;
        IMachineTimer? timer = null;
        IMachineClock? clock = null;
        var device = new TestDevice(machine =>
        {
            clock = machine.Clock;
            timer = machine.Clock.CreateTimer("test", () => fired.TrySetResult(machine.Clock.Nanoseconds));
            if (isArmedByThen)
            {
                timer.Schedule(deadline);
            }
        });
        _cpu.Script = (cpu, budget) =>
        {
            if (clock!.Nanoseconds < deadline / 2)
            {
                // A busy guest, of a hundred instructions a nanosecond and more for all that the clock can tell.
                SpinWait.SpinUntil(() => false, TimeSpan.FromMilliseconds(1));
                cpu.InstructionsRetired += (ulong)budget;
                return RunResult.BudgetExhausted;
            }

            if (!isArmedByThen)
            {
                timer!.Schedule(deadline);
            }

            cpu.InstructionsRetired++;
            isCalledBack |= SpinWait.SpinUntil(() => cpu.AttentionRequested, TimeSpan.FromSeconds(10));
            return RunResult.BudgetExhausted;
        };
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(device);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        ulong at = await fired.Task.WaitAsync(token);
        await machine.StopAsync(token);
        Assert.Multiple(() =>
        {
            Assert.That(isCalledBack);
            Assert.That(at, Is.InRange(deadline, deadline + 5_000_000_000));
        });
        device.Dispose();
    }

    [Test]
    public async Task Real_time_stands_still_while_paused(CancellationToken token)
    {
        var provider = new FakeTimeProvider();
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<TimeProvider>(provider);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        await machine.PauseAsync(token);
        ulong before = machine.Clock.Nanoseconds;
        provider.Advance(TimeSpan.FromHours(1));
        Assert.That(machine.Clock.Nanoseconds, Is.EqualTo(before));
        ulong retired = machine.InstructionsRetired;
        await machine.ResumeAsync(token);
        while (machine.InstructionsRetired == retired)
        {
            await Task.Delay(1, token);
        }

        provider.Advance(TimeSpan.FromSeconds(2));
        Assert.That(machine.Clock.Nanoseconds, Is.EqualTo(before + 2_000_000_000));
    }

    [TestCase(0UL)]
    [TestCase(300_000UL)]
    [TestCase(4_000_000UL)]
    public async Task A_real_timer_fires_at_or_soon_after_its_deadline(ulong delay, CancellationToken token)
    {
        var late = new TaskCompletionSource<long>();
        var device = new TestDevice(machine =>
        {
            IMachineTimer timer = machine.Clock.CreateTimer("test", () => late.SetResult((long)(machine.Clock.Nanoseconds - delay)));
            timer.Schedule(delay);
        });
        _cpu.Script = (_, _) => RunResult.Halted;
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(device);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        Assert.That(await late.Task.WaitAsync(token), Is.InRange(0, 500_000_000));
        device.Dispose();
    }

    private IMachineTimer[] CreateTimers(Action<int> fired, int count) => CreateTimers(fired, count, out _);

    private IMachineTimer[] CreateTimers(Action<int> fired, int count, out VirtualTimeClock clock)
    {
        VirtualTimeClock created = clock = new VirtualTimeClock(default);
        clock.Connect(_cpu);
        return [.. Enumerable.Range(0, count).Select(i => created.CreateTimer("test", () => fired(i)))];
    }

    private static byte[] Save(params ReadOnlySpan<IMachineTimer> timers)
    {
        ArrayBufferWriter<byte> output = new();
        StateWriter state = new(output);
        foreach (IMachineTimer timer in timers)
        {
            state.Write(timer);
        }

        return output.WrittenSpan.ToArray();
    }
}
