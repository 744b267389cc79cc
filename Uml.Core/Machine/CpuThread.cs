using Uml.Core.Clock;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <summary>
/// Runs one virtual CPU: its slices, its statistics, and how it ends. Devices, timers and requests are the business of the
/// <see cref="MachineLoop"/>.
/// </summary>
internal sealed class CpuThread(ICpuRunner cpu, MachineClock clock)
{
    /// <summary>Guards the copy of the statistics for other threads; taken once per slice.</summary>
    private readonly Lock _statisticsSync = new();
    private CpuStatistics _statistics;

    /// <summary>The CPU's statistics, as of its last slice.</summary>
    public CpuStatistics Statistics
    {
        get
        {
            lock (_statisticsSync)
            {
                return _statistics;
            }
        }
    }

    /// <summary>Instructions retired; exact on the thread that runs the CPU.</summary>
    public ulong InstructionsRetired => cpu.InstructionsRetired;

    /// <summary>Whether a slice is running; valid on the thread that runs the CPU only.</summary>
    public bool IsInGuest { get; private set; }

    /// <inheritdoc cref="ICpuRunner.IsHalted"/>
    public bool IsHalted => cpu.IsHalted;

    /// <inheritdoc cref="ICpuRunner.CanBeWoken"/>
    public bool CanBeWoken => cpu.CanBeWoken;

    /// <summary>Runs the CPU for one slice: until the next deadline of the clock, or until it exits earlier.</summary>
    public RunResult RunSlice()
    {
        long budget = clock.BeginSlice();
        IsInGuest = true;
        RunResult result = cpu.Run(budget);
        IsInGuest = false;
        clock.EndSlice();
        CpuStatistics statistics = cpu.GetStatistics();
        lock (_statisticsSync)
        {
            _statistics = statistics;
        }

        return result;
    }

    /// <summary>Ends the current slice, or else the next one, soon. Callable from any thread.</summary>
    public void RequestAttention() => cpu.RequestAttention();

    /// <summary>The exit of a machine one of whose CPUs has shut down.</summary>
    public MachineExit TripleFault() => new(
        MachineExitReason.TripleFault,
        0,
        $"The guest triple-faulted at RIP 0x{cpu.Registers.ReadRip():x}: it could not deliver a double fault and shut its processor down.");
}
