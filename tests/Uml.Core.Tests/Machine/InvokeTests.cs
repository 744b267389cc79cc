using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Cpu;
using Uml.Core.Machine;

namespace Uml.Core.Tests.Machine;

/// <summary>What the owner does between two instructions of the guest.</summary>
[TestFixture]
[CancelAfter(30_000)]
public sealed class InvokeTests
{
    private ScriptedCpu _cpu = null!;

    [SetUp]
    public void SetUp() => _cpu = new ScriptedCpu();

    [TearDown]
    public void TearDown() => _cpu.Dispose();

    [Test]
    public async Task It_is_done_on_the_machines_thread_while_the_guest_runs_and_else_on_the_callers([Values] bool isIdle, CancellationToken token)
    {
        if (isIdle)
        {
            _cpu.Script = (_, _) => RunResult.Halted;
        }

        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        Assert.That(await GetThreadAsync(), Does.Not.StartWith("uml "));
        await machine.StartAsync(token);
        Assert.That(await GetThreadAsync(), Does.StartWith("uml "));
        await machine.PauseAsync(token);
        Assert.That(await GetThreadAsync(), Does.Not.StartWith("uml "));
        Assert.That(machine.State, Is.EqualTo(MachineState.Paused));
        await machine.ResumeAsync(token);
        Assert.That(await GetThreadAsync(), Does.StartWith("uml "));
        await machine.StopAsync(token);
        Assert.That(await GetThreadAsync(), Does.Not.StartWith("uml "));

        async Task<string> GetThreadAsync()
        {
            string? name = null;
            await machine.InvokeAsync(() => name = Thread.CurrentThread.Name ?? "", token);
            return name!;
        }
    }

    [Test]
    public async Task Devices_come_and_go_while_the_guest_runs(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        using TestDevice device = new(_ => { });
        Assert.That(() => machine.Devices.Attach(device), Throws.InvalidOperationException.With.Message.Contains("InvokeAsync"));
        await machine.InvokeAsync(() => machine.Devices.Attach(device), token);
        await machine.InvokeAsync(() => machine.Devices.Detach(device), token);
        Assert.That((machine.Devices.Attached, machine.State), Is.EqualTo((Array.Empty<IMachineDevice>(), MachineState.Running)));
    }

    [Test]
    public async Task What_it_throws_is_the_callers_and_the_machine_goes_on(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        Assert.That(() => machine.InvokeAsync(() => throw new InvalidDataException("mine"), token), Throws.InstanceOf<InvalidDataException>());
        Assert.That(machine.State, Is.EqualTo(MachineState.Running));
    }

    [Test]
    public async Task It_can_be_called_from_what_it_does(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        bool isDone = false;
        await machine.InvokeAsync(() => Assert.That(machine.InvokeAsync(() => isDone = true, token).IsCompletedSuccessfully, Is.True), token);
        Assert.That(isDone, Is.True);
    }

    [Test]
    public async Task A_call_that_is_cancelled_before_it_begins_does_nothing(CancellationToken token)
    {
        using ManualResetEventSlim blocks = new();
        using TestDevice device = new(_ => { });
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(device);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        device.Machine!.Post(() => blocks.Wait(token));
        using CancellationTokenSource cancel = new(50);
        bool isDone = false;
        Assert.That(() => machine.InvokeAsync(() => isDone = true, cancel.Token), Throws.InstanceOf<OperationCanceledException>());
        blocks.Set();
        await machine.PauseAsync(token);
        Assert.That(isDone, Is.False);
    }

    [Test]
    public async Task A_machine_that_ends_before_it_begins_does_not_drop_it(CancellationToken token)
    {
        using TestDevice device = new(_ => { });
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(device);
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        int done = 0;
        TaskCompletionSource<Task> posted = new();
        device.Machine!.Post(() =>
        {
            posted.SetResult(Task.Run(() => machine.InvokeAsync(() => done++, token), token));
            Thread.Sleep(100);
            device.Machine.RequestExit(new MachineExit(MachineExitReason.HostStop, 0, "It ends."));
        });
        await await posted.Task;
        Assert.That((done, (await machine.WaitForExitAsync(token)).Message), Is.EqualTo((1, "It ends.")));
    }

    [Test]
    public async Task It_is_done_exactly_once_among_pauses_and_stops(CancellationToken token)
    {
        await using IVirtualMachine machine = ScriptedMachine.CreateBuilder(_cpu).Build();
        await machine.StartAsync(token);
        int done = 0;
        Task[] calls = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () =>
            {
                for (int i = 0; i < 200; i++)
                {
                    await machine.InvokeAsync(() => Interlocked.Increment(ref done), token);
                }
            },
            token))];
        for (int i = 0; i < 20; i++)
        {
            await machine.PauseAsync(token);
            await machine.ResumeAsync(token);
        }

        await machine.StopAsync(token);
        await Task.WhenAll(calls);
        Assert.That(done, Is.EqualTo(800));
    }
}
