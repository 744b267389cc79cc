using System.Buffers.Binary;
using Uml.Net.Packets;

namespace Uml.Net.UserNet;

/// <summary>Sends what is longer than a packet in fragments (RFC 791, 3.2; RFC 8200, 4.5): datagrams of UDP, which cannot be cut otherwise.</summary>
internal static class PacketFragments
{
    private const int Unit = 8, Ip6HeaderLength = 8;
    private const byte Ip6Protocol = 44;

    public static void Send(NetworkStack stack, InternetAddress source, InternetAddress destination, ulong mac, byte protocol, ReadOnlySpan<byte> payload)
    {
        bool isIp4 = source.IsIp4;
        int header = IpHeader.Length(isIp4) - FrameLayout.EthernetLength + (isIp4 ? 0 : Ip6HeaderLength);
        int most = (stack.Options.Mtu - header) & ~(Unit - 1);
        uint identification = stack.NextIdentification();
        Span<byte> frame = stack.Udp.FragmentBuffer;
        for (int start = 0; start < payload.Length; start += most)
        {
            int length = Math.Min(most, payload.Length - start);
            bool isLast = start + length == payload.Length;
            IpHeader.WriteEthernet(frame, mac, stack.Addresses.Mac, isIp4 ? IpHeader.Ip4Type : IpHeader.Ip6Type);
            Span<byte> packet = frame[FrameLayout.EthernetLength..];
            if (isIp4)
            {
                IpHeader.Write(packet, source, destination, protocol, length);
                WriteFragment4(packet, (ushort)identification, start, isLast);
            }
            else
            {
                IpHeader.Write(packet, source, destination, Ip6Protocol, Ip6HeaderLength + length);
                Span<byte> fragment = packet[FrameLayout.Ip6Length..];
                (fragment[0], fragment[1]) = (protocol, 0);
                BinaryPrimitives.WriteUInt16BigEndian(fragment[2..], (ushort)(start | (isLast ? 0 : 1)));
                BinaryPrimitives.WriteUInt32BigEndian(fragment[4..], identification);
            }

            payload.Slice(start, length).CopyTo(packet[header..]);
            stack.SendFrame(frame[..(FrameLayout.EthernetLength + header + length)]);
        }
    }

    private static void WriteFragment4(Span<byte> packet, ushort identification, int start, bool isLast)
    {
        const ushort moreFragments = 0x2000;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], identification);
        BinaryPrimitives.WriteUInt16BigEndian(packet[6..], (ushort)((start / Unit) | (isLast ? 0 : moreFragments)));
        packet.Slice(10, sizeof(ushort)).Clear();
        InternetChecksum.Write(packet[10..], InternetChecksum.Add(packet[..FrameLayout.Ip4Length]));
    }
}
