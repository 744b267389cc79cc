using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Platform.Acpi;

namespace Uml.Devices.Consoles;

/// <summary>The serial ports of a board: the first one, and those that somebody registered a channel for.</summary>
internal sealed class SerialPorts : IMachineDevice, IAcpiContributor
{
    private readonly List<Uart16550> _uarts = [];

    /// <summary>Finds the channels by the names of the ports.</summary>
    public SerialPorts(IServiceProvider services, IInterruptRouter router)
    {
        foreach (var port in SerialPort.All)
        {
            var channel = services.GetKeyedService<IConsoleChannel>(port.Name);
            if (port.Number == 1)
            {
                channel ??= services.GetService<IConsoleChannel>() ?? new NullConsoleChannel();
            }

            if (channel is not null)
            {
                _uarts.Add(new Uart16550(port, new CheckedConsoleChannel(channel), router));
            }
        }
    }

    /// <inheritdoc/>
    public void Attach(IMachineContext machine) => _uarts.ForEach(uart => uart.Attach(machine));

    /// <inheritdoc/>
    public void Describe(AmlWriter scope) => _uarts.ForEach(uart => uart.Describe(scope));
}
