using System.Buffers.Binary;

namespace Uml.Net.Packets;

/// <summary>Where the headers of a frame are: Ethernet with up to two VLAN tags, IPv4 or IPv6, and what comes behind.</summary>
internal readonly struct FrameLayout
{
    public const int EthernetLength = 14, VlanTagLength = 4, Ip4Length = 20, Ip6Length = 40, UdpLength = 8, TcpLength = 20;
    public const byte Tcp = 6, Udp = 17;

    /// <summary>Bytes of a frame's beginning that are enough for <see cref="TryParse"/>: two tags, and IPv6 with some extension headers.</summary>
    public const int HeadLength = 256;

    private const ushort Ip4Type = 0x0800, Ip6Type = 0x86DD, VlanType = 0x8100, ServiceVlanType = 0x88A8;
    private const byte HopByHop = 0, Routing = 43, DestinationOptions = 60;
    private const int MaximumTags = 2, MaximumExtensions = 8;

    /// <summary>Offset of the IP header.</summary>
    public int Network { get; private init; }

    /// <summary>Offset of the header behind that of IP, extension headers left out.</summary>
    public int Transport { get; private init; }

    /// <summary>What that header is (IANA, protocol numbers).</summary>
    public byte Protocol { get; private init; }

    public bool IsIp6 { get; private init; }

    /// <summary>Whether it is a fragment, which has no header of its own behind that of IP, or one that tells of more than is here.</summary>
    public bool IsFragment { get; private init; }

    /// <summary>Finds the headers.</summary>
    /// <param name="head">The beginning of the frame.</param>
    /// <param name="layout">Where they are.</param>
    /// <returns>False when the frame has none of IP, or they are cut off or none at all.</returns>
    public static bool TryParse(ReadOnlySpan<byte> head, out FrameLayout layout)
    {
        layout = default;
        int type = EthernetLength - sizeof(ushort);
        for (int tags = 0; ; tags++)
        {
            if (head.Length < type + sizeof(ushort))
            {
                return false;
            }

            int network = type + sizeof(ushort);
            switch (BinaryPrimitives.ReadUInt16BigEndian(head[type..]))
            {
                case VlanType or ServiceVlanType when tags < MaximumTags:
                    type += VlanTagLength;
                    continue;
                case Ip4Type:
                    return TryParse4(head, network, out layout);
                case Ip6Type:
                    return TryParse6(head, network, out layout);
                default:
                    return false;
            }
        }
    }

    /// <summary>The sum of the pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1).</summary>
    /// <param name="head">The beginning of the frame.</param>
    /// <param name="length">Bytes of the header behind that of IP, and of its data.</param>
    public ulong SumPseudoHeader(ReadOnlySpan<byte> head, int length)
    {
        const int Source4 = 12, Source6 = 8;
        ReadOnlySpan<byte> addresses = IsIp6 ? head.Slice(Network + Source6, 32) : head.Slice(Network + Source4, 8);
        return InternetChecksum.Add(addresses) + InternetChecksum.Word((ushort)length) + InternetChecksum.Word(Protocol) + InternetChecksum.Word((ushort)(length >> 16));
    }

    private static bool TryParse4(ReadOnlySpan<byte> head, int network, out FrameLayout layout)
    {
        const int ProtocolField = 9, FragmentField = 6;
        const ushort MoreAndOffset = 0x3FFF;
        layout = default;
        if (head.Length < network + Ip4Length || head[network] >> 4 != 4)
        {
            return false;
        }

        int length = (head[network] & 0xF) * 4;
        if (length < Ip4Length || head.Length < network + length)
        {
            return false;
        }

        layout = new FrameLayout
        {
            Network = network,
            Transport = network + length,
            Protocol = head[network + ProtocolField],
            IsFragment = (BinaryPrimitives.ReadUInt16BigEndian(head[(network + FragmentField)..]) & MoreAndOffset) != 0,
        };
        return true;
    }

    private static bool TryParse6(ReadOnlySpan<byte> head, int network, out FrameLayout layout)
    {
        const int NextField = 6;
        const byte Fragment = 44;
        layout = default;
        if (head.Length < network + Ip6Length || head[network] >> 4 != 6)
        {
            return false;
        }

        byte next = head[network + NextField];
        int at = network + Ip6Length;
        for (int i = 0; next is HopByHop or Routing or DestinationOptions; i++)
        {
            if (i == MaximumExtensions || head.Length < at + 8)
            {
                return false;
            }

            // The length counts units of 8 bytes behind the first (RFC 8200, 4.3).
            next = head[at];
            at += (head[at + 1] + 1) * 8;
        }

        if (head.Length < at)
        {
            return false;
        }

        layout = new FrameLayout { Network = network, Transport = at, Protocol = next, IsIp6 = true, IsFragment = next == Fragment };
        return true;
    }
}
