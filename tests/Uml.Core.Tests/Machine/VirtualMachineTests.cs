using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Cpu;
using Uml.Core.Machine;

namespace Uml.Core.Tests.Machine;

[TestFixture]
[CancelAfter(20_000)]
public sealed class VirtualMachineTests
{
    private ScriptedCpu _cpu = null!;

    [SetUp]
    public void SetUp() => _cpu = new ScriptedCpu();

    [TearDown]
    public void TearDown() => _cpu.Dispose();

    [Test]
    public async Task A_machine_goes_through_its_states(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));
        await machine.StartAsync(token);
        Assert.That(machine.State, Is.EqualTo(MachineState.Running));
        await machine.PauseAsync(token);
        Assert.That(machine.State, Is.EqualTo(MachineState.Paused));
        await machine.ResumeAsync(token);
        Assert.That(machine.State, Is.EqualTo(MachineState.Running));
        await machine.StopAsync(token);
        Assert.That(machine.State, Is.EqualTo(MachineState.Stopped));
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.HostStop));
    }

    [Test]
    public async Task A_paused_guest_does_not_run(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        await machine.PauseAsync(token);
        ulong retired = _cpu.InstructionsRetired;
        ulong time = machine.Clock.Nanoseconds;
        await Task.Delay(30, token);
        Assert.That(_cpu.InstructionsRetired, Is.EqualTo(retired));
        Assert.That(machine.Clock.Nanoseconds, Is.EqualTo(time));
        Assert.That(machine.InstructionsRetired, Is.EqualTo(retired));
    }

    [Test]
    public async Task A_second_pause_does_nothing(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        await machine.PauseAsync(token);
        await machine.PauseAsync(token);
        Assert.That(machine.State, Is.EqualTo(MachineState.Paused));
    }

    [Test]
    public async Task Calls_in_the_wrong_state_say_so(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Configure(o => o.Name = "box").Build();
        Assert.That(() => machine.PauseAsync(token), Throws.InvalidOperationException.With.Message.Contains("'box' is Created"));
        Assert.That(() => machine.ResumeAsync(token), Throws.InvalidOperationException);
        await machine.StartAsync(token);
        Assert.That(() => machine.StartAsync(token), Throws.InvalidOperationException.With.Message.Contains("starts once"));
        Assert.That(() => machine.ResumeAsync(token), Throws.InvalidOperationException);
        await machine.StopAsync(token);
        Assert.That(() => machine.PauseAsync(token), Throws.InvalidOperationException.With.Message.Contains("Stopped"));
    }

    [Test]
    public async Task A_machine_that_never_started_stops(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        Task<MachineExit> exit = machine.WaitForExitAsync(token);
        await machine.StopAsync(token);
        await machine.StopAsync(token);
        Assert.That((await exit).Reason, Is.EqualTo(MachineExitReason.HostStop));
        Assert.That(() => machine.StartAsync(token), Throws.InvalidOperationException);
    }

    [Test]
    public async Task A_paused_machine_stops(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        await machine.PauseAsync(token);
        await machine.StopAsync(token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.HostStop));
    }

    [Test]
    public async Task Waiting_for_the_exit_can_be_cancelled(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        using var source = new CancellationTokenSource(20);
        Assert.That(() => machine.WaitForExitAsync(source.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(machine.State, Is.EqualTo(MachineState.Running));
    }

    [Test]
    public async Task Disposing_stops_and_disposes_once(CancellationToken token)
    {
        var device = new TestDevice(_ => { });
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(_ => device);
        IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        await machine.DisposeAsync();
        await machine.DisposeAsync();
        Assert.That(machine.State, Is.EqualTo(MachineState.Stopped));
        Assert.That(device.Disposals, Is.EqualTo(1));
        Assert.That(_cpu.IsDisposed);
        Assert.That(() => machine.StartAsync(token), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => machine.Processors[0].Rax, Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task Registers_are_closed_while_the_guest_runs(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        machine.Processors[0].Rax = 5;
        await machine.StartAsync(token);
        Assert.That(() => machine.Processors[0].Rax, Throws.InvalidOperationException.With.Message.Contains("pause it"));
        await machine.PauseAsync(token);
        Assert.That(machine.Processors[0].Rax, Is.EqualTo(5));
    }

    [Test]
    public async Task Memory_can_be_read_but_not_written_while_the_guest_runs(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        Assert.That(machine.Memory.TryWrite(new(0), [1]), Is.False, "none there, and no objection");
        await machine.StartAsync(token);
        Assert.Multiple(() =>
        {
            Assert.That(() => machine.Memory.TryWrite(new(0), [1]), Throws.InvalidOperationException.With.Message.Contains("pause it"));
            Assert.That(() => machine.Memory.TryLease(new(0), 1, out _), Throws.InvalidOperationException.With.Message.Contains("pause it"));
            Assert.That(machine.Memory.TryRead(new(0), new byte[1]), Is.False);
            Assert.That(machine.Memory.TryLeaseReadOnly(new(0), 1, out _), Is.False);
        });
        await machine.PauseAsync(token);
        Assert.That(machine.Memory.TryWrite(new(0), [1]), Is.False);
    }

    [Test]
    public async Task Memory_can_be_written_on_the_machines_own_thread(CancellationToken token)
    {
        IVirtualMachine? machine = null;
        bool? written = null;
        _cpu.Script = (_, _) =>
        {
            written = machine!.Memory.TryWrite(new(0), [1]);
            return RunResult.Shutdown;
        };
        machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        await machine.DisposeAsync();
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.TripleFault), exit.ToString());
        Assert.That(written, Is.False);
    }

    [Test]
    public async Task The_first_exit_request_wins(CancellationToken token)
    {
        var device = new TestDevice(_ => { });
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(device);
        _cpu.Script = (cpu, budget) =>
        {
            device.Machine!.RequestExit(new MachineExit(MachineExitReason.DebugExit, 7, "first"));
            device.Machine.RequestExit(new MachineExit(MachineExitReason.PowerOff, 0, "second"));
            return RunResult.BudgetExhausted;
        };
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        Assert.That(await machine.WaitForExitAsync(token), Is.EqualTo(new MachineExit(MachineExitReason.DebugExit, 7, "first")));
        device.Dispose();
    }

    [Test]
    public async Task A_defect_on_the_machines_thread_ends_only_the_machine(CancellationToken token)
    {
        var defect = new InvalidDataException("broken");
        _cpu.Script = (_, _) => throw defect;
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.InternalError));
        Assert.That(exit.Exception, Is.SameAs(defect));
        Assert.That(exit.Message, Does.Contain("broken"));
    }

    [Test]
    public async Task A_triple_fault_ends_the_machine(CancellationToken token)
    {
        _cpu.Script = (_, _) => RunResult.Shutdown;
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.TripleFault));
    }

    [Test]
    public async Task A_halt_with_interrupts_off_ends_the_machine(CancellationToken token)
    {
        _cpu.CanBeWoken = false;
        _cpu.Script = (_, _) => RunResult.Halted;
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.Halted));
    }

    [Test]
    public async Task An_idle_machine_pauses_resumes_and_stops_at_once([Values] ClockMode mode, CancellationToken token)
    {
        _cpu.Script = (_, _) => RunResult.Halted;
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Configure(o => o.ClockMode = mode).Build();
        await machine.StartAsync(token);
        var watch = Stopwatch.StartNew();
        await machine.PauseAsync(token);
        await machine.ResumeAsync(token);
        await machine.StopAsync(token);
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(1)));
    }

    [Test]
    public async Task Posted_actions_run_in_order_and_wake_an_idle_guest(CancellationToken token)
    {
        var device = new TestDevice(_ => { });
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(device);
        _cpu.Script = (_, _) => RunResult.Halted;
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        var order = new List<int>();
        var done = new TaskCompletionSource();
        for (int i = 0; i < 100; i++)
        {
            int number = i;
            device.Machine!.Post(() => order.Add(number));
        }

        device.Machine!.Post(done.SetResult);
        await done.Task.WaitAsync(token);
        Assert.That(order, Is.EqualTo(Enumerable.Range(0, 100)));
        device.Dispose();
    }

    [Test]
    public async Task Actions_posted_while_paused_wait_for_the_guest_to_go_on(CancellationToken token)
    {
        var device = new TestDevice(_ => { });
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(device);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        await machine.PauseAsync(token);
        var done = new TaskCompletionSource();
        device.Machine!.Post(done.SetResult);
        await Task.Delay(20, token);
        Assert.That(done.Task.IsCompleted, Is.False);
        await machine.ResumeAsync(token);
        await done.Task.WaitAsync(token);
        device.Dispose();
    }

    [Test]
    public async Task A_device_that_posts_from_its_action_does_not_keep_the_guest_from_running(CancellationToken token)
    {
        var device = new TestDevice(_ => { });
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(device);
        _cpu.Script = (cpu, _) =>
        {
            cpu.InstructionsRetired++;
            return RunResult.BudgetExhausted;
        };
        await using IVirtualMachine machine = builder.Build();
        void Again() => device.Machine!.Post(Again);
        await machine.StartAsync(token);
        device.Machine!.Post(Again);
        await Task.Delay(50, token);
        ulong before = machine.InstructionsRetired;
        await Task.Delay(50, token);
        Assert.That(machine.InstructionsRetired, Is.GreaterThan(before));
        device.Dispose();
    }

    [Test]
    public async Task Devices_are_asked_to_hand_over_before_idling_and_stopping(CancellationToken token)
    {
        int quiesced = 0;
        var device = new TestDevice(m => m.Quiescing += () => Interlocked.Increment(ref quiesced));
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(device);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        await machine.PauseAsync(token);
        Assert.That(quiesced, Is.EqualTo(1));
        await machine.StopAsync(token);
        Assert.That(quiesced, Is.EqualTo(2));
        device.Dispose();
    }

    [Test]
    public async Task An_interpreter_that_knows_better_names_the_exit(CancellationToken token)
    {
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineExitInterpreter, Panicked>();
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        await machine.StopAsync(token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.Panic));
    }

    [Test]
    public async Task Life_cycle_calls_from_many_threads_end_in_a_stopped_machine(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        Task[] calls = [.. Enumerable.Range(0, 8).Select(i => Task.Run(async () =>
        {
            for (int n = 0; n < 50; n++)
            {
                try
                {
                    await (((n + i) % 2 == 0) ? machine.PauseAsync(token) : machine.ResumeAsync(token));
                }
                catch (InvalidOperationException)
                {
                    // The other threads got there first: that is what this test is about.
                }
            }
        }, token))];
        await Task.WhenAll(calls);
        await machine.StopAsync(token);
        Assert.That(machine.State, Is.EqualTo(MachineState.Stopped));
    }

    private sealed class Panicked : IMachineExitInterpreter
    {
        public MachineExit Interpret(MachineExit exit) => exit with { Reason = MachineExitReason.Panic };
    }
}
