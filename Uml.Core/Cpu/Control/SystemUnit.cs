using Uml.Core.Bus;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu.Time;

namespace Uml.Core.Cpu.Control;

/// <summary>What system instructions of a virtual CPU need: its CPUID table, its clock, CR8 and random numbers.</summary>
/// <param name="state">The processor.</param>
/// <param name="cpuid">Its CPUID table.</param>
/// <param name="clock">Guest time.</param>
/// <param name="entropy">The initial source of RDRAND and RDSEED.</param>
// SAFETY: state is that of the processor that owns this unit, and is used by its own handlers only.
internal sealed unsafe class SystemUnit(CpuState* state, CpuidTable cpuid, IMachineClock clock, IEntropySource entropy)
{
    private volatile bool _isRunning;

    /// <summary>The time-stamp counter when translated code can read it too; null when each read asks the clock.</summary>
    public TimeStampCounter? TimeStamps { get; set; }

    /// <summary>The local APIC; null on a machine without a board.</summary>
    public ILocalApic? LocalApic { get; set; }

    /// <summary>
    /// Whether <see cref="VirtualCpu.Run"/> is running, in which time may be shared with translated code. Read by other threads too.
    /// </summary>
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

    /// <summary>What CPUID returns in the current state.</summary>
    public CpuidValues QueryCpuid(uint leaf, uint subleaf) => cpuid.Query(state, leaf, subleaf, LocalApic is { IsEnabled: true });

    /// <summary>The time-stamp counter as the guest reads it.</summary>
    public ulong ReadTsc()
    {
        // With CR4.TSD translated code cannot read it, because at CPL 3 that raises #GP.
        bool share = IsRunning && (state->Cr4 & Cr4.TSD) == 0;
        return (TimeStamps?.Read(share) ?? clock.ReadTsc()) + state->TscAdjust;
    }

    /// <summary>Stops translated code from reading the time-stamp counter by itself, until the next <see cref="ReadTsc"/>.</summary>
    public void StopTimeStamps() => TimeStamps?.Stop();
}
