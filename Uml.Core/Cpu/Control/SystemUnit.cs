using Uml.Core.Bus;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu.Time;

namespace Uml.Core.Cpu.Control;

/// <summary>What system instructions of a virtual CPU ask for: its model, its clock, CR8, random numbers.</summary>
/// <param name="state">The processor.</param>
/// <param name="cpuid">Its model.</param>
/// <param name="clock">Guest time.</param>
/// <param name="entropy">What RDRAND and RDSEED draw from at first.</param>
// SAFETY: state is that of the processor that owns this unit, and is used by its own handlers only.
internal sealed unsafe class SystemUnit(CpuState* state, CpuidTable cpuid, IMachineClock clock, IEntropySource entropy)
{
    private volatile bool _isRunning;

    /// <summary>The time-stamp counter where translated code can read it too; null: the clock is asked each time.</summary>
    public TimeStampCounter? TimeStamps { get; set; }

    /// <summary>The local APIC; null on a machine without a board.</summary>
    public ILocalApic? LocalApic { get; set; }

    /// <summary>Whether the guest runs now: only then translated code may be given the time. Read by other threads too.</summary>
    public bool IsRunning { get => _isRunning; set => _isRunning = value; }

    public CpuidTable Cpuid => cpuid;

    public IEntropySource Entropy { get; set; } = entropy;

    /// <summary>CR8, 0 to 15.</summary>
    public byte TaskPriority
    {
        get => LocalApic?.TaskPriority ?? 0;
        set
        {
            if (LocalApic is { } apic)
            {
                apic.TaskPriority = value;
            }
        }
    }

    /// <summary>MSR_PLATFORM_INFO: the ratio of the time-stamp counter to 100 MHz in bits 15..8; no CPUID faulting.</summary>
    public ulong PlatformInfo => Math.Clamp(clock.TscFrequency / 100_000_000, 1, 255) << 8;

    public static SystemUnit Of(CpuState* s) => Owned.Get<SystemUnit>(s->Engine->System);

    /// <summary>CPUID as the guest sees it now.</summary>
    public CpuidValues QueryCpuid(uint leaf, uint subleaf) => cpuid.Query(state, leaf, subleaf, LocalApic is { IsEnabled: true });

    /// <summary>The time-stamp counter as the guest reads it.</summary>
    public ulong ReadTsc()
    {
        // User code that may not read it gets #GP instead.
        bool share = IsRunning && (state->Cr4 & Cr4.TSD) == 0;
        return (TimeStamps?.Read(share) ?? clock.ReadTsc()) + state->TscAdjust;
    }

    /// <summary>From here on translated code may not read the time-stamp counter by itself, until <see cref="ReadTsc"/> lets it.</summary>
    public void StopTimeStamps() => TimeStamps?.Stop();
}
