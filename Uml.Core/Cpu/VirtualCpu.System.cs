using Uml.Core.Bus;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu.Time;

namespace Uml.Core.Cpu;

/// <summary>The managed side of system instructions: the CPU model, the clock, CR8, random numbers, one-time reports.</summary>
internal sealed unsafe partial class VirtualCpu
{
    private readonly SystemLog _systemLog;

    /// <summary>The time-stamp counter, where translated code can read it too.</summary>
    private readonly TimeStampCounter? _timeStamps;

    /// <summary>The CPU model.</summary>
    public CpuidTable Cpuid { get; }

    /// <summary>What RDRAND and RDSEED draw from; seeded in machines whose runs must be identical.</summary>
    public IEntropySource Entropy { get; set; } = new HostEntropySource();

    /// <summary>CR8, 0 to 15.</summary>
    public byte TaskPriority
    {
        get => _localApic?.TaskPriority ?? 0;
        set
        {
            if (_localApic is { } apic)
            {
                apic.TaskPriority = value;
            }
        }
    }

    /// <summary>MSR_PLATFORM_INFO: the ratio of the time-stamp counter to 100 MHz in bits 15..8; no CPUID faulting.</summary>
    public ulong PlatformInfo => Math.Clamp(Clock.TscFrequency / 100_000_000, 1, 255) << 8;

    /// <summary>CPUID as the guest sees it now.</summary>
    public CpuidValues QueryCpuid(uint leaf, uint subleaf) => Cpuid.Query(_state, leaf, subleaf, _localApic is { IsEnabled: true });

    /// <summary>The time-stamp counter as the guest reads it.</summary>
    public ulong ReadTsc()
    {
        // User code that may not read it gets #GP instead.
        bool share = _running && (_state->Cr4 & ControlRegisters.TSD) == 0;
        return (_timeStamps?.Read(share) ?? Clock.ReadTsc()) + _state->TscAdjust;
    }

    /// <summary>From here on translated code may not read the time-stamp counter by itself, until <see cref="ReadTsc"/> lets it.</summary>
    public void StopTimeStamps() => _timeStamps?.Stop();

    /// <summary>Gives the processor what its model has: the one place where features are switched on.</summary>
    private void ApplyModel(CpuModel model) => _state->Features = CpuModels.FeaturesOf(CpuModels.Resolve(model));

    /// <summary>Logs a report unless the same one was logged before.</summary>
    public void Report(SystemReport report, ulong detail) => _systemLog.ReportOnce(report, detail);
}
