using Microsoft.Extensions.Logging;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>Makes the machine that guests run on.</summary>
internal sealed class MachineHardwareFactory : IMachineHardwareFactory
{
    public MachineHardware Create(MachineOptions options, MachineClock clock, ILoggerFactory loggers)
    {
        GuestRam ram = new(options.MemorySize);
        MachineBus bus = new(ram.Ranges);
        VirtualCpu cpu = new(0, ram, bus, clock, options.Cpu, loggers.CreateLogger("Uml.Core.Cpu"));
        return new MachineHardware(ram, bus, cpu);
    }
}
