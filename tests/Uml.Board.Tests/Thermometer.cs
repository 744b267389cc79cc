using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Acpi;

namespace Uml.Board.Tests;

/// <summary>A device that a guest finds in the ACPI namespace: one port that reads 21.</summary>
internal sealed class Thermometer() : StatelessDevice("thermometer"), IBusDevice, IAcpiContributor
{
    public const ushort Port = 0x5A0;

    public override void Attach(IMachineContext machine) => machine.Bus.MapPorts(Port, 1, this);

    public ulong Read(IProcessor processor, ulong offset, int size) => 21;

    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
    }

    public void Describe(AmlWriter scope) => scope.Device("THRM", device =>
    {
        device.NameString("_HID", "UML0001");
        device.NameInteger("_UID", 0);
        device.NameResources("_CRS", new ResourceTemplate().Io(Port, 1));
    });
}
