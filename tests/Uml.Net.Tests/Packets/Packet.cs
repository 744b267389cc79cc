using System.Buffers.Binary;
using System.Net;
using Uml.Net.Frames;

namespace Uml.Net.Tests.Packets;

/// <summary>Makes frames for tests and checks those that come back, independently of the library's own arithmetic.</summary>
internal static class Packet
{
    public const int Ethernet = 14;

    /// <summary>A frame of TCP whose checksum is left to be completed, as a guest makes it.</summary>
    public static byte[] Tcp(bool isIp6, byte[] data, byte flags = 0x18, uint sequence = 0xFFFF_FF00, int options = 12, int tags = 0, int extension = 0)
    {
        byte[] tcp = new byte[20 + options + data.Length];
        BinaryPrimitives.WriteUInt16BigEndian(tcp, 1234);
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(2), 80);
        BinaryPrimitives.WriteUInt32BigEndian(tcp.AsSpan(4), sequence);
        tcp[12] = (byte)((20 + options) / 4 << 4);
        tcp[13] = flags;
        tcp.AsSpan(20, options).Fill(1);
        data.CopyTo(tcp, 20 + options);
        return Frame(isIp6, 6, tcp, 16, tags, extension);
    }

    /// <summary>A frame of UDP whose checksum is left to be completed.</summary>
    public static byte[] Udp(bool isIp6, byte[] data, int tags = 0)
    {
        byte[] udp = new byte[8 + data.Length];
        BinaryPrimitives.WriteUInt16BigEndian(udp, 1234);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(2), 53);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(4), (ushort)Math.Min(udp.Length, ushort.MaxValue));
        data.CopyTo(udp, 8);
        return Frame(isIp6, 17, udp, 6, tags, extension: 0);
    }

    /// <summary>Splits bytes into pieces of these lengths, the rest in a last one.</summary>
    public static NetFrame InPieces(byte[] bytes, params int[] lengths)
    {
        NetFrame frame = new();
        int at = 0;
        foreach (int length in lengths)
        {
            frame.Add(bytes.AsMemory(at, length));
            at += length;
        }

        frame.Add(bytes.AsMemory(at));
        frame.Length = frame.Capacity;
        return frame;
    }

    public static byte[] ToArray(NetFrame frame)
    {
        byte[] bytes = new byte[frame.Length];
        Assert.That(frame.CopyTo(bytes), Is.EqualTo(bytes.Length));
        return bytes;
    }

    /// <summary>The sum of RFC 1071, a word at a time.</summary>
    public static ushort Sum(params IEnumerable<byte>[] parts)
    {
        byte[] bytes = [.. parts.SelectMany(part => part)];
        uint sum = 0;
        for (int i = 0; i < bytes.Length; i += 2)
        {
            sum += (uint)((bytes[i] << 8) | (i + 1 < bytes.Length ? bytes[i + 1] : 0));
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)sum;
    }

    /// <summary>Asserts that lengths and checksums of a complete frame are right.</summary>
    public static void AssertIsComplete(byte[] frame, int tags = 0, int extension = 0)
    {
        int network = Ethernet + (4 * tags);
        bool isIp6 = frame[network] >> 4 == 6;
        int transport = network + (isIp6 ? 40 + extension : 20);
        byte protocol = isIp6 ? frame[extension == 0 ? network + 6 : network + 40] : frame[network + 9];
        byte[] addresses = isIp6 ? frame[(network + 8)..(network + 40)] : frame[(network + 12)..(network + 20)];
        int length = frame.Length - transport;
        Assert.Multiple(() =>
        {
            if (isIp6)
            {
                Assert.That(BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(network + 4)), Is.EqualTo(frame.Length - network - 40));
            }
            else
            {
                Assert.That(BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(network + 2)), Is.EqualTo(frame.Length - network));
                Assert.That(Sum(frame[network..transport]), Is.EqualTo(0xFFFF), "the checksum of the IPv4 header");
            }

            Assert.That(Sum(addresses, [0, protocol, (byte)(length >> 8), (byte)length], frame[transport..]), Is.EqualTo(0xFFFF), "the checksum");
        });
    }

    private static byte[] Frame(bool isIp6, byte protocol, byte[] transport, int checksumField, int tags, int extension)
    {
        byte[] source = isIp6 ? IPAddress.Parse("fd00::2").GetAddressBytes() : [10, 0, 2, 15];
        byte[] destination = isIp6 ? IPAddress.Parse("fd00::1").GetAddressBytes() : [10, 0, 2, 2];
        int length = transport.Length;
        BinaryPrimitives.WriteUInt16BigEndian(transport.AsSpan(checksumField), Sum(source, destination, [0, protocol, (byte)(length >> 8), (byte)length], [(byte)(length >> 24), (byte)(length >> 16)]));
        byte[] network;
        if (isIp6)
        {
            network = new byte[40 + extension];
            network[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(network.AsSpan(4), (ushort)Math.Min(extension + length, ushort.MaxValue));
            (network[6], network[7]) = (extension == 0 ? protocol : (byte)60, 64);
            source.CopyTo(network, 8);
            destination.CopyTo(network, 24);
            if (extension != 0)
            {
                (network[40], network[41]) = (protocol, (byte)((extension / 8) - 1));
            }
        }
        else
        {
            network = new byte[20];
            (network[0], network[8], network[9]) = (0x45, 64, protocol);
            BinaryPrimitives.WriteUInt16BigEndian(network.AsSpan(2), (ushort)Math.Min(20 + length, ushort.MaxValue));
            BinaryPrimitives.WriteUInt16BigEndian(network.AsSpan(4), 0xFFFE);
            source.CopyTo(network, 12);
            destination.CopyTo(network, 16);
            BinaryPrimitives.WriteUInt16BigEndian(network.AsSpan(10), (ushort)~Sum(network));
        }

        byte[] ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for (int i = 0; i < tags; i++)
        {
            ethernet = [.. ethernet, 0x81, 0, 0, (byte)(i + 1)];
        }

        return [.. ethernet, .. isIp6 ? new byte[] { 0x86, 0xDD } : [8, 0], .. network, .. transport];
    }
}
