using System.Buffers.Binary;
using System.Net;
using Uml.Net.Tests.Packets;

namespace Uml.Net.Tests.Transports;

/// <summary>Packets to the IP stack of the host.</summary>
internal static class HostPacket
{
    /// <summary>An echo request (RFC 792).</summary>
    public static byte[] Echo(int length, byte[] source, byte[] destination, IPAddress from, IPAddress to)
    {
        byte[] icmp = [8, 0, 0, 0, 0, 1, 0, 2, .. Enumerable.Range(0, length).Select(i => (byte)i)];
        BinaryPrimitives.WriteUInt16BigEndian(icmp.AsSpan(2), (ushort)~Packet.Sum(icmp));
        return [.. destination, .. source, 8, 0, .. Ip(1, icmp.Length, from, to), .. icmp];
    }

    /// <summary>A datagram whose checksum is left to be completed.</summary>
    public static byte[] Udp(byte[] data, byte[] source, byte[] destination, IPAddress from, IPAddress to, int port)
    {
        int length = 8 + data.Length;
        ushort sum = Packet.Sum(from.GetAddressBytes(), to.GetAddressBytes(), [0, 17, (byte)(length >> 8), (byte)length]);
        byte[] udp = [0x12, 0x34, (byte)(port >> 8), (byte)port, (byte)(length >> 8), (byte)length, (byte)(sum >> 8), (byte)sum, .. data];
        return [.. destination, .. source, 8, 0, .. Ip(17, length, from, to), .. udp];
    }

    private static byte[] Ip(byte protocol, int length, IPAddress from, IPAddress to)
    {
        int total = 20 + length;
        byte[] header = [0x45, 0, (byte)(total >> 8), (byte)total, 0, 1, 0, 0, 64, protocol, 0, 0, .. from.GetAddressBytes(), .. to.GetAddressBytes()];
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(10), (ushort)~Packet.Sum(header));
        return header;
    }
}
