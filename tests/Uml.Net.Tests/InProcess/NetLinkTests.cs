using Uml.Net.Frames;
using Uml.Net.InProcess;
using Uml.Net.Tests.Packets;

namespace Uml.Net.Tests.InProcess;

public sealed class NetLinkTests
{
    [Test]
    public async Task What_is_sent_at_one_end_is_received_at_the_other_in_order()
    {
        await using NetLink link = new();
        byte[][] frames = [.. Enumerable.Range(0, 50).Select(i => Ends.Frame(1, 2, i, 14 + (i * 31)))];
        Ends.Send(link.First, frames);
        Assert.That(Ends.ReceiveBytes(link.Second), Is.EqualTo(frames));
        Ends.Send(link.Second, frames[3]);
        Assert.That(Ends.ReceiveBytes(link.First), Is.EqualTo(new[] { frames[3] }));
        Assert.That(Ends.Receive(link.Second), Is.Empty);
    }

    [Test]
    public async Task A_sender_waits_for_room_and_nothing_is_lost()
    {
        await using NetLink link = new(new NetLinkOptions { BufferSize = 512 << 10 });
        const int Count = 20_000;
        using CancellationTokenSource patience = new(Ends.Patience);
        Task sender = Task.Run(async () =>
        {
            NetFrame[] batch = [.. Enumerable.Range(0, 64).Select(_ => new NetFrame(new byte[1514]))];
            for (int sent = 0; sent < Count;)
            {
                int wanted = Math.Min(batch.Length, Count - sent);
                for (int i = 0; i < wanted; i++)
                {
                    BitConverter.TryWriteBytes(batch[i].Pieces[0].Span[14..], sent + i);
                }

                int done = link.First.Send(batch.AsSpan(0, wanted));
                sent += done;
                if (done < wanted)
                {
                    Assert.That(await link.First.WaitToSendAsync(patience.Token));
                }
            }
        });
        NetFrame room = new(new byte[2000]);
        for (int i = 0; i < Count;)
        {
            if (link.Second.Receive([room]) == 0)
            {
                Assert.That(await link.Second.WaitToReceiveAsync(patience.Token));
                continue;
            }

            Assert.That(BitConverter.ToInt32(room.Pieces[0].Span[14..]), Is.EqualTo(i++));
        }

        await sender;
    }

    [Test]
    public async Task Work_that_the_receiver_accepts_is_left_to_it()
    {
        await using NetLink link = new();
        link.Second.AcceptOffloads(NetOffloads.Checksum | NetOffloads.Tcp4);
        NetFrame frame = Large();
        Assert.That(link.First.Send([frame]), Is.EqualTo(1));
        List<NetFrame> received = Ends.Receive(link.Second);
        Assert.That(received, Has.Count.EqualTo(1));
        Assert.That(received[0].Offload, Is.EqualTo(frame.Offload));
        Assert.That(Packet.ToArray(received[0]), Is.EqualTo(Packet.ToArray(frame)));
    }

    [Test]
    public async Task Work_that_the_receiver_does_not_accept_is_done([Values(NetOffloads.None, NetOffloads.Checksum, NetOffloads.Checksum | NetOffloads.Tcp6)] NetOffloads accepted)
    {
        await using NetLink link = new(new NetLinkOptions { Mtu = 1500 });
        link.Second.AcceptOffloads(accepted);
        Assert.That(link.First.Send([Large()]), Is.EqualTo(1));
        byte[][] segments = Ends.ReceiveBytes(link.Second);
        Assert.That(segments, Has.Length.EqualTo(42));
        Assert.That(segments.Sum(segment => segment.Length - 66), Is.EqualTo(60_000));
        foreach (byte[] segment in segments)
        {
            Packet.AssertIsComplete(segment);
        }
    }

    [Test]
    public async Task A_checksum_is_completed_for_who_does_not_accept_less()
    {
        await using NetLink link = new();
        NetFrame frame = new(Packet.Udp(isIp6: true, new byte[333])) { Offload = new() { Flags = NetOffload.NeedsChecksum, ChecksumStart = 54, ChecksumOffset = 6 } };
        Assert.That(link.First.Send([frame]), Is.EqualTo(1));
        List<NetFrame> received = Ends.Receive(link.Second);
        Assert.That(received[0].Offload, Is.EqualTo(new NetOffload { Flags = NetOffload.DataIsValid }));
        Packet.AssertIsComplete(Packet.ToArray(received[0]));
    }

    [Test]
    public async Task Frames_that_are_wrong_or_too_long_are_lost_and_the_others_come_through()
    {
        await using NetLink link = new(new NetLinkOptions { Mtu = 1500 });
        byte[] good = Ends.Frame(1, 2);
        NetFrame[] frames =
        [
            new(new byte[1523]),
            new(new byte[70_000]) { Offload = new() { Segmentation = NetSegmentation.Tcp4, SegmentSize = 1 } },
            new(new byte[60]) { Offload = new() { Flags = NetOffload.NeedsChecksum, ChecksumStart = 60 } },
            new(Packet.Tcp(false, new byte[9000])) { Offload = new() { Flags = NetOffload.NeedsChecksum, Segmentation = NetSegmentation.Tcp4, SegmentSize = 4000 } },
            new(good),
        ];
        Assert.That(link.First.Send(frames), Is.EqualTo(frames.Length));
        Assert.That(Ends.ReceiveBytes(link.Second), Is.EqualTo(new[] { good }));
    }

    [Test]
    public async Task A_frame_longer_than_its_room_is_lost()
    {
        await using NetLink link = new();
        Ends.Send(link.First, new byte[100], new byte[50]);
        Assert.That(Ends.Receive(link.Second, room: 80).Select(frame => frame.Length), Is.EqualTo(new[] { 50 }));
    }

    [Test]
    public async Task An_end_that_is_disposed_is_seen_at_the_other()
    {
        NetLink link = new();
        int changes = 0;
        link.Second.ConnectionChanged += (_, _) => changes++;
        Ends.Send(link.First, Ends.Frame(1, 2));
        ValueTask<bool> wait = link.First.WaitToReceiveAsync();
        await link.First.DisposeAsync();
        await link.First.DisposeAsync();
        Assert.Multiple(() =>
        {
            Assert.That(changes, Is.EqualTo(1));
            Assert.That(link.Second.IsConnected, Is.False);
            Assert.That(Ends.Receive(link.Second), Has.Count.EqualTo(1));
            Assert.That(link.Second.Send([new NetFrame(new byte[60])]), Is.EqualTo(1));
        });
        Assert.That(await wait, Is.False);
        await link.DisposeAsync();
        Assert.That(await link.Second.WaitToReceiveAsync(), Is.False);
    }

    [Test]
    public async Task A_wait_can_be_cancelled_and_begun_again()
    {
        await using NetLink link = new();
        using CancellationTokenSource cancellation = new();
        ValueTask<bool> wait = link.Second.WaitToReceiveAsync(cancellation.Token);
        await cancellation.CancelAsync();
        Assert.That(async () => await wait, Throws.InstanceOf<OperationCanceledException>());
        ValueTask<bool> again = link.Second.WaitToReceiveAsync();
        Ends.Send(link.First, Ends.Frame(1, 2));
        Assert.That(await again);
    }

    [Test]
    public async Task Frames_allocate_nothing()
    {
        await using NetLink link = new();
        NetFrame[] sent = [.. Enumerable.Range(0, 64).Select(i => new NetFrame(Ends.Frame(1, 2, i)))];
        NetFrame[] room = [.. Enumerable.Range(0, 64).Select(_ => new NetFrame(new byte[2000]))];
        for (int i = 0; i < 200; i++)
        {
            Exchange();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10_000; i++)
        {
            Exchange();
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(10_000), "less than a byte a batch");

        void Exchange()
        {
            link.First.Send(sent);
            link.Second.Receive(room);
        }
    }

    [Test]
    public void Options_out_of_their_range_are_refused()
    {
        Assert.Multiple(() =>
        {
            Assert.That(() => new NetLink(new NetLinkOptions { Mtu = 67 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => new NetLink(new NetLinkOptions { Mtu = 65_521 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => new NetLink(new NetLinkOptions { BufferSize = 1000 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }

    private static NetFrame Large() => new(Packet.Tcp(isIp6: false, new byte[60_000]))
    {
        Offload = new() { Flags = NetOffload.NeedsChecksum, Segmentation = NetSegmentation.Tcp4, SegmentSize = 1448, HeaderLength = 66, ChecksumStart = 34, ChecksumOffset = 16 },
    };
}
