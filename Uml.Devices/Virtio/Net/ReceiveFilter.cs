using System.Buffers.Binary;
using Uml.Core.Snapshots;

namespace Uml.Devices.Virtio.Net;

/// <summary>Which frames the driver wants (virtio 1.2, 5.1.6.5.1 to 5.1.6.5.3). It wants all until it says otherwise.</summary>
internal sealed class ReceiveFilter
{
    public const int MacLength = 6;

    /// <summary>Addresses of a table; when a driver sets more, it gets all frames of their kind.</summary>
    private const int MaximumAddresses = 64;
    private const int VlanCount = 4096;
    private const byte InitialModes = 1 << VirtioNetLayout.Promiscuous, AllModes = (2 << VirtioNetLayout.NoBroadcast) - 1;
    private const int TypeField = 12, TagField = 14;
    private const ushort VlanType = 0x8100;
    private const ulong Group = 1UL << 40, Broadcast = 0xFFFF_FFFF_FFFF;

    private readonly ulong[] _addresses = new ulong[2 * MaximumAddresses];
    private readonly ulong[] _vlans = new ulong[VlanCount / 64];
    private int _unicast, _multicast;
    private bool _hasVlans;

    /// <summary>A bit for each mode that is on, as commands number them: <see cref="VirtioNetLayout.Promiscuous"/> and those behind it.</summary>
    private byte _modes = InitialModes;

    /// <summary>Bytes of a frame's beginning that decide.</summary>
    public const int HeadLength = 16;

    /// <summary>The card's own address.</summary>
    public ulong Own { get; set; }

    /// <summary>Whether the driver wants a frame.</summary>
    /// <param name="head">Its first <see cref="HeadLength"/> bytes.</param>
    public bool Wants(ReadOnlySpan<byte> head)
    {
        if (_hasVlans && BinaryPrimitives.ReadUInt16BigEndian(head[TypeField..]) == VlanType)
        {
            int vlan = BinaryPrimitives.ReadUInt16BigEndian(head[TagField..]) % VlanCount;
            if ((_vlans[vlan / 64] & (1UL << (vlan % 64))) == 0)
            {
                return false;
            }
        }

        if (Is(VirtioNetLayout.Promiscuous))
        {
            return true;
        }

        ulong destination = BinaryPrimitives.ReadUInt64BigEndian(head) >> 16;
        if (destination == Broadcast)
        {
            return !Is(VirtioNetLayout.NoBroadcast);
        }

        return (destination & Group) != 0
            ? !Is(VirtioNetLayout.NoMulticast) && (Is(VirtioNetLayout.AllMulticast) || _multicast > MaximumAddresses || Has(MaximumAddresses, _multicast, destination))
            : !Is(VirtioNetLayout.NoUnicast) && (Is(VirtioNetLayout.AllUnicast) || destination == Own || _unicast > MaximumAddresses || Has(0, _unicast, destination));
    }

    /// <summary>Takes a table of addresses: one of stations, one of groups, each with a count of four bytes before.</summary>
    /// <returns>False when it is none.</returns>
    public bool TrySetTable(ReadOnlySpan<byte> table)
    {
        if (!TryReadList(ref table, 0, out int unicast) || !TryReadList(ref table, MaximumAddresses, out int multicast))
        {
            return false;
        }

        (_unicast, _multicast) = (unicast, multicast);
        return true;
    }

    /// <summary>Switches a mode on or off.</summary>
    /// <param name="mode">The command that does.</param>
    /// <param name="isOn">Whether it is on.</param>
    public void SetMode(ushort mode, bool isOn) => _modes = (byte)(isOn ? _modes | (1 << mode) : _modes & ~(1 << mode));

    /// <summary>Adds a VLAN, or takes it away. With the first one, the others are unwanted.</summary>
    public void SetVlan(int vlan, bool isWanted)
    {
        _hasVlans = true;
        ulong bit = 1UL << (vlan % 64);
        ref ulong word = ref _vlans[vlan % VlanCount / 64];
        word = isWanted ? word | bit : word & ~bit;
    }

    public void Reset()
    {
        (_modes, _unicast, _multicast, _hasVlans) = (InitialModes, 0, 0, false);
        _vlans.AsSpan().Clear();
    }

    public void SaveState(StateWriter state)
    {
        state.Write(_modes);
        state.Write(_hasVlans);
        state.Write(Own);
        state.Write(_unicast);
        state.Write(_multicast);
        foreach (ulong word in (ReadOnlySpan<ulong>)[.. _addresses, .. _vlans])
        {
            state.Write(word);
        }
    }

    public void RestoreState(StateReader state)
    {
        _modes = state.ReadByte(0, AllModes);
        _hasVlans = state.ReadBoolean();
        Own = state.ReadUInt64();
        _unicast = state.ReadInt32(0, int.MaxValue);
        _multicast = state.ReadInt32(0, int.MaxValue);
        for (int i = 0; i < _addresses.Length; i++)
        {
            _addresses[i] = state.ReadUInt64();
        }

        for (int i = 0; i < _vlans.Length; i++)
        {
            _vlans[i] = state.ReadUInt64();
        }
    }

    private bool Is(ushort mode) => (_modes & (1 << mode)) != 0;

    private bool Has(int from, int count, ulong address) => _addresses.AsSpan(from, count).Contains(address);

    private bool TryReadList(ref ReadOnlySpan<byte> table, int to, out int count)
    {
        count = 0;
        if (table.Length < sizeof(uint))
        {
            return false;
        }

        uint entries = BinaryPrimitives.ReadUInt32LittleEndian(table);
        table = table[sizeof(uint)..];
        if (entries > (uint)(table.Length / MacLength))
        {
            return false;
        }

        count = (int)entries;
        for (int i = 0; i < Math.Min(count, MaximumAddresses); i++)
        {
            _addresses[to + i] = ReadMac(table[(i * MacLength)..]);
        }

        table = table[(count * MacLength)..];
        return true;
    }

    /// <summary>An address of six bytes as a number.</summary>
    public static ulong ReadMac(ReadOnlySpan<byte> address) =>
        ((ulong)BinaryPrimitives.ReadUInt32BigEndian(address) << 16) | BinaryPrimitives.ReadUInt16BigEndian(address[sizeof(uint)..]);
}
