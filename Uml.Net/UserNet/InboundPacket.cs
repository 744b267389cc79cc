using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.UserNet;

/// <summary>A packet of IP that a guest has sent, whose headers agree with its length.</summary>
internal readonly ref struct InboundPacket
{
    private readonly NetFrame _frame;
    private readonly ReadOnlySpan<byte> _head;
    private readonly FrameLayout _layout;
    private readonly int _end;

    private InboundPacket(NetFrame frame, ReadOnlySpan<byte> head, FrameLayout layout, int end)
    {
        _frame = frame;
        _head = head;
        _layout = layout;
        _end = end;
        int address = layout.Network + (layout.IsIp6 ? 8 : 12);
        Source = layout.IsIp6 ? InternetAddress.Read6(head[address..]) : InternetAddress.Read4(head[address..]);
        Destination = layout.IsIp6 ? InternetAddress.Read6(head[(address + 16)..]) : InternetAddress.Read4(head[(address + 4)..]);
    }

    /// <summary>The sender's address of Ethernet.</summary>
    public ulong Mac => IpHeader.ReadMac(_head[IpHeader.MacLength..]);

    public InternetAddress Source { get; }

    public InternetAddress Destination { get; }

    /// <summary>What is behind the header of IP.</summary>
    public byte Protocol => _layout.Protocol;

    /// <summary>How far it may still go.</summary>
    public byte Hops => _head[_layout.Network + (_layout.IsIp6 ? 7 : 8)];

    public bool IsFragment => _layout.IsFragment;

    /// <summary>Bytes behind the header of IP.</summary>
    public int Length => _end - _layout.Transport;

    /// <summary>The first bytes behind the header of IP: all, or enough for any header.</summary>
    public ReadOnlySpan<byte> Head => _head[_layout.Transport..Math.Min(_head.Length, _end)];

    /// <summary>Bytes of each datagram of UDP that it stands for; 0 for one.</summary>
    public int DatagramSize => (_frame.Offload.Segmentation & ~NetSegmentation.Ecn) == NetSegmentation.Udp ? _frame.Offload.SegmentSize : 0;

    /// <summary>What is behind the header of IP, from a place on.</summary>
    public FrameData Data(int start) => new(_frame, _layout.Transport + start, Length - start);

    /// <summary>The packet itself, from its header of IP: what messages of errors quote.</summary>
    public ReadOnlySpan<byte> Quote => _head[_layout.Network..Math.Min(_head.Length, _end)];

    /// <summary>Finds the packet in a frame.</summary>
    /// <returns>False when there is none of IP, or what its headers say is not so.</returns>
    public static bool TryRead(NetFrame frame, ReadOnlySpan<byte> head, out InboundPacket packet)
    {
        packet = default;
        if (!FrameLayout.TryParse(head, out FrameLayout layout) || layout.Network != FrameLayout.EthernetLength)
        {
            return false;
        }

        ReadOnlySpan<byte> network = head[layout.Network..];
        int length = layout.IsIp6
            ? FrameLayout.Ip6Length + BinaryPrimitives.ReadUInt16BigEndian(network[4..])
            : BinaryPrimitives.ReadUInt16BigEndian(network[2..]);
        int end = layout.Network + length;
        if (end > frame.Length || end < layout.Transport
            || (!layout.IsIp6 && InternetChecksum.Complete(InternetChecksum.Add(head[layout.Network..layout.Transport])) != 0))
        {
            return false;
        }

        packet = new InboundPacket(frame, head, layout, end);

        // An address of IPv4 that IPv6 maps is one for programs, not for packets (RFC 4291, 2.5.5.2): here it would be that of IPv4.
        return packet.Source.IsIp4 != layout.IsIp6 && packet.Destination.IsIp4 != layout.IsIp6;
    }

    /// <summary>Whether the checksum over all behind the header of IP is right, or need not be looked at (virtio 1.2, 5.1.6.4.1).</summary>
    public bool IsChecksumRight()
    {
        if ((_frame.Offload.Flags & (NetOffload.NeedsChecksum | NetOffload.DataIsValid)) != 0)
        {
            return true;
        }

        ulong sum = IpHeader.SumPseudoHeader(Source, Destination, Protocol, Length);
        return InternetChecksum.Complete(InternetChecksum.Add(Data(0), sum)) == 0;
    }
}
