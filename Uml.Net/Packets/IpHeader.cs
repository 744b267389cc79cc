using System.Buffers.Binary;

namespace Uml.Net.Packets;

/// <summary>Writes the headers of Ethernet and IP (RFC 791, 3.1; RFC 8200, 3), and checksums of what is behind.</summary>
internal static class IpHeader
{
    public const ushort Ip4Type = 0x0800, Ip6Type = 0x86DD, ArpType = 0x0806;
    public const byte Icmp4 = 1, Icmp6 = 58;

    public const int MacLength = 6;

    private const byte DefaultHops = 64;

    /// <summary>Bytes of both headers.</summary>
    public static int Length(bool isIp4) => FrameLayout.EthernetLength + (isIp4 ? FrameLayout.Ip4Length : FrameLayout.Ip6Length);

    /// <summary>Writes the header of Ethernet.</summary>
    public static void WriteEthernet(Span<byte> frame, ulong destination, ulong source, ushort type)
    {
        WriteMac(frame, destination);
        WriteMac(frame[MacLength..], source);
        BinaryPrimitives.WriteUInt16BigEndian(frame[(2 * MacLength)..], type);
    }

    public static void WriteMac(Span<byte> bytes, ulong mac)
    {
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)(mac >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(bytes[2..], (uint)mac);
    }

    public static ulong ReadMac(ReadOnlySpan<byte> bytes) => ((ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes) << 32) | BinaryPrimitives.ReadUInt32BigEndian(bytes[2..]);

    /// <summary>Writes the header of IP, behind that of Ethernet, both addresses being of one family.</summary>
    /// <param name="packet">Where it belongs.</param>
    /// <param name="source">Who sends.</param>
    /// <param name="destination">To whom.</param>
    /// <param name="protocol">What is behind.</param>
    /// <param name="length">Bytes behind.</param>
    /// <param name="hops">How far it may go.</param>
    public static void Write(Span<byte> packet, InternetAddress source, InternetAddress destination, byte protocol, int length, byte hops = DefaultHops)
    {
        const ushort dontFragment = 0x4000;
        if (!source.IsIp4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(packet, 0x6000_0000);
            BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)length);
            (packet[6], packet[7]) = (protocol, hops);
            source.Write(packet[8..]);
            destination.Write(packet[24..]);
            return;
        }

        BinaryPrimitives.WriteUInt16BigEndian(packet, 0x4500);
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)(FrameLayout.Ip4Length + length));
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(packet[6..], dontFragment);
        (packet[8], packet[9]) = (hops, protocol);
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], 0);
        source.Write(packet[12..]);
        destination.Write(packet[16..]);
        InternetChecksum.Write(packet[10..], InternetChecksum.Add(packet[..FrameLayout.Ip4Length]));
    }

    /// <summary>The sum of the pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1).</summary>
    public static ulong SumPseudoHeader(InternetAddress source, InternetAddress destination, byte protocol, int length)
    {
        Span<byte> addresses = stackalloc byte[2 * InternetAddress.Length6];
        int size = source.Write(addresses);
        size += destination.Write(addresses[size..]);
        return InternetChecksum.Add(addresses[..size]) + InternetChecksum.Word((ushort)length) + InternetChecksum.Word(protocol) + InternetChecksum.Word((ushort)(length >> 16));
    }
}
