using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Uml.Core.Boot;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Memory;

namespace Uml.Core;

/// <summary>A machine: its parts, and the life cycle as its owner sees it.</summary>
internal sealed class VirtualMachine : IVirtualMachine, IMachineLoopObserver
{
    private readonly ServiceProvider _services;
    private readonly MachineHardware _hardware;
    private readonly MachineClock _clock;
    private readonly MachineLoop _loop;
    private readonly OwnerMemory _memory;
    private readonly MachineContext _context;
    private readonly MachineMetrics _metrics;
    private readonly ILogger _logger;
    private readonly IMachineExitInterpreter[] _interpreters;
    private readonly TaskCompletionSource<MachineExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Serialises the life-cycle calls.</summary>
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly object _disposeSync = new();
    private Task? _disposal;
    private volatile MachineState _state;
    private bool _started;

    public VirtualMachine(ServiceProvider services, MachineOptions options, MachineHardware hardware, MachineClock clock)
    {
        _services = services;
        _hardware = hardware;
        _clock = clock;
        Name = options.Name;
        _logger = services.GetRequiredService<ILoggerFactory>().CreateLogger("Uml.Core.Machine");
        _metrics = new MachineMetrics(services.GetService<System.Diagnostics.Metrics.IMeterFactory>(), Name);
        _interpreters = [.. services.GetServices<IMachineExitInterpreter>()];
        _loop = new MachineLoop(hardware.Cpu, clock, this);
        _memory = new OwnerMemory(hardware.Memory, _loop);
        _context = new MachineContext(hardware.Bus, hardware.Memory, clock, [hardware.Cpu], _loop);
        Processors = [hardware.Cpu.Registers];
    }

    public string Name { get; }

    public MachineState State => _state;

    public IServiceProvider Services => _services;

    public IGuestMemory Memory => _memory;

    public IReadOnlyList<ProcessorRegisters> Processors { get; }

    public IMachineClock Clock => _clock;

    public ulong InstructionsRetired => _loop.InstructionsRetired;

    public CpuStatistics GetCpuStatistics() => _loop.Statistics;

    /// <summary>Connects the devices, in order of registration.</summary>
    public void AttachDevices()
    {
        int count = 0;
        foreach (IMachineDevice device in _services.GetServices<IMachineDevice>())
        {
            device.Attach(_context);
            count++;
        }

        MachineLog.Built(_logger, Name, Memory.Size, count);
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

            await Task.Run(LoadBoot, cancellationToken).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            _started = true;
            _metrics.Started();
            SetRunning(true);
            _state = MachineState.Running;
            _loop.Start($"uml {Name}");
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
            if (_state == MachineState.Paused)
            {
                return;
            }

            ThrowUnless(MachineState.Running, "paused");
            try
            {
                await _loop.PauseAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
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
            SetRunning(true);
            _state = MachineState.Running;
            _loop.Resume();
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        // Before the gate: a start that loads or a pause that waits does not hold it up.
        _loop.RequestExit(new MachineExit(MachineExitReason.HostStop, 0, "The host stopped the machine."));
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_state == MachineState.Created)
            {
                _loop.EndUnstarted();
            }

            await _exited.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Release();
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

    void IMachineLoopObserver.OnSlice(in CpuStatistics statistics) => _metrics.Report(in statistics);

    void IMachineLoopObserver.OnQuiescing() => _context.Quiesce();

    void IMachineLoopObserver.OnPaused()
    {
        SetRunning(false);
        _state = MachineState.Paused;
        MachineLog.Paused(_logger, Name);
    }

    void IMachineLoopObserver.OnResumed()
    {
        SetRunning(true);
        _state = MachineState.Running;
        MachineLog.Resumed(_logger, Name);
    }

    void IMachineLoopObserver.OnEnded(MachineExit exit)
    {
        try
        {
            exit = Interpret(exit);
            MachineLog.Ended(_logger, Name, InstructionsRetired, exit.Reason, exit.Status, exit.Message);
            if (exit.Exception is { } defect)
            {
                MachineLog.Defect(_logger, defect, Name);
            }

            _metrics.Ended(exit, _started);
        }
#pragma warning disable CA1031 // Interpreters, loggers and listeners of metrics are the user's; what they throw ends the machine's thread, never the process.
        catch (Exception e)
#pragma warning restore CA1031
        {
            exit = new MachineExit(
                MachineExitReason.InternalError, exit.Status, $"A service that was told of the machine's end failed: {e.Message} The end was: {exit.Message}", e);
        }

        SetRunning(false);
        _state = MachineState.Stopped;
        _exited.TrySetResult(exit);
    }

    private MachineExit Interpret(MachineExit exit)
    {
        foreach (IMachineExitInterpreter interpreter in _interpreters)
        {
            exit = interpreter.Interpret(exit);
        }

        return exit;
    }

    private void LoadBoot()
    {
        BootOptions options = _services.GetRequiredService<IOptions<BootOptions>>().Value;
        if (options.Kernel is { } kernel)
        {
            BootEntry entry = MachineBoot.Load(options, kernel, _hardware.Memory, Processors[0]);
            MachineLog.Started(_logger, Name, entry.Kind.ToString(), entry.EntryPoint);
            return;
        }

        if (Processors[0].IsAtReset)
        {
            throw new MachineConfigurationException(
                $"Machine '{Name}' has nothing to run: name a kernel with builder.UseKernel(...), or write code into Memory and set Processors[0].");
        }

        MachineLog.Started(_logger, Name, "Register", Processors[0].Rip);
    }

    /// <summary>Closes memory and registers to the machine's owner, or opens them.</summary>
    private void SetRunning(bool running)
    {
        _memory.SetRunning(running);
        Processors[0].SetRunning(running);
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
        await StopAsync().ConfigureAwait(false);
        try
        {
            await _services.DisposeAsync().ConfigureAwait(false);
        }
        finally
        {
            _memory.Free(_hardware);
            _metrics.Dispose();
        }
    }
}
