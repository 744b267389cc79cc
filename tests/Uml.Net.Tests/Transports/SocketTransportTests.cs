using System.Net.Sockets;
using Uml.Net.Frames;
using Uml.Net.Transports.Bess;
using Uml.Net.Transports.Datagrams;
using Uml.Net.Transports.Multicast;
using Uml.Net.Transports.Streams;

namespace Uml.Net.Tests.Transports;

/// <summary>bess, stream, dgram and mcast: over sockets of this host.</summary>
[TestFixture]
public sealed class SocketTransportTests
{
    [Test]
    public async Task Bess_exchanges_records_and_drops_the_confirmation()
    {
        using TemporaryFolder folder = new();
        using Socket listener = new(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(folder["switch"]));
        listener.Listen(1);
        await using INetTransport transport = new BessOptions { Destination = folder["switch"], Source = folder["own"] }.Open();
        using Socket connection = listener.Accept();
        Assert.That(connection.RemoteEndPoint!.ToString(), Is.EqualTo(folder["own"]));
        connection.Send("yes\0"u8);
        connection.Send(Exchange.Frame(60));
        await Exchange.AssertOnlyAsync(transport, Exchange.Frame(60));
        await Exchange.SendAsync(transport, Exchange.Frame(77));
        Assert.That(await Exchange.ReceiveAsync(connection), Is.EqualTo(Exchange.Frame(77)), "a record is a frame, and nothing else");
        await transport.DisposeAsync();
        Assert.That(File.Exists(folder["own"]), Is.False, "its socket is gone with it");
    }

    [Test]
    public void Paths_say_what_is_wrong_with_them()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["taken"], "");
        Assert.That(() => new BessOptions { Destination = folder["none"] }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("start the other side first"));
        Assert.That(() => new BessOptions { Destination = "/" + new string('x', 107) }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("1 to 107 bytes").And.Message.Contains("108"));
        Assert.That(
            () => new DatagramOptions { Source = folder["taken"], Destination = folder["none"] }.Open(),
            Throws.TypeOf<NetTransportException>().With.Message.Contains(folder["taken"]).And.Message.Contains("can be deleted"));
        Assert.That(File.Exists(folder["taken"]), "what was there is not ours to delete");
    }

    [Test]
    public async Task Abstract_names_leave_no_file()
    {
        string name = $"@uml-net-test-{Guid.NewGuid():N}";
        await using INetTransport server = new StreamOptions { Address = name, IsServer = true }.Open();
        await using INetTransport client = new StreamOptions { Address = name }.Open();
        await Exchange.EventuallyAsync(() => server.IsConnected, "nobody was accepted");
        await Exchange.AssertBothWaysAsync(client, server);
    }

    [Test]
    public async Task A_stream_has_the_length_before_each_frame([Values] StreamFraming framing)
    {
        using TemporaryFolder folder = new();
        await using INetTransport transport = new StreamOptions { Address = folder["socket"], IsServer = true, Framing = framing }.Open();
        Assert.That(transport.IsConnected, Is.False);
        Assert.That(transport.Send([new NetFrame(Exchange.Frame(60))]), Is.EqualTo(1));
        Assert.That(transport.LostFrames, Is.EqualTo(1), "nobody was there");
        using Socket peer = Connect(folder["socket"]);
        await Exchange.EventuallyAsync(() => transport.IsConnected, "nobody was accepted");
        await Exchange.SendAsync(transport, Exchange.Frame(300), Exchange.Frame(14));
        byte[] prefix = Length(framing, 300), second = Length(framing, 14);
        byte[] expected = [.. prefix, .. Exchange.Frame(300), .. second, .. Exchange.Frame(14)];
        byte[] received = new byte[expected.Length];
        for (int done = 0; done < received.Length;)
        {
            done += await peer.ReceiveAsync(received.AsMemory(done)).AsTask().WaitAsync(TimeSpan.FromSeconds(20));
        }

        Assert.That(received, Is.EqualTo(expected));

        // In pieces of one byte: a frame, one without bytes, one that is too short, one that is too long for the room, and a frame.
        byte[] back = [.. prefix, .. Exchange.Frame(300, 2), .. Length(framing, 0), .. Length(framing, 13), .. new byte[13],
            .. Length(framing, 3000), .. new byte[3000], .. second, .. Exchange.Frame(14, 3)];
        Task sending = Task.Run(() =>
        {
            for (int i = 0; i < back.Length; i++)
            {
                peer.Send(back.AsSpan(i, 1));
            }
        });
        Assert.That(await Exchange.ReceiveAsync(transport, 2), Is.EqualTo(new[] { Exchange.Frame(300, 2), Exchange.Frame(14, 3) }));
        Assert.That(transport.DroppedFrames, Is.EqualTo(3));
        await sending;
    }

    [TestCase(StreamFraming.HyperKit, 65535), TestCase(StreamFraming.Vde, 65535), TestCase(StreamFraming.Qemu, 65542)]
    public async Task A_frame_whose_length_cannot_be_told_is_lost_and_the_next_arrives(StreamFraming framing, int longest)
    {
        using TemporaryFolder folder = new();
        StreamOptions options = new() { Address = folder["socket"], Framing = framing, Mtu = 65520 };
        await using INetTransport server = (options with { IsServer = true }).Open(), client = options.Open();
        await Exchange.EventuallyAsync(() => server.IsConnected, "nobody was accepted");
        Assert.That(client.Features.MaximumFrameLength, Is.EqualTo(longest));
        await Exchange.SendAsync(client, Exchange.Frame(70_000), Exchange.Frame(60));
        await Exchange.AssertOnlyAsync(server, Exchange.Frame(60));
        Assert.That((client.LostFrames, server.DroppedFrames), Is.EqualTo((1L, 0L)));
    }

    [Test]
    public async Task A_length_that_lies_costs_no_memory()
    {
        using TemporaryFolder folder = new();
        await using INetTransport transport = new StreamOptions { Address = folder["socket"], IsServer = true }.Open();
        using Socket peer = Connect(folder["socket"]);
        await Exchange.EventuallyAsync(() => transport.IsConnected, "nobody was accepted");
        const int Lie = 3_000_000;
        Task sending = Task.Run(async () =>
        {
            await peer.SendAsync(Length(StreamFraming.Qemu, Lie));
            await SendAllAsync(peer, new byte[Lie]);
            byte[] end = [.. Length(StreamFraming.Qemu, 60), .. Exchange.Frame(60), 0xFF, 0xFF, 0xFF, 0xFF];
            await SendAllAsync(peer, end);
        });
        long before = GC.GetTotalAllocatedBytes();
        await Exchange.AssertOnlyAsync(transport, Exchange.Frame(60));
        Assert.That(GC.GetTotalAllocatedBytes() - before, Is.LessThan(2 * Lie));
        await sending;
        Assert.That((transport.Receive(Exchange.Rooms(1)), transport.DroppedFrames), Is.EqualTo((0, 2L)));
    }

    [Test]
    public async Task A_server_takes_one_connection_after_the_other()
    {
        using TemporaryFolder folder = new();
        await using INetTransport transport = new StreamOptions { Address = folder["socket"], IsServer = true }.Open();
        int changes = 0;
        transport.ConnectionChanged += (_, _) => Interlocked.Increment(ref changes);
        for (int i = 0; i < 3; i++)
        {
            await using INetTransport client = new StreamOptions { Address = folder["socket"] }.Open();
            await Exchange.EventuallyAsync(() => transport.IsConnected, "nobody was accepted");
            using Socket second = Connect(folder["socket"]);
            Assert.That(await Exchange.ReceiveAsync(second), Is.Empty, "a second one is closed");
            await Exchange.AssertBothWaysAsync(client, transport);
            await client.DisposeAsync();
            Assert.That(await transport.WaitToReceiveAsync(), Is.True);
            await Exchange.EventuallyAsync(() => transport.Receive(Exchange.Rooms(1)) == 0 && !transport.IsConnected, "the end was not noticed");
        }

        Assert.That(changes, Is.EqualTo(6));
    }

    [Test]
    public async Task A_stream_that_is_full_sends_the_rest_of_a_frame_by_itself()
    {
        using TemporaryFolder folder = new();
        await using INetTransport server = new StreamOptions { Address = folder["socket"], IsServer = true, Mtu = 65520 }.Open();
        await using INetTransport client = new StreamOptions { Address = folder["socket"], Mtu = 65520 }.Open();
        await Exchange.EventuallyAsync(() => server.IsConnected, "nobody was accepted");
        int sent = 0;
        while (client.Send([new NetFrame(Exchange.Frame(65534, sent))]) == 1)
        {
            sent++;
        }

        byte[][] received = await Exchange.ReceiveAsync(server, sent, room: 65534);
        Assert.That(received.Select((frame, i) => frame.AsSpan(1).SequenceEqual(Exchange.Frame(65534, i).AsSpan(1))), Has.All.True);
        Assert.That(await client.WaitToSendAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10)), Is.True);
        Assert.That(sent, Is.GreaterThan(1));
    }

    [TestCase("127.0.0.1"), TestCase("::1"), TestCase("localhost")]
    public async Task Streams_and_datagrams_go_over_ip(string host)
    {
        int port = Ports.Take(), second = Ports.Take();
        await using (INetTransport server = new StreamOptions { Address = host, Port = port, IsServer = true }.Open())
        await using (INetTransport client = new StreamOptions { Address = host, Port = port }.Open())
        {
            await Exchange.EventuallyAsync(() => server.IsConnected, "nobody was accepted");
            await Exchange.AssertBothWaysAsync(client, server, 14, 1514, 60);
            Assert.That(() => new StreamOptions { Address = host, Port = port, IsServer = true }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("name another port"));
        }

        await using INetTransport first = new DatagramOptions { Source = host, SourcePort = port, Destination = host, DestinationPort = second }.Open();
        Assert.That(first.Send([new NetFrame(Exchange.Frame(60))]), Is.EqualTo(1), "nobody is there yet");
        await using INetTransport other = new DatagramOptions { Source = host, SourcePort = second, Destination = host, DestinationPort = port }.Open();
        Assert.That(first.Receive(Exchange.Rooms(1)), Is.Zero, "the error of the host is no end");
        await Exchange.AssertBothWaysAsync(first, other);
    }

    [Test]
    public async Task Datagrams_of_paths_find_a_peer_that_comes_later_and_again()
    {
        using TemporaryFolder folder = new();
        DatagramOptions options = new() { Source = folder["a"], Destination = folder["b"] };
        await using INetTransport first = options.Open();
        Assert.That(first.Send([new NetFrame(Exchange.Frame(60))]), Is.EqualTo(1));
        Assert.That(first.LostFrames, Is.EqualTo(1));
        for (int i = 0; i < 2; i++)
        {
            await using INetTransport second = (options with { Source = options.Destination, Destination = options.Source }).Open();

            // The first to a peer that has gone tells that it has.
            Assert.That(first.Send([new NetFrame(Exchange.Frame(60))]), Is.EqualTo(1));
            await Exchange.SendAsync(first, Exchange.Frame(61, i));
            byte[][] received = await Exchange.ReceiveAsync(second, i == 0 ? 2 : 1);
            Assert.That(received[^1], Is.EqualTo(Exchange.Frame(61, i)));
            await Exchange.AssertBothWaysAsync(first, second);
        }
    }

    [Test]
    public async Task Members_of_a_group_hear_each_other_and_not_themselves()
    {
        MulticastOptions options = new() { Group = "239.192.77.1", Port = Ports.Take(), Source = "127.0.0.1", TimeToLive = 0 };
        await using INetTransport first = options.Open(), second = options.Open(), third = options.Open();
        await Exchange.SendAsync(first, Exchange.Frame(60, 1));
        await Exchange.SendAsync(second, Exchange.Frame(60, 2));
        Assert.That(await Exchange.ReceiveAsync(third, 2), Is.EqualTo(new[] { Exchange.Frame(60, 1), Exchange.Frame(60, 2) }));
        await Exchange.AssertOnlyAsync(first, Exchange.Frame(60, 2));
        await Exchange.AssertOnlyAsync(second, Exchange.Frame(60, 1));
        Assert.That(() => (options with { Group = "10.0.0.1" }).Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("239.255.255.255"));
    }

    private static byte[] Length(StreamFraming framing, int length) => framing switch
    {
        StreamFraming.Qemu => [0, (byte)(length >> 16), (byte)(length >> 8), (byte)length],
        StreamFraming.HyperKit => [(byte)length, (byte)(length >> 8)],
        _ => [(byte)(length >> 8), (byte)length],
    };

    private static Socket Connect(string path)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> data)
    {
        while (!data.IsEmpty)
        {
            data = data[await socket.SendAsync(data)..];
        }
    }
}
