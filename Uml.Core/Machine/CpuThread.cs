using Uml.Core.Clock;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <summary>
/// The running of one virtual CPU: its slices, what it counted, and how it ends. It knows nothing of devices, timers and requests, which are
/// the <see cref="MachineLoop"/>'s.
/// </summary>
internal sealed class CpuThread(ICpuRunner cpu, MachineClock clock)
{
    /// <summary>Guards the copy that other threads read; taken once a slice.</summary>
    private readonly Lock _statisticsSync = new();
    private CpuStatistics _statistics;

    /// <summary>What the CPU counted, as of its last slice.</summary>
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

    /// <summary>Whether a slice is under way; meaningful on the thread that runs the CPU only.</summary>
    public bool IsInGuest { get; private set; }

    /// <inheritdoc cref="ICpuRunner.IsHalted"/>
    public bool IsHalted => cpu.IsHalted;

    /// <inheritdoc cref="ICpuRunner.CanBeWoken"/>
    public bool CanBeWoken => cpu.CanBeWoken;

    /// <summary>Runs the CPU until the clock has something to do, or something else ends the slice.</summary>
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

    /// <summary>Gets the slice that runs, or else the next one, to end soon. Callable from any thread.</summary>
    public void RequestAttention() => cpu.RequestAttention();

    /// <summary>The exit of a machine one of whose CPUs has shut down.</summary>
    public MachineExit TripleFault() => new(
        MachineExitReason.TripleFault,
        0,
        $"The guest triple-faulted at RIP 0x{cpu.Registers.ReadRip():x}: it could not deliver a double fault and shut its processor down.");
}
