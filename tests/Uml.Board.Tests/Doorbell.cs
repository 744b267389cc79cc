using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Pci;

namespace Uml.Board.Tests;

/// <summary>
/// A PCI function of another package: register 0 rings the vector that is written to it, in guest time a microsecond later, register 4
/// counts rings, register 8 is the interrupt pin. The same registers are in memory and in ports.
/// </summary>
internal sealed class Doorbell : PciFunction, IBusDevice
{
    private const ulong Delay = 1000;

    private readonly PciMsix _msix;
    private IMachineTimer? _timer;
    private uint _vector;
    private uint _rings;
    private bool _pin;

    public Doorbell(IPciBus bus, string id = "doorbell")
        : base(bus, id, new PciIdentity(Vendor: 0x1234, Device: 0x0001, ClassCode: 0xFF_00_00))
    {
        AddBar(new PciBar { Index = 0, Length = 0x1000, Device = this });
        AddBar(new PciBar { Index = 1, Length = 0x10, Kind = PciBarKind.Ports, Device = this });
        _msix = AddMsix(barIndex: 2, vectorCount: 4);
        AddInterruptPin();
    }

    public ulong Read(IProcessor processor, ulong offset, int size) => offset switch
    {
        0 => _vector,
        4 => _rings,
        8 => _pin ? 1UL : 0,
        _ => 0,
    };

    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        switch (offset)
        {
            case 0:
                _vector = (uint)value;
                _timer!.Schedule(Machine!.Clock.Nanoseconds + Delay);
                break;
            case 8:
                _pin = (value & 1) != 0;
                SetInterrupt(_pin);
                break;
        }
    }

    protected override void OnAttached(IMachineContext machine) => _timer = machine.Clock.CreateTimer(Id, Ring);

    protected override void ResetRegisters()
    {
        (_vector, _rings, _pin) = (0, 0, false);
        _timer!.Cancel();
    }

    protected override void SaveRegisters(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(_vector);
        state.Write(_rings);
        state.Write(_pin);
        state.Write(_timer!);
    }

    protected override void RestoreRegisters(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _vector = state.ReadUInt32();
        _rings = state.ReadUInt32();
        _pin = state.ReadBoolean();
        state.Restore(_timer!);
    }

    private void Ring()
    {
        _rings++;
        if (_vector < (uint)_msix.VectorCount)
        {
            _msix.Raise((int)_vector);
        }
    }
}
