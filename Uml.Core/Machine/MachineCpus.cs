using Uml.Core.Clock;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <summary>
/// The CPUs of a machine, which take turns on the machine's thread. A turn ends when a slice is used up or the CPU halts. It does not end
/// when the CPU exits for a request of the host, so that requests do not change the order of CPUs.
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

    /// <summary>The statistics of the CPUs as of the last slice of each, summed. Callable from any thread.</summary>
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

    /// <summary>Whether an interrupt could wake any of them.</summary>
    public bool CanBeWoken => Array.Exists(_cpus, cpu => cpu.CanBeWoken);

    /// <summary>Ends the current CPU's turn, if the result of its slice ends it.</summary>
    public void EndTurn(RunResult result)
    {
        if (result != RunResult.Attention)
        {
            _turn = (_turn + 1) % _cpus.Length;
        }
    }

    /// <summary>Requests attention of all CPUs, because another one may be running by the time. Callable from any thread.</summary>
    public void RequestAttention()
    {
        foreach (CpuThread cpu in _cpus)
        {
            cpu.RequestAttention();
        }
    }
}
