using Microsoft.Extensions.Logging;

namespace Uml.Core;

/// <summary>Makes the machine that guests run on.</summary>
internal sealed class MachineHardwareFactory : IMachineHardwareFactory
{
    public MachineHardware Create(MachineOptions options, MachineClock clock, ILoggerFactory loggers) =>
        throw new NotImplementedException();
}
