using Microsoft.Extensions.Logging;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>Makes the parts of a machine that runs guests.</summary>
internal sealed class MachineHardwareFactory : IMachineHardwareFactory
{
    public MachineHardware Create(MachineOptions options, MachineClock clock, ILoggerFactory loggers)
    {
        GuestRam ram = CreateRam(options, loggers);
        MachineBus bus = new(ram.Ranges);
        ILogger logger = loggers.CreateLogger("Uml.Core.Cpu");
        return new MachineHardware(
            ram, bus, [.. Enumerable.Range(0, options.Cpu.Count).Select(index => new VirtualCpu(index, ram, bus, clock, options.Cpu, logger))]);
    }

    private static GuestRam CreateRam(MachineOptions options, ILoggerFactory loggers)
    {
        if (!options.ShareableMemory)
        {
            return new GuestRam(options.MemorySize);
        }

        GuestRam ram = GuestRam.Create(options.MemorySize, out string? refusal);
        if (refusal is not null)
        {
            MachineLog.MemoryNotShareable(loggers.CreateLogger("Uml.Core.Machine"), options.Name, refusal);
        }

        return ram;
    }
}
