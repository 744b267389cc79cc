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
    private const int TypeField = 12, TagField = 14;
    private const ushort VlanType = 0x8100;
    private const ulong Group = 1UL << 40, Broadcast = 0xFFFF_FFFF_FFFF;

    private readonly ulong[] _addresses = new ulong[2 * MaximumAddresses];
    private readonly ulong[] _vlans = new ulong[VlanCount / 64];
    private int _unicast, _multicast;
    private bool _hasVlans;

    /// <summary>Bytes of a frame's beginning that decide.</summary>
    public const int HeadLength = 16;

    public bool IsPromiscuous { get; set; } = true;

    public bool AllMulticast { get; set; }

    public bool AllUnicast { get; set; }

    public bool NoMulticast { get; set; }

    public bool NoUnicast { get; set; }

    public bool NoBroadcast { get; set; }

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

        if (IsPromiscuous)
        {
            return true;
        }

        ulong destination = BinaryPrimitives.ReadUInt64BigEndian(head) >> 16;
        if (destination == Broadcast)
        {
            return !NoBroadcast;
        }

        return (destination & Group) != 0
            ? !NoMulticast && (AllMulticast || _multicast > MaximumAddresses || Has(MaximumAddresses, _multicast, destination))
            : !NoUnicast && (AllUnicast || destination == Own || _unicast > MaximumAddresses || Has(0, _unicast, destination));
    }

    /// <summary>Takes a table of addresses: one of stations, one of groups, each with a count of four bytes before.</summary>
    /// <returns>False when it is none.</returns>
    public bool TrySetTable(ReadOnlySpan<byte> table) =>
        TryReadList(ref table, 0, out int unicast) && TryReadList(ref table, MaximumAddresses, out int multicast) && Set(unicast, multicast);

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
        (IsPromiscuous, AllMulticast, AllUnicast, NoMulticast, NoUnicast, NoBroadcast) = (true, false, false, false, false, false);
        (_unicast, _multicast, _hasVlans) = (0, 0, false);
        _vlans.AsSpan().Clear();
    }

    public void SaveState(StateWriter state)
    {
        foreach (bool flag in (ReadOnlySpan<bool>)[IsPromiscuous, AllMulticast, AllUnicast, NoMulticast, NoUnicast, NoBroadcast, _hasVlans])
        {
            state.Write(flag);
        }

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
        IsPromiscuous = state.ReadBoolean();
        AllMulticast = state.ReadBoolean();
        AllUnicast = state.ReadBoolean();
        NoMulticast = state.ReadBoolean();
        NoUnicast = state.ReadBoolean();
        NoBroadcast = state.ReadBoolean();
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

    private bool Has(int from, int count, ulong address) => _addresses.AsSpan(from, count).Contains(address);

    private bool Set(int unicast, int multicast)
    {
        (_unicast, _multicast) = (unicast, multicast);
        return true;
    }

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
