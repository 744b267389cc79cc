using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Uml.Core.Boot;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Core.Tests.Boot;

namespace Uml.Core.Tests.Machine;

/// <summary>
/// Stopping and disposing come back, whatever holds the machine up. The promise is a second; the tests' patience is there for hosts
/// that do other things as well.
/// </summary>
/// <remarks>A fixture for each test: a thread that a test left behind may hold once more, and would hold in the next one's place.</remarks>
[CancelAfter(60_000)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PromptStopTests
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(15);

    private readonly TaskCompletionSource _held = new(TaskCreationOptions.RunContinuationsAsynchronously), _release = new();
    private ScriptedCpu _cpu = null!;

    [SetUp]
    public void SetUp()
    {
        _cpu = new ScriptedCpu();
    }

    [TearDown]
    public void TearDown()
    {
        _release.TrySetResult();
        _cpu.Dispose();
    }

    [Test]
    [Platform("Linux")]
    public async Task A_kernel_that_is_a_pipe_without_a_writer_holds_up_nothing([Values] bool disposes, CancellationToken token)
    {
        using TemporaryPipe pipe = await TemporaryPipe.CreateAsync(token);
        await AssertEndsAsync(LinuxMachine(BootFile.FromPath(pipe.Path)), disposes, token);
    }

    [Test]
    [Platform("Linux")]
    public async Task An_endless_kernel_holds_up_nothing([Values] bool disposes, CancellationToken token) =>
        await AssertEndsAsync(LinuxMachine(BootFile.FromPath("/dev/zero")), disposes, token, delay: 0);

    [Test]
    public async Task A_kernel_that_unpacks_for_long_holds_up_nothing([Values] bool disposes, CancellationToken token)
    {
        byte[] packed = TestPayloads.Repeat(TestPayloads.Bzip2(new byte[2 << 20]), 500);
        VirtualMachineBuilder builder = LinuxMachine(BootFile.FromBytes(packed)).ConfigureBoot(boot => boot.MaximumUnpackedBytes = int.MaxValue);
        await AssertEndsAsync(builder, disposes, token);
    }

    [Test]
    public async Task Options_that_are_never_ready_hold_up_nothing([Values] bool disposes, CancellationToken token)
    {
        VirtualMachineBuilder builder = LinuxMachine(BootFile.FromBytes(TestImages.Vmlinux())).ConfigureBoot(_ => Hold());
        await AssertEndsAsync(builder, disposes, token);
    }

    [Test]
    [Platform("Linux")]
    public async Task A_start_that_was_cancelled_can_be_tried_again(CancellationToken token)
    {
        using TemporaryPipe pipe = await TemporaryPipe.CreateAsync(token);
        await using IVirtualMachine machine = LinuxMachine(BootFile.FromPath(pipe.Path)).Build();
        using CancellationTokenSource cancel = new(50);
        Assert.That(() => machine.StartAsync(cancel.Token).WaitAsync(_patience, token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));

        BootOptions boot = machine.Services.GetRequiredService<IOptions<BootOptions>>().Value;
        (boot.Kernel, boot.Protocol) = (BootFile.FromBytes(new byte[] { 0xFA, 0xF4 }), BootProtocol.Flat64);
        await machine.StartAsync(token).WaitAsync(_patience, token);

        Assert.That(machine.State, Is.Not.EqualTo(MachineState.Created));
    }

    [Test]
    public Task A_device_that_blocks_holds_up_nothing([Values] bool disposes, CancellationToken token) =>
        AssertEndsWhileHeldAsync(Scripted(machine => machine.Post(Hold)), disposes, token);

    [Test]
    public Task A_console_that_blocks_when_the_guest_idles_holds_up_nothing([Values] bool disposes, CancellationToken token)
    {
        _cpu.Script = (_, _) => RunResult.Halted;
        return AssertEndsWhileHeldAsync(Scripted(machine => machine.Quiescing += Hold), disposes, token);
    }

    [Test]
    public async Task A_console_that_blocks_when_the_guest_pauses_holds_up_nothing(CancellationToken token)
    {
        IVirtualMachine machine = Scripted(machine => machine.Quiescing += Hold).Build();
        await machine.StartAsync(token);
        Task pause = machine.PauseAsync(token);
        await _held.Task.WaitAsync(_patience, token);

        await Task.Run(() => machine.StopAsync(token), token).WaitAsync(_patience, token);

        Assert.That(() => pause.WaitAsync(_patience, token), Throws.InvalidOperationException.With.Message.Contains("Stopped"));
        await Task.Run(() => machine.DisposeAsync().AsTask(), token).WaitAsync(_patience, token);
    }

    [Test]
    public async Task A_pause_behind_one_that_was_cancelled_is_one(CancellationToken token)
    {
        const int paused = 3;
        VirtualMachineBuilder builder = Scripted(_ => { });
        builder.Services.AddSingleton<ILoggerFactory>(new HoldingLoggers(Hold, paused));
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        using CancellationTokenSource cancel = new();
        Task first = machine.PauseAsync(cancel.Token);
        await _held.Task.WaitAsync(_patience, token);
        await cancel.CancelAsync();
        Assert.That(() => first, Throws.InstanceOf<OperationCanceledException>());

        // The machine's thread has not come to see yet that the guest may go on.
        Task second = machine.PauseAsync(token);
        _release.TrySetResult();
        await second;
        ulong retired = _cpu.InstructionsRetired;
        await Task.Delay(50, token);
        Assert.That((machine.State, _cpu.InstructionsRetired), Is.EqualTo((MachineState.Paused, retired)));
        await machine.ResumeAsync(token);
    }

    [Test]
    public async Task A_pause_of_a_machine_that_is_just_ending_says_that_it_has_stopped(CancellationToken token)
    {
        VirtualMachineBuilder builder = Scripted(machine => machine.RequestExit(new MachineExit(MachineExitReason.PowerOff, 0, "off")));
        builder.Services.AddSingleton<IMachineExitInterpreter>(new HoldingInterpreter(Hold));
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        await _held.Task.WaitAsync(_patience, token);
        Task pause = machine.PauseAsync(token);
        _release.TrySetResult();
        Assert.That(() => pause.WaitAsync(_patience, token), Throws.InvalidOperationException.With.Message.Contains("Stopped"));
    }

    [Test]
    public async Task Whoever_interprets_the_exit_and_blocks_holds_up_nothing([Values] bool isStarted, CancellationToken token)
    {
        VirtualMachineBuilder builder = Scripted(_ => { });
        builder.Services.AddSingleton<IMachineExitInterpreter>(new HoldingInterpreter(Hold));
        IVirtualMachine machine = builder.Build();
        if (isStarted)
        {
            await machine.StartAsync(token);
        }

        await Task.Run(() => machine.StopAsync(token), token).WaitAsync(_patience, token);

        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.HostStop));
        await Task.Run(() => machine.DisposeAsync().AsTask(), token).WaitAsync(_patience, token);
    }

    [Test]
    public Task A_logger_that_blocks_holds_up_nothing([Values] bool disposes, CancellationToken token)
    {
        VirtualMachineBuilder builder = Scripted(machine => machine.RequestExit(new MachineExit(MachineExitReason.PowerOff, 0, "off")));
        builder.Services.AddSingleton<ILoggerFactory>(new HoldingLoggers(Hold));
        return AssertEndsWhileHeldAsync(builder, disposes, token);
    }

    [Test]
    public async Task A_service_that_does_not_end_holds_up_nothing_and_keeps_the_memory(CancellationToken token)
    {
        VirtualMachineBuilder builder = Scripted(_ => { });
        builder.Services.AddSingleton(_ => new HoldingService(Hold));
        IVirtualMachine machine = builder.Build();
        machine.Services.GetRequiredService<HoldingService>();
        await machine.StartAsync(token);

        await Task.Run(() => machine.DisposeAsync().AsTask(), token).WaitAsync(_patience, token);

        Assert.That(_cpu.IsDisposed, Is.False);
        await AssertReleasesAsync(token);
    }

    [Test]
    public async Task A_real_mode_binary_runs_with_default_options(CancellationToken token)
    {
        // More than a boot sector: nops, and at their end cli and hlt.
        byte[] code = [.. Enumerable.Repeat((byte)0x90, 3000), 0xfa, 0xf4];
        await using IVirtualMachine machine = LinuxMachine(BootFile.FromBytes(code)).ConfigureBoot(boot => boot.Protocol = BootProtocol.Flat16).Build();

        await machine.StartAsync(token);

        MachineExit exit = await machine.WaitForExitAsync(token);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.Halted), exit.Message);
        Assert.That(machine.InstructionsRetired, Is.EqualTo(3002));
    }

    private VirtualMachineBuilder Scripted(Action<IMachineContext> attach)
    {
        VirtualMachineBuilder builder = ScriptedMachine.CreateBuilder(_cpu);
        builder.Services.AddSingleton<IMachineDevice>(_ => new TestDevice(attach));
        return builder;
    }

    private static VirtualMachineBuilder LinuxMachine(BootFile kernel) =>
        new VirtualMachineBuilder().Configure(options => options.MemorySize = 16 << 20).UseKernel(kernel);

    private void Hold()
    {
        _held.TrySetResult();
        _release.Task.Wait();
    }

    private static async Task AssertEndsAsync(VirtualMachineBuilder builder, bool disposes, CancellationToken token, int delay = 100)
    {
        IVirtualMachine machine = builder.Build();
        Task start = machine.StartAsync(token);
        await Task.Delay(delay, token);

        await Task.Run(() => disposes ? machine.DisposeAsync().AsTask() : machine.StopAsync(token), token).WaitAsync(_patience, token);

        Assert.That(machine.State, Is.EqualTo(MachineState.Stopped));
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.HostStop));
        Assert.That(() => start.WaitAsync(_patience, token), Throws.InstanceOf<OperationCanceledException>().With.Message.Contains("was stopped"));
        await machine.DisposeAsync();
    }

    private async Task AssertEndsWhileHeldAsync(VirtualMachineBuilder builder, bool disposes, CancellationToken token)
    {
        IVirtualMachine machine = builder.Build();
        await machine.StartAsync(token);
        await _held.Task.WaitAsync(_patience, token);

        await Task.Run(() => disposes ? machine.DisposeAsync().AsTask() : machine.StopAsync(token), token).WaitAsync(_patience, token);

        Assert.That(machine.State, Is.EqualTo(MachineState.Stopped));
        Assert.That((await machine.WaitForExitAsync(token)).Message, Does.Contain("left behind"));
        await Task.Run(() => machine.DisposeAsync().AsTask(), token).WaitAsync(_patience, token);
        Assert.That(_cpu.IsDisposed, Is.False, "the thread that was left behind may still use it");
        await AssertReleasesAsync(token);
        Assert.That(machine.State, Is.EqualTo(MachineState.Stopped));
    }

    private async Task AssertReleasesAsync(CancellationToken token)
    {
        _release.TrySetResult();
        while (!_cpu.IsDisposed)
        {
            await Task.Delay(5, token);
        }
    }

    private sealed class HoldingInterpreter(Action hold) : IMachineExitInterpreter
    {
        public MachineExit Interpret(MachineExit exit)
        {
            hold();
            return exit;
        }
    }

    private sealed class HoldingService(Action hold) : IDisposable
    {
        public void Dispose() => hold();
    }

    private sealed class HoldingLoggers(Action hold, int eventId = 5) : ILoggerFactory, ILogger
    {
        public void AddProvider(ILoggerProvider provider)
        {
        }

        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }

        public void Log<TState>(LogLevel logLevel, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (id.Id == eventId)
            {
                hold();
            }
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;
    }
}
