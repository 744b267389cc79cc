using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Pci;

namespace Uml.Devices.Tests.Pci;

/// <summary>A PCI function that the test puts together.</summary>
internal sealed class TestFunction(IPciBus bus, in PciIdentity identity, string id = "test") : PciFunction(bus, id, identity)
{
    public PciMsix? Msix { get; private set; }

    public int Resets { get; private set; }

    public new void AddBar(PciBar bar) => base.AddBar(bar);

    public new int AddCapability(byte id, ReadOnlySpan<byte> body, ReadOnlySpan<byte> writable = default) => base.AddCapability(id, body, writable);

    public new PciMsix AddMsix(int barIndex, int vectorCount) => Msix = base.AddMsix(barIndex, vectorCount);

    public void Raise(int vector) => Msix!.Raise(vector);

    public new void AddInterruptPin() => base.AddInterruptPin();

    public new void SetInterrupt(bool asserted) => base.SetInterrupt(asserted);

    public bool IsBroken { get; set; }

    protected override void OnAttached(IMachineContext machine)
    {
        if (IsBroken)
        {
            throw new InvalidDataException("broken");
        }
    }

    protected override void ResetRegisters() => Resets++;

    protected override void SaveRegisters(StateWriter state) => state.WriteNone();

    protected override void RestoreRegisters(StateReader state) => state.ReadNone();
}
