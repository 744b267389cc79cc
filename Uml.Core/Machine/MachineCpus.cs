using Uml.Core.Clock;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <summary>
/// The CPUs of a machine, which take turns on the machine's thread. A turn is a slice: it passes on when that is used up or the CPU has
/// halted, and not when the CPU was called back in between, so that requests of the host do not change whose turn it is.
/// </summary>
internal sealed class MachineCpus : IGuestExecution
{
    private readonly CpuThread[] _cpus;
    private int _turn;

    public MachineCpus(IReadOnlyList<ICpuRunner> cpus, MachineClock clock) => _cpus = [.. cpus.Select(cpu => new CpuThread(cpu, clock))];

    /// <summary>Instructions that all CPUs have retired; exact on the machine's thread.</summary>
    public ulong InstructionsRetired
    {
        get
        {
            ulong sum = 0;
            foreach (CpuThread cpu in _cpus)
            {
                sum += cpu.InstructionsRetired;
            }

            return sum;
        }
    }

    /// <summary>What the CPUs counted, as of the last slice of each, summed. For any thread.</summary>
    public CpuStatistics Statistics
    {
        get
        {
            CpuStatistics sum = _cpus[0].Statistics;
            foreach (CpuThread cpu in _cpus.AsSpan(1))
            {
                sum = sum.Plus(cpu.Statistics);
            }

            return sum;
        }
    }

    /// <summary>The CPU whose turn it is.</summary>
    public CpuThread Current => _cpus[_turn];

    /// <summary>Whether the machine's thread is in the guest; meaningful on that thread only.</summary>
    public bool IsInGuest => Current.IsInGuest;

    /// <summary>Whether every CPU waits for an interrupt.</summary>
    public bool AreHalted => Array.TrueForAll(_cpus, cpu => cpu.IsHalted);

    /// <summary>Whether an interrupt could get any of them to go on.</summary>
    public bool CanBeWoken => Array.Exists(_cpus, cpu => cpu.CanBeWoken);

    /// <summary>Ends the turn of a CPU whose slice ended so.</summary>
    public void EndTurn(RunResult result)
    {
        if (result != RunResult.Attention)
        {
            _turn = (_turn + 1) % _cpus.Length;
        }
    }

    /// <summary>Gets all CPUs to look around: which of them runs changes meanwhile. Callable from any thread.</summary>
    public void RequestAttention()
    {
        foreach (CpuThread cpu in _cpus)
        {
            cpu.RequestAttention();
        }
    }
}
