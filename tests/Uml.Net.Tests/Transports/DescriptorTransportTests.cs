using Uml.Net.Frames;
using Uml.Net.Polling;
using Uml.Net.Transports.Fd;
using Socket = Uml.Net.Interop.Socket;

namespace Uml.Net.Tests.Transports;

/// <summary>What all transports of messages have in common, on sockets that are connected with each other.</summary>
[TestFixture]
public sealed class DescriptorTransportTests
{
    private static readonly int[] s_kinds = [Socket.Datagram, Socket.SequencedPacket];

    [Test]
    public async Task Frames_arrive_as_they_were_sent([ValueSource(nameof(s_kinds))] int kind, [Values] bool isVectored, [Values(1, 3, 64)] int depth)
    {
        await using DescriptorPair pair = new(kind);
        INetTransport first = pair.OpenFirst(options => options with { IsVectored = isVectored, Depth = depth }), second = pair.OpenSecond();
        await Exchange.AssertBothWaysAsync(first, second);
        Assert.That((first.DroppedFrames, first.LostFrames, second.DroppedFrames, second.LostFrames), Is.EqualTo((0L, 0L, 0L, 0L)));
    }

    [Test]
    public async Task Two_transports_share_a_poller()
    {
        using NetPoller poller = new("test");
        await using DescriptorPair pair = new(Socket.Datagram);
        await using INetTransport first = new FdOptions { Descriptor = (int)pair.FirstDescriptor.DangerousGetHandle() }.Open(poller);
        INetTransport second = pair.OpenSecond();
        await Exchange.AssertBothWaysAsync(first, second);
    }

    [TestCase(1), TestCase(7), TestCase(500), TestCase(1022)]
    public async Task A_frame_of_many_pieces_arrives_whole(int pieces)
    {
        await using DescriptorPair pair = new(Socket.Datagram);
        INetTransport first = pair.OpenFirst(), second = pair.OpenSecond();
        byte[] content = Exchange.Frame(Math.Max(14, pieces));
        NetFrame frame = new();
        for (int i = 0; i < pieces; i++)
        {
            frame.Add(i == pieces - 1 ? content[i..] : content[i..(i + 1)]);
        }

        frame.Length = frame.Capacity;
        await Exchange.SendAsync(first, frame, new NetFrame(Exchange.Frame(60)));
        Assert.That(await Exchange.ReceiveAsync(second, 2), Is.EqualTo(new[] { content, Exchange.Frame(60) }));
    }

    [Test]
    public async Task A_frame_of_more_pieces_than_the_host_takes_is_lost()
    {
        await using DescriptorPair pair = new(Socket.Datagram);
        INetTransport first = pair.OpenFirst(), second = pair.OpenSecond();
        NetFrame frame = new();
        for (int i = 0; i < 1023; i++)
        {
            frame.Add(new byte[1]);
        }

        frame.Length = frame.Capacity;
        await Exchange.SendAsync(first, new NetFrame(Exchange.Frame(60)), frame, new NetFrame(Exchange.Frame(61)));
        Assert.That(await Exchange.ReceiveAsync(second, 2), Is.EqualTo(new[] { Exchange.Frame(60), Exchange.Frame(61) }));
        Assert.That(first.LostFrames, Is.EqualTo(1));
    }

    [Test]
    public async Task Frames_that_are_too_long_or_too_short_are_dropped_and_the_others_move_up([ValueSource(nameof(s_kinds))] int kind)
    {
        await using DescriptorPair pair = new(kind);
        INetTransport transport = pair.OpenFirst();
        byte[][] sent = [new byte[1000], new byte[1], Exchange.Frame(60, 3), new byte[13], Exchange.Frame(100, 4), new byte[101], Exchange.Frame(14, 5)];
        foreach (byte[] one in sent)
        {
            pair.Send(one);
        }

        NetFrame[] rooms = Exchange.Rooms(8, length: 100);
        int count = transport.Receive(rooms);
        Assert.That(rooms[..count].Select(Exchange.Content), Is.EqualTo(new[] { sent[2], sent[4], sent[6] }));
        Assert.That(transport.DroppedFrames, Is.EqualTo(4));
    }

    [Test]
    public async Task A_peer_that_sends_nothing_of_use_does_not_keep_the_caller()
    {
        await using DescriptorPair pair = new(Socket.Datagram);
        INetTransport transport = pair.OpenFirst(options => options with { Depth = 2 });
        foreach (int length in new[] { 1, 2, 0, 3 })
        {
            pair.Send(new byte[length]);
        }

        Assert.That(transport.Receive(Exchange.Rooms(2)), Is.Zero);
        Assert.That(transport.DroppedFrames, Is.EqualTo(2), "one batch");
        Assert.That(await transport.WaitToReceiveAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10)), Is.True, "there is more");
    }

    [Test]
    public async Task Waiting_ends_at_once_while_something_was_left()
    {
        await using DescriptorPair pair = new(Socket.Datagram);
        INetTransport first = pair.OpenFirst(), second = pair.OpenSecond();
        await Exchange.SendAsync(first, Exchange.Frame(60, 1), Exchange.Frame(60, 2), Exchange.Frame(60, 3));
        for (int i = 1; i <= 3; i++)
        {
            Assert.That(await second.WaitToReceiveAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10)), Is.True);
            NetFrame[] room = Exchange.Rooms(1);
            Assert.That(second.Receive(room), Is.EqualTo(1));
            Assert.That(Exchange.Content(room[0]), Is.EqualTo(Exchange.Frame(60, i)));
        }

        Assert.That(second.Receive(Exchange.Rooms(1)), Is.Zero);
    }

    [Test]
    public async Task A_full_transport_waits_until_the_other_end_has_received([ValueSource(nameof(s_kinds))] int kind)
    {
        await using DescriptorPair pair = new(kind);
        INetTransport first = pair.OpenFirst(), second = pair.OpenSecond();
        const int Count = 5000;
        Task sending = Task.Run(async () =>
        {
            for (int i = 0; i < Count; i++)
            {
                await Exchange.SendAsync(first, Exchange.Frame(1000, i));
            }
        });
        byte[][] received = await Exchange.ReceiveAsync(second, Count);
        await sending;
        Assert.That(received.Select((frame, i) => frame.AsSpan(1).SequenceEqual(Exchange.Frame(1000, i).AsSpan(1))), Has.All.True);
        Assert.That(first.LostFrames, Is.Zero);
    }

    [Test]
    public async Task A_record_without_bytes_is_not_the_end_but_a_closed_socket_is()
    {
        await using DescriptorPair pair = new(Socket.SequencedPacket);
        INetTransport transport = pair.OpenFirst();
        pair.Send([]);
        pair.Send(Exchange.Frame(60));
        await Exchange.AssertOnlyAsync(transport, Exchange.Frame(60));
        pair.Send([]);
        Assert.That(transport.Receive(Exchange.Rooms(4)), Is.Zero);
        Assert.That((transport.IsConnected, transport.DroppedFrames), Is.EqualTo((true, 2L)));
        int changes = 0;
        transport.ConnectionChanged += (_, _) => changes++;
        pair.CloseSecond();
        Assert.That(await transport.WaitToReceiveAsync(), Is.True);
        Assert.That(transport.Receive(Exchange.Rooms(4)), Is.Zero);
        Assert.That(transport.Receive(Exchange.Rooms(4)), Is.Zero);
        Assert.That((transport.IsConnected, changes), Is.EqualTo((false, 1)));
        Assert.That(transport.Send([new NetFrame(Exchange.Frame(60))]), Is.EqualTo(1));
        Assert.That(transport.LostFrames, Is.EqualTo(1));
    }

    [Test]
    public async Task Waits_end_when_they_are_cancelled_and_when_the_transport_is_closed()
    {
        await using DescriptorPair pair = new(Socket.Datagram);
        INetTransport transport = pair.OpenFirst();
        Assert.That(transport.Receive(Exchange.Rooms(1)), Is.Zero);
        using CancellationTokenSource cancellation = new(TimeSpan.FromMilliseconds(50));
        Assert.That(() => transport.WaitToReceiveAsync(cancellation.Token).AsTask(), Throws.InstanceOf<OperationCanceledException>());
        Task<bool> wait = transport.WaitToReceiveAsync().AsTask();
        Assert.That(wait.IsCompleted, Is.False);
        await transport.DisposeAsync();
        Assert.That(await wait.WaitAsync(TimeSpan.FromSeconds(10)), Is.False);
        Assert.That(await transport.WaitToSendAsync(), Is.False);
        Assert.That(() => transport.Receive(Exchange.Rooms(1)), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task A_socket_that_mixes_frames_is_refused()
    {
        await using DescriptorPair pair = new(Socket.Stream);
        Assert.That(() => pair.OpenFirst(), Throws.TypeOf<NetTransportException>().With.Message.Contains("SOCK_SEQPACKET").And.Message.Contains("'stream'"));
    }

    [Test]
    public void A_descriptor_that_is_not_open_is_refused() =>
        Assert.That(() => new FdOptions { Descriptor = 1_000_000 }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("1000000").And.Message.Contains("leave it open"));

    [TestCase(0, 1500), TestCase(1025, 1500), TestCase(1, 67), TestCase(1, 65521)]
    public void Options_out_of_range_are_refused(int depth, int mtu) =>
        Assert.That(() => new FdOptions { Descriptor = 0, Depth = depth, Mtu = mtu }.Open(), Throws.InstanceOf<ArgumentOutOfRangeException>());

    [Test]
    public async Task Offloads_of_a_transport_that_has_none_are_refused()
    {
        await using DescriptorPair pair = new(Socket.Datagram);
        INetTransport transport = pair.OpenFirst();
        transport.AcceptOffloads(NetOffloads.None);
        Assert.That(() => transport.AcceptOffloads(NetOffloads.Checksum), Throws.ArgumentException);
    }
}
