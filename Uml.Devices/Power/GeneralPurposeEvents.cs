using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Platform;

namespace Uml.Devices.Power;

/// <summary>
/// ACPI's general-purpose events (ACPI specification 6.5, 4.8.4.1): a status register, whose bits the guest clears by writing 1, and behind it one
/// that enables them. While an enabled event is pending the system control interrupt is asserted.
/// </summary>
/// <remarks>Events are levels: as long as there is cause for one, its status is set again when it is cleared, as a guest does that begins.</remarks>
internal sealed class GeneralPurposeEvents(IInterruptRouter router) : IMachineDevice, IBusDevice
{
    /// <summary>The usual interrupt of power events (5.2.9, SCI_INT).</summary>
    public const byte SystemControlInterrupt = 9;

    /// <summary>Bytes of both registers.</summary>
    public const int Length = 2;

    /// <summary>The event of PCI's slots, and the method that the guest runs for it before it clears the status (5.6.4).</summary>
    public const int PciSlots = 1;
    public const string PciSlotsMethod = "_L01";

    private const byte Implemented = 1 << PciSlots;
    private const int EnableShift = 8;

    private IInterruptLine? _line;
    private byte _status, _enabled, _causes;

    /// <inheritdoc/>
    public string Id => "gpe";

    /// <summary>Whether the guest has enabled an event.</summary>
    public bool IsEnabled(int number) => (_enabled & (1 << number)) != 0;

    /// <summary>There is cause for an event, or there is none any more.</summary>
    public void Set(int number, bool hasCause)
    {
        byte bit = (byte)(1 << number);
        _causes = (byte)(hasCause ? _causes | bit : _causes & ~bit);
        Update();
    }

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        machine.Bus.MapPorts(PortMap.GeneralPurposeEvents, Length, this);
        _line = machine.Own(router.GetLine(Id, SystemControlInterrupt));
    }

    /// <inheritdoc/>
    public void Detach() => _line = null;

    /// <inheritdoc/>
    public void Reset()
    {
        (_status, _enabled, _causes) = (0, 0, 0);
        Update();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(_status);
        state.Write(_enabled);
        state.Write(_causes);
        state.Write(_line);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _status = (byte)(state.ReadByte() & Implemented);
        _enabled = (byte)(state.ReadByte() & Implemented);
        _causes = (byte)(state.ReadByte() & Implemented);
        state.Restore(_line);
    }

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size) => ((ulong)_status | ((ulong)_enabled << EnableShift)) >> (int)(offset * 8);

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        ulong written = value << (int)(offset * 8);
        _status &= (byte)~(offset == 0 ? written : 0);
        if (offset + (ulong)size == Length)
        {
            _enabled = (byte)((written >> EnableShift) & Implemented);
        }

        Update();
    }

    private void Update()
    {
        _status |= _causes;
        _line?.Set((_status & _enabled) != 0);
    }
}
