using Uml.Net.Frames;
using Uml.Net.InProcess;
using Uml.Net.Offloads;
using Uml.Net.Tests.InProcess;
using Uml.Net.Tests.Packets;

namespace Uml.Net.Tests.Offloads;

public sealed class OffloadingTransportTests
{
    [Test]
    public async Task Frames_are_completed_in_order_for_a_transport_that_cannot()
    {
        Plain plain = new();
        await using OffloadingTransport transport = new(plain);
        byte[] whole = Ends.Frame(1, 2);
        NetFrame udp = Packet.InPieces(Packet.Udp(isIp6: true, new byte[700]), 10, 40, 12);
        udp.Offload = new() { Flags = NetOffload.NeedsChecksum, ChecksumStart = 54, ChecksumOffset = 6 };
        byte[] before = Packet.ToArray(udp);

        Assert.That(transport.Send([new(whole), udp, Large(4000), new(whole)]), Is.EqualTo(4));

        Assert.That(plain.Sent.Select(frame => frame.Length), Is.EqualTo(new[] { 60, before.Length, 66 + 1448, 66 + 1448, 66 + 1104, 60 }));
        foreach (byte[] frame in plain.Sent[1..5])
        {
            Packet.AssertIsComplete(frame);
        }

        Assert.That(Packet.ToArray(udp), Is.EqualTo(before), "a sender's memory stays as it is");
    }

    [Test]
    public async Task What_the_transport_can_do_is_left_to_it()
    {
        Plain plain = new() { Offloads = NetOffloads.Checksum | NetOffloads.Tcp4 };
        await using OffloadingTransport transport = new(plain);
        transport.Send([Large(4000)]);
        Assert.That(plain.Sent.Single(), Has.Length.EqualTo(4066));
    }

    [Test]
    public async Task A_frame_that_was_sent_in_part_is_continued([Values(1, 5, 63, 64, 65)] int room)
    {
        Plain plain = new();
        await using OffloadingTransport transport = new(plain);
        byte[] data = new byte[60_000];
        new Random(1).NextBytes(data);
        NetFrame[] frames = [new(Ends.Frame(1, 2)), Large(data, size: 500), new(Ends.Frame(2, 1))];
        int sent = 0;
        for (int calls = 0; sent < frames.Length; calls++)
        {
            Assert.That(calls, Is.LessThan(200));
            plain.Room = room;
            sent += transport.Send(frames.AsSpan(sent));
        }

        Assert.That(plain.Sent, Has.Count.EqualTo(122));
        Assert.That(plain.Sent[1..^1].SelectMany(segment => segment[66..]), Is.EqualTo(data));
    }

    [Test]
    public async Task Another_frame_in_place_of_the_rest_is_sent_whole()
    {
        Plain plain = new() { Room = 1 };
        await using OffloadingTransport transport = new(plain);
        Assert.That(transport.Send([Large(4000)]), Is.Zero);
        plain.Room = 100;
        Assert.That(transport.Send([Large(4000)]), Is.EqualTo(1));
        Assert.That(plain.Sent, Has.Count.EqualTo(1 + 3));
    }

    [Test]
    public async Task Frames_whose_sender_lies_are_counted_and_not_sent()
    {
        Plain plain = new();
        await using OffloadingTransport transport = new(plain);
        NetFrame[] lies =
        [
            new(new byte[60]) { Offload = new() { Flags = NetOffload.NeedsChecksum, ChecksumStart = 59 } },
            new(new byte[1000]) { Offload = new() { Flags = NetOffload.NeedsChecksum, ChecksumStart = 600 } },
            new(new byte[1000]) { Offload = new() { Segmentation = NetSegmentation.Tcp4, SegmentSize = 100 } },
            Large(new byte[9000], size: 2000),
        ];
        Assert.That(transport.Send(lies), Is.EqualTo(lies.Length));
        Assert.That(plain.Sent, Is.Empty);
        Assert.That(transport.WrongFrames, Is.EqualTo(lies.Length));
    }

    [Test]
    public async Task Segments_allocate_nothing()
    {
        await using NetLink link = new(new NetLinkOptions { Mtu = 1500 });
        await using OffloadingTransport transport = new(new WithoutOffloads(link.First));
        NetFrame[] frames = [Large(60_000)];
        NetFrame[] room = [.. Enumerable.Range(0, 64).Select(_ => new NetFrame(new byte[2000]))];
        long before = 0;
        for (int i = 0; i < 3000; i++)
        {
            before = i == 500 ? GC.GetAllocatedBytesForCurrentThread() : before;
            transport.Send(frames);
            link.Second.Receive(room);
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(2500), "less than a byte a frame");
    }

    private static NetFrame Large(int length) => Large(new byte[length], size: 1448);

    private static NetFrame Large(byte[] data, int size) => new(Packet.Tcp(isIp6: false, data))
    {
        Offload = new() { Flags = NetOffload.NeedsChecksum, Segmentation = NetSegmentation.Tcp4, SegmentSize = (ushort)size, ChecksumStart = 34, ChecksumOffset = 16 },
    };

    /// <summary>A transport that keeps what it sends.</summary>
    private sealed class Plain : INetTransport
    {
        public NetOffloads Offloads { get; init; }

        public int Room { get; set; } = int.MaxValue;

        public List<byte[]> Sent { get; } = [];

        public NetTransportFeatures Features => new("plain") { SendOffloads = Offloads };

        public int Send(ReadOnlySpan<NetFrame> frames)
        {
            int count = Math.Min(frames.Length, Room);
            Room -= count;
            foreach (NetFrame frame in frames[..count])
            {
                Sent.Add(Packet.ToArray(frame));
            }

            return count;
        }

        public int Receive(ReadOnlySpan<NetFrame> frames) => 0;

        public ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default) => new(true);

        public ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default) => new(false);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class WithoutOffloads(INetTransport inner) : INetTransport
    {
        public NetTransportFeatures Features { get; } = inner.Features with { SendOffloads = NetOffloads.None };

        public int Send(ReadOnlySpan<NetFrame> frames) => inner.Send(frames);

        public int Receive(ReadOnlySpan<NetFrame> frames) => inner.Receive(frames);

        public ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default) => inner.WaitToSendAsync(cancellationToken);

        public ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default) => inner.WaitToReceiveAsync(cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
