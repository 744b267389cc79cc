using Uml.Core.Bus;
using Uml.Core.Snapshots;

namespace Uml.Devices.Pci;

/// <summary>
/// Configuration access through an address and a data register (PCI Local Bus Specification 3.0, 3.2.2.3.2). The reset control
/// register lies inside the address register and answers byte accesses (Intel 82371AB datasheet, 4.1.6).
/// </summary>
internal sealed class PciConfigPorts(PciHostBridge bridge, IBusDevice resetControl) : IBusDevice, IStateful
{
    /// <summary>Number of ports.</summary>
    public const byte Count = 8;

    private const ulong ResetControlOffset = 1;
    private const ulong DataOffset = 4;
    private const uint Enable = 1u << 31;
    private const uint AddressMask = 0x80FF_FFFC;
    private const uint BusMask = 0x00FF_0000;

    private uint _address;

    public void Reset() => _address = 0;

    /// <inheritdoc/>
    public void SaveState(StateWriter state) => state.Write(_address);

    /// <inheritdoc/>
    public void RestoreState(StateReader state) => _address = state.ReadUInt32() & AddressMask;

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size)
    {
        if (offset == ResetControlOffset && size == 1)
        {
            return resetControl.Read(processor, 0, 1);
        }

        if (offset >= DataOffset)
        {
            return IsFunctionSelected ? bridge.ReadConfig(GetConfigAddress(offset), size) : ulong.MaxValue;
        }

        return offset == 0 && size == sizeof(uint) ? _address : ulong.MaxValue;
    }

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        if (offset == ResetControlOffset && size == 1)
        {
            resetControl.Write(processor, 0, 1, value);
        }
        else if (offset >= DataOffset)
        {
            if (IsFunctionSelected)
            {
                bridge.WriteConfig(GetConfigAddress(offset), size, (uint)value);
            }
        }
        else if (offset == 0 && size == sizeof(uint))
        {
            _address = (uint)value & AddressMask;
        }
    }

    private bool IsFunctionSelected => (_address & (Enable | BusMask)) == Enable;

    // Device and function in bits 8 to 15, register in bits 2 to 7; the data ports select the byte.
    private int GetConfigAddress(ulong offset) => (int)(((_address & 0xFF00) << 4) | (_address & 0xFC) | (uint)(offset - DataOffset));
}
