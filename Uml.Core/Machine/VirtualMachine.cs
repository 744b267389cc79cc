using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Uml.Core.Boot;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>A machine: its parts, and the life cycle as its owner sees it.</summary>
internal sealed partial class VirtualMachine : IVirtualMachine, IMachineLoopObserver
{
    private readonly ServiceProvider _services;
    private readonly MachineHardware _hardware;
    private readonly MachineClock _clock;
    private readonly MachineCpus _cpus;
    private readonly MachineLoop _loop;
    private readonly OwnerMemory _memory;
    private readonly MachineDevices _devices;
    private readonly MachineMetrics _metrics;
    private readonly ILogger _logger;
    private readonly IMachineExitInterpreter[] _interpreters;
    private readonly CodeCacheWatch _codeCache = new();
    private readonly ulong _codeCacheSize;
    private readonly TaskCompletionSource<MachineExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Stopping and disposing take a second at most, even if the machine's thread is blocked; these leave a margin for a busy host.
    private static readonly TimeSpan StopPatience = TimeSpan.FromMilliseconds(700);
    private static readonly TimeSpan DisposePatience = TimeSpan.FromMilliseconds(900);

    /// <summary>Serialises starting, pausing and resuming. Stopping waits for none of them.</summary>
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _stateSync = new();
    private readonly object _disposeSync = new();
    private Task? _disposal;

    /// <summary>The last load, which may still be running after a cancelled start.</summary>
    private Task _load = Task.CompletedTask;
    private volatile MachineState _state;
    private bool _started;

    public VirtualMachine(ServiceProvider services, MachineOptions options, MachineHardware hardware, MachineClock clock)
    {
        _services = services;
        _hardware = hardware;
        _clock = clock;
        Name = options.Name;
        _codeCacheSize = options.Cpu.CodeCacheSize;
        _logger = services.GetRequiredService<ILoggerFactory>().CreateLogger("Uml.Core.Machine");
        _metrics = new MachineMetrics(services.GetService<System.Diagnostics.Metrics.IMeterFactory>(), Name);
        _interpreters = [.. services.GetServices<IMachineExitInterpreter>()];
        _cpus = new MachineCpus(hardware.Cpus, clock);
        clock.Connect(_cpus);
        _loop = new MachineLoop(_cpus, clock, this);
        _memory = new OwnerMemory(hardware.Memory, _loop);
        _devices = new MachineDevices(
            new DeviceHost(hardware.Bus, hardware.Memory, clock, hardware.Cpus, EndOrReset, _loop.Post), () => _state != MachineState.Running || _loop.IsCurrentThread);
        _onReboot = options.OnReboot;
        _boot = services.GetRequiredService<IOptions<BootOptions>>();
        Processors = [.. hardware.Cpus.Select(cpu => cpu.Registers)];
    }

    public string Name { get; }

    public MachineState State => _state;

    public IServiceProvider Services => _services;

    public IGuestMemory Memory => _memory;

    public IReadOnlyList<ProcessorRegisters> Processors { get; }

    public IMachineClock Clock => _clock;

    public IMachineDevices Devices => _devices;

    public ulong InstructionsRetired => _cpus.Statistics.InstructionsRetired;

    public CpuStatistics GetCpuStatistics() => _cpus.Statistics;

    /// <summary>Attaches the devices in order of registration, and resets them.</summary>
    public void AttachDevices()
    {
        _devices.PowerOn(_services.GetServices<IMachineDevice>());
        MachineLog.Built(_logger, Name, Memory.Size, _devices.Attached.Count);
    }

    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            ThrowIfDisposed();
            if (_state != MachineState.Created)
            {
                throw new InvalidOperationException($"Machine '{Name}' is {_state}; a machine starts once, build another.");
            }

            await LoadAsync(cancellationToken).ConfigureAwait(false);
            if (!_loop.TryStart($"uml {Name}", OnStarting))
            {
                throw WasStopped();
            }

            _metrics.Started();
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task PauseAsync(CancellationToken cancellationToken = default)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // Behind a pause that was cancelled the machine may look paused, and be about to go on.
            if (_state == MachineState.Paused && _loop.IsPauseRequested)
            {
                return;
            }

            if (_state is not MachineState.Paused)
            {
                ThrowUnless(MachineState.Running, "paused");
            }

            try
            {
                await Task.WhenAny(_loop.PauseAsync(), _exited.Task).WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                _loop.Resume();
                throw;
            }

            ThrowUnless(MachineState.Paused, "paused");
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task ResumeAsync(CancellationToken cancellationToken = default)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            ThrowUnless(MachineState.Paused, "resumed");
            Enter(MachineState.Running);
            _loop.Resume();
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        _loop.RequestExit(new MachineExit(MachineExitReason.HostStop, 0, "The host stopped the machine."));

        // Neither whoever waits for a start nor the user's interpreters of an exit run here.
        _ = _stopping.CancelAsync();
        if (_loop.TryEndUnstarted())
        {
            _ = Task.Run(() => ((IMachineLoopObserver)this).OnEnded(_loop.RequestedExit!), CancellationToken.None);
        }

        try
        {
            await _exited.Task.WaitAsync(StopPatience, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            LeaveThreadBehind();
        }
    }

    public Task<MachineExit> WaitForExitAsync(CancellationToken cancellationToken = default) => _exited.Task.WaitAsync(cancellationToken);

    public ValueTask DisposeAsync()
    {
        lock (_disposeSync)
        {
            return new ValueTask(_disposal ??= DisposeCoreAsync());
        }
    }

    void IMachineLoopObserver.OnSlice(in CpuStatistics statistics)
    {
        _metrics.Report(in statistics);
        if (_codeCache.IsTooSmall(in statistics))
        {
            MachineLog.CodeCacheTooSmall(_logger, Name, statistics.CodeCacheFlushes, statistics.InstructionsRetired, _codeCacheSize);
        }
    }

    void IMachineLoopObserver.OnQuiescing() => _devices.Quiesce();

    void IMachineLoopObserver.OnPaused()
    {
        Enter(MachineState.Paused);
        MachineLog.Paused(_logger, Name);
    }

    void IMachineLoopObserver.OnResumed()
    {
        Enter(MachineState.Running);
        MachineLog.Resumed(_logger, Name);
    }

    void IMachineLoopObserver.OnEnded(MachineExit exit)
    {
        try
        {
            exit = Interpret(exit);
            MachineLog.Ended(_logger, Name, InstructionsRetired, exit.Reason, exit.Status, exit.Message);
            if (exit.Exception is { } exception)
            {
                LogFailure(exit.Reason, exception);
            }

            _metrics.Ended(exit, _started);
        }
#pragma warning disable CA1031 // Interpreters, loggers and listeners of metrics are the user's; what they throw ends the machine's thread, never the process.
        catch (Exception e)
#pragma warning restore CA1031
        {
            exit = new MachineExit(
                MachineExitReason.ServiceFailure, exit.Status, $"A service that was told of the machine's end failed: {e.Message} The end was: {exit.Message}", e);
        }

        EnterStopped();
        _exited.TrySetResult(exit);
    }

    private void OnStarting()
    {
        _started = true;
        Enter(MachineState.Running);
    }

    private void LogFailure(MachineExitReason reason, Exception exception)
    {
        if (reason == MachineExitReason.InternalError)
        {
            MachineLog.Defect(_logger, exception, Name);
        }
        else
        {
            MachineLog.ServiceFailed(_logger, exception, Name);
        }
    }

    /// <summary>
    /// Changes the state, and with it the access to memory and registers, unless the machine has stopped: a thread that was left behind may
    /// still call this.
    /// </summary>
    private void Enter(MachineState state)
    {
        lock (_stateSync)
        {
            if (_state != MachineState.Stopped)
            {
                _state = state;
                SetRunning(state == MachineState.Running);
            }
        }
    }

    /// <summary>The machine's thread has ended, or was never started.</summary>
    private void EnterStopped()
    {
        lock (_stateSync)
        {
            _state = MachineState.Stopped;
            SetRunning(false);
        }
    }

    /// <summary>Ends the machine for its user while its thread is blocked in code that does not return.</summary>
    private void LeaveThreadBehind()
    {
        MachineExit exit = _loop.RequestedExit!;
        lock (_stateSync)
        {
            // Memory and registers stay closed: they are in use.
            _state = MachineState.Stopped;
        }

        _exited.TrySetResult(exit with
        {
            Message = $"{exit.Message} Its thread did not come back from a device, console channel, logger or other service of the program, "
                + "and was left behind; the guest's memory is given back when it returns.",
        });
    }

    private MachineExit Interpret(MachineExit exit)
    {
        foreach (IMachineExitInterpreter interpreter in _interpreters)
        {
            exit = interpreter.Interpret(exit);
        }

        return exit;
    }

    /// <summary>
    /// Loads the kernel. Cancelling ends the wait at once, and the load as soon as possible: the host may be reading a file.
    /// </summary>
    private async Task LoadAsync(CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
        CancellationToken token = either.Token;
        try
        {
            // A load of an earlier, cancelled start may still write to the same memory.
            await _load.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default)
                .WaitAsync(token).ConfigureAwait(false);
            _load = Task.Run(() => LoadBootAsync(token), CancellationToken.None);
            await _load.WaitAsync(token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw WasStopped();
        }
    }

    private OperationCanceledException WasStopped() => new($"Machine '{Name}' was stopped while it was starting.");

    private async Task LoadBootAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        BootOptions options = Boot;
        ProcessorRegisters registers = _hardware.BootCpu.Registers;
        if (options.Kernel is { } kernel)
        {
            BootEntry entry = await LoadKernelAsync(options, kernel, cancellationToken).ConfigureAwait(false);
            MachineLog.Started(_logger, Name, entry.Kind.ToString(), entry.EntryPoint);
            return;
        }

        if (registers.IsAtReset)
        {
            throw new MachineConfigurationException(
                $"Machine '{Name}' has nothing to run: name a kernel with builder.UseKernel(...), or write code into Memory and set Processors[0].");
        }

        MachineLog.Started(_logger, Name, "Register", registers.Rip);
    }

    /// <summary>Loads the kernel into memory and the CPU with its initial state: at the start, and at each reset.</summary>
    private async Task<BootEntry> LoadKernelAsync(BootOptions options, BootFile kernel, CancellationToken cancellationToken)
    {
        BootEntry entry = await MachineBoot.LoadAsync(options, kernel, _hardware.Memory, _hardware.BootCpu.Registers, cancellationToken).ConfigureAwait(false);
        ThrowIfWithoutBoard(entry.Kind, kernel.Name);
        return entry;
    }

    /// <summary>
    /// Kernels with these entry points need a board: without interrupts Linux waits for its first timer for ever, without a message.
    /// </summary>
    private void ThrowIfWithoutBoard(BootEntryKind kind, string kernel)
    {
        if (kind is BootEntryKind.Linux64 or BootEntryKind.Linux32 or BootEntryKind.Pvh32 && !_hardware.BootCpu.HasLocalApic)
        {
            throw new MachineConfigurationException(
                $"Machine '{Name}' has no board (interrupt controllers, timers, serial port), without which the kernel '{kernel}' would run and say nothing: "
                + "begin with UmlMachine.CreateDefaultBuilder(), or call builder.AddStandardBoard().");
        }
    }

    /// <summary>Forbids or allows the machine's owner access to memory and registers.</summary>
    private void SetRunning(bool running)
    {
        _memory.SetRunning(running);
        foreach (ProcessorRegisters registers in Processors)
        {
            registers.SetRunning(running);
        }
    }

    private void ThrowUnless(MachineState state, string verb)
    {
        if (_state != state)
        {
            throw new InvalidOperationException($"Machine '{Name}' is {_state}; only a {state} machine can be {verb}.");
        }
    }

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_disposal is not null, this);

    private async Task DisposeCoreAsync()
    {
        var time = Stopwatch.StartNew();
        await StopAsync().ConfigureAwait(false);
        Task services = Task.Run(() => _services.DisposeAsync().AsTask());

        // Memory and CPUs are freed only after everything that uses them has ended.
        Task released = Task.WhenAll(_loop.Completion, _load, services).ContinueWith(
            Release, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        TimeSpan left = DisposePatience - time.Elapsed;
        await Task.WhenAny(released, Task.Delay(left > TimeSpan.Zero ? left : TimeSpan.Zero)).ConfigureAwait(false);
        if (services.IsFaulted)
        {
            await services.ConfigureAwait(false);
        }
    }

    private void Release(Task users)
    {
        // The callers of start and dispose have got these exceptions.
        _ = users.Exception;

        // An action of the owner's may be at work on another thread, with the devices and so the processors' pins.
        _gate.Wait();
        try
        {
            _memory.Free(_hardware);
        }
        finally
        {
            _gate.Release();
        }

        _metrics.Dispose();
    }
}
