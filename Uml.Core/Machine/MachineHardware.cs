using Microsoft.Extensions.Logging;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>The parts of a machine besides its devices.</summary>
/// <param name="Memory">Guest RAM; disposed with the machine when it is disposable.</param>
/// <param name="Bus">The address spaces.</param>
/// <param name="Cpus">The virtual CPUs, at least one; disposed with the machine.</param>
internal sealed record MachineHardware(IGuestMemory Memory, IMachineBus Bus, IReadOnlyList<ICpuRunner> Cpus) : IDisposable
{
    /// <summary>The CPU that a kernel is entered on.</summary>
    public ICpuRunner BootCpu => Cpus[0];

    public void Dispose()
    {
        foreach (ICpuRunner cpu in Cpus)
        {
            cpu.Dispose();
        }

        (Memory as IDisposable)?.Dispose();
    }
}

/// <summary>Makes the parts of a machine. Tests of the life cycle have one for scripted CPUs.</summary>
internal interface IMachineHardwareFactory
{
    MachineHardware Create(MachineOptions options, MachineClock clock, ILoggerFactory loggers);
}
