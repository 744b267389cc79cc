using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.Tests.Packets;

public sealed class FrameSegmenterTests
{
    private const int TcpFlags = 13;

    [Test]
    public void A_large_segment_of_TCP_becomes_segments_with_headers_of_their_own(
        [Values] bool isIp6, [Values(0, 1)] int tags, [Values(1, 536, 1448, 4000)] int size, [Values(1, 2896, 30001)] int length)
    {
        const byte CwrFinPushAck = 0x99;
        byte[] data = new byte[length];
        new Random(size).NextBytes(data);
        byte[] bytes = Packet.Tcp(isIp6, data, CwrFinPushAck, tags: tags);
        if ((length + size - 1) / size > FrameSegmenter.MaximumSegments)
        {
            Assert.That(new FrameSegmenter().TryBegin(ToBeCut(bytes, isIp6 ? NetSegmentation.Tcp6 : NetSegmentation.Tcp4, size)), Is.False);
            return;
        }

        List<byte[]> segments = Cut(bytes, isIp6 ? NetSegmentation.Tcp6 : NetSegmentation.Tcp4, size);

        int transport = Packet.Ethernet + (4 * tags) + (isIp6 ? 40 : 20), header = transport + 32;
        Assert.That(segments.SelectMany(segment => segment[header..]), Is.EqualTo(data));
        for (int i = 0; i < segments.Count; i++)
        {
            Packet.AssertIsComplete(segments[i], tags);
            Assert.That(BinaryPrimitives.ReadUInt32BigEndian(segments[i].AsSpan(transport + 4)), Is.EqualTo(unchecked(0xFFFF_FF00 + (uint)(i * size))));
            int dropped = (i == 0 ? 0 : 0x80) | (i == segments.Count - 1 ? 0 : 9);
            Assert.That(segments[i][transport + TcpFlags], Is.EqualTo(CwrFinPushAck & ~dropped));
            if (!isIp6)
            {
                Assert.That(BinaryPrimitives.ReadUInt16BigEndian(segments[i].AsSpan(transport - 16)), Is.EqualTo((ushort)(0xFFFE + i)));
            }
        }
    }

    [Test]
    public void Datagrams_of_one_size_are_told_apart_again([Values] bool isIp6, [Values(100, 1472)] int size)
    {
        byte[] data = new byte[5000];
        new Random(size).NextBytes(data);
        List<byte[]> datagrams = Cut(Packet.Udp(isIp6, data), NetSegmentation.Udp, size);

        int transport = Packet.Ethernet + (isIp6 ? 40 : 20);
        Assert.That(datagrams.SelectMany(datagram => datagram[(transport + 8)..]), Is.EqualTo(data));
        foreach (byte[] datagram in datagrams)
        {
            Packet.AssertIsComplete(datagram);
            Assert.That(BinaryPrimitives.ReadUInt16BigEndian(datagram.AsSpan(transport + 4)), Is.EqualTo(datagram.Length - transport));
        }
    }

    [Test]
    public void Extension_headers_are_in_every_segment()
    {
        byte[] data = new byte[3000];
        List<byte[]> segments = Cut(Packet.Tcp(isIp6: true, data, extension: 16), NetSegmentation.Tcp6, 1000);
        Assert.That(segments, Has.Count.EqualTo(3));
        foreach (byte[] segment in segments)
        {
            Packet.AssertIsComplete(segment, extension: 16);
        }
    }

    [Test]
    public void Data_is_not_copied()
    {
        byte[] bytes = Packet.Tcp(isIp6: false, new byte[3000]);
        FrameSegmenter segmenter = new();
        Assert.That(segmenter.TryBegin(ToBeCut(bytes, NetSegmentation.Tcp4, 1000)));
        NetFrame segment = new();
        segmenter.MakeNext(segment, new byte[FrameLayout.HeadLength]);
        bytes.AsSpan(66, 1000).Fill(0xAA);
        Assert.That(Packet.ToArray(segment)[66..], Is.All.EqualTo(0xAA));
    }

    [Test]
    public void What_a_guest_lies_about_is_refused()
    {
        byte[] tcp = Packet.Tcp(isIp6: false, new byte[3000]);
        byte[] fragment = [.. tcp];
        fragment[20] = 0x20;
        byte[] longOptions = [.. tcp];
        longOptions[14] = 0x4F;
        byte[] shortHeader = [.. tcp];
        shortHeader[34 + 12] = 0x40;
        (byte[] Bytes, NetSegmentation Kind, int Size)[] lies =
        [
            (tcp, NetSegmentation.Tcp4, 0),
            (tcp, NetSegmentation.Tcp6, 1000),
            (tcp, NetSegmentation.Udp, 1000),
            (tcp, (NetSegmentation)3, 1000),
            (tcp, NetSegmentation.None, 1000),
            (tcp[..66], NetSegmentation.Tcp4, 1000),
            (tcp[..60], NetSegmentation.Tcp4, 1000),
            (tcp[..20], NetSegmentation.Tcp4, 1000),
            (tcp[..5], NetSegmentation.Tcp4, 1000),
            ([], NetSegmentation.Tcp4, 1000),
            (fragment, NetSegmentation.Tcp4, 1000),
            (longOptions, NetSegmentation.Tcp4, 1000),
            (shortHeader, NetSegmentation.Tcp4, 1000),
        ];
        FrameSegmenter segmenter = new();
        foreach ((byte[] bytes, NetSegmentation kind, int size) in lies)
        {
            Assert.That(segmenter.TryBegin(ToBeCut(bytes, kind, size)), Is.False, $"{bytes.Length} bytes, {kind}, {size}");
        }
    }

    [Test]
    public void Random_frames_are_cut_or_refused()
    {
        Random random = new(3);
        byte[] template = Packet.Tcp(isIp6: true, new byte[600], extension: 16);
        FrameSegmenter segmenter = new();
        NetFrame segment = new();
        byte[] header = new byte[FrameLayout.HeadLength];
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = template[..random.Next(template.Length + 1)];
            for (int flips = random.Next(4); flips > 0 && bytes.Length != 0; flips--)
            {
                bytes[random.Next(Math.Min(bytes.Length, 100))] = (byte)random.Next(256);
            }

            NetSegmentation kind = random.GetItems([NetSegmentation.Tcp4, NetSegmentation.Tcp6, NetSegmentation.Udp, (NetSegmentation)random.Next(256)], 1)[0];
            if (segmenter.TryBegin(ToBeCut(bytes, kind, random.Next(2000))))
            {
                while (!segmenter.IsDone)
                {
                    segmenter.MakeNext(segment, header);
                    Assert.That(segment.Length, Is.InRange(segmenter.HeaderLength + 1, bytes.Length));
                }
            }
        }
    }

    private static List<byte[]> Cut(byte[] bytes, NetSegmentation kind, int size)
    {
        FrameSegmenter segmenter = new();
        Assert.That(segmenter.TryBegin(ToBeCut(bytes, kind, size)));
        List<byte[]> segments = [];
        NetFrame segment = new();
        byte[] header = new byte[segmenter.HeaderLength];
        while (!segmenter.IsDone)
        {
            segmenter.MakeNext(segment, header);
            segments.Add(Packet.ToArray(segment));
        }

        Assert.That(segments, Has.Count.EqualTo(segmenter.Count));
        return segments;
    }

    private static NetFrame ToBeCut(byte[] bytes, NetSegmentation kind, int size)
    {
        int cut = bytes.Length / 3;
        NetFrame frame = Packet.InPieces(bytes, 0, cut, 0, cut);
        frame.Offload = new NetOffload { Flags = NetOffload.NeedsChecksum, Segmentation = kind | NetSegmentation.None, SegmentSize = (ushort)size };
        return frame;
    }
}
