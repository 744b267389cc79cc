using System.Net;
using System.Net.Sockets;
using System.Text;
using Uml.Net.Frames;
using Uml.Net.UserNet;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.Tests.UserNet;

public sealed class TcpFlowTests
{
    private static readonly UserNetworkPolicy WithHost = new() { AllowsHost = true };

    [Test]
    public async Task A_guest_talks_to_a_service_of_the_host_both_ways_at_once([Values] bool isLarge, [Values(1500, 65520)] int mtu, [Values] bool isIp6)
    {
        const int length = 8_000_000;
        using TcpListener listener = new(isIp6 ? IPAddress.IPv6Loopback : IPAddress.Loopback, 0);
        listener.Start();
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost, Mtu = mtu });
        await using TestGuest guest = new(network, isIp6 ? "fd55:4d4c::15" : "10.0.2.15", isLarge: isLarge);
        await guest.FindGatewayAsync();
        GuestTcp tcp = guest.Connect(isIp6 ? "fd55:4d4c::2" : "10.0.2.2", ((IPEndPoint)listener.LocalEndpoint).Port);
        using Socket socket = await listener.AcceptSocketAsync();
        await tcp.Connected;
        byte[] there = Bytes(length, 1), back = Bytes(length, 2);
        tcp.Write(there, finish: true);
        Task send = Task.Run(async () =>
        {
            await using NetworkStream stream = new(socket);
            await stream.WriteAsync(back);
            socket.Shutdown(SocketShutdown.Send);
        });
        byte[] got = await ReadAllAsync(socket);
        await send;
        await tcp.Finished;
        Assert.That(got.AsSpan().SequenceEqual(there));
        Assert.That((await tcp.ReadAsync(length)).AsSpan().SequenceEqual(back));
        Assert.That(await tcp.Ended, Is.EqualTo(TcpEnd.Finished));
        Assert.That(guest.Longest, isLarge || mtu > 10_000 ? Is.GreaterThan(30_000) : Is.LessThanOrEqualTo(mtu + 14));
        await UntilAsync(() => network.BufferedBytes == 0, "all memory is given back");
        Assert.That(network.MalformedFrames, Is.Zero);
    }

    [Test]
    public async Task Nothing_is_allocated_for_a_frame()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        GuestTcp tcp = guest.Connect("10.0.2.2", ((IPEndPoint)listener.LocalEndpoint).Port);
        using Socket socket = await listener.AcceptSocketAsync();
        byte[] bytes = Bytes(20_000_000, 6);
        (long Frames, long Bytes) before = default;
        for (int round = 0; round < 2; round++)
        {
            before = guest.Allocated;
            tcp.Write(bytes);
            Task send = Task.Run(() => socket.Send(bytes));
            for (int left = bytes.Length; left > 0;)
            {
                left -= await socket.ReceiveAsync(new byte[1 << 20]);
            }

            await send;
            await TcpFlowTests.UntilAsync(() => tcp.Data.Length == (round + 1) * (long)bytes.Length, "all has come");
        }

        (long frames, long allocated) = (guest.Allocated.Frames - before.Frames, guest.Allocated.Bytes - before.Bytes);
        TestContext.Out.WriteLine($"{frames} frames, {allocated} bytes");
        Assert.That((double)allocated / frames, Is.LessThan(1));
    }

    [Test]
    public async Task A_slow_host_holds_the_guest_back_and_gets_everything()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        GuestTcp tcp = guest.Connect("10.0.2.2", ((IPEndPoint)listener.LocalEndpoint).Port);
        using Socket socket = await listener.AcceptSocketAsync();
        byte[] bytes = Bytes(16_000_000, 3);
        tcp.Write(bytes, finish: true);
        socket.Shutdown(SocketShutdown.Send);
        await Task.Delay(500);
        Assert.That(network.BufferedBytes, Is.LessThan(4 << 20));
        Assert.That((await ReadAllAsync(socket)).AsSpan().SequenceEqual(bytes));
        Assert.That(await tcp.Ended, Is.EqualTo(TcpEnd.Finished));
        await UntilAsync(() => network.BufferedBytes == 0, "all memory is given back");
    }

    [Test]
    public async Task A_port_where_nobody_listens_refuses_at_once()
    {
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        GuestTcp tcp = guest.Connect("10.0.2.2", FreePort());
        Assert.That(await tcp.Ended, Is.EqualTo(TcpEnd.Refused));
        await UntilAsync(() => network.TcpConnectionCount == 0, "no connection is left");
    }

    [Test]
    public async Task A_reset_goes_through_both_ways([Values] bool byGuest)
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        GuestTcp tcp = guest.Connect("10.0.2.2", ((IPEndPoint)listener.LocalEndpoint).Port);
        using Socket socket = await listener.AcceptSocketAsync();
        await tcp.Connected;
        if (byGuest)
        {
            tcp.Abort();
            SocketException? e = await Assert.ThrowsAsync<SocketException>(() => ReadAllAsync(socket));
            Assert.That(e!.SocketErrorCode, Is.EqualTo(SocketError.ConnectionReset));
        }
        else
        {
            socket.LingerState = new LingerOption(true, 0);
            socket.Close();
            Assert.That(await tcp.Ended, Is.EqualTo(TcpEnd.Reset));
        }

        await UntilAsync(() => network.TcpConnectionCount == 0, "no connection is left");
    }

    [Test]
    public async Task The_host_and_what_a_policy_does_not_allow_are_refused()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        (UserNetworkPolicy Policy, string Address)[] refused =
        [
            (new UserNetworkPolicy(), "10.0.2.2"),
            (WithHost, "127.0.0.1"),
            (WithHost, "0.0.0.0"),
            (new UserNetworkPolicy(), "169.254.169.254"),
            (UserNetworkPolicy.NoOutbound, "192.0.2.1"),
            (new UserNetworkPolicy { Allowed = [UserNetworkRule.ForNetwork("192.0.2.0/24") with { FirstPort = 1, LastPort = 1 }] }, "192.0.2.1"),
            (new UserNetworkPolicy { Allowed = [UserNetworkRule.ForNetwork("192.0.2.2")] }, "192.0.2.1"),
            (new UserNetworkPolicy { Allowed = [UserNetworkRule.ForName("*.example.com")] }, "192.0.2.1"),
        ];
        foreach ((UserNetworkPolicy policy, string address) in refused)
        {
            await using UserNetwork network = new(new UserNetworkOptions { Policy = policy });
            await using TestGuest guest = new(network);
            await guest.FindGatewayAsync();
            Assert.That(await guest.Connect(address, port).Ended, Is.EqualTo(TcpEnd.Refused), address);
        }

        Assert.That(listener.Pending(), Is.False);
    }

    [Test]
    public async Task A_forward_leads_to_the_guest_by_TCP_and_by_a_Unix_socket([Values] bool isUnix)
    {
        string path = Path.Combine(Path.GetTempPath(), $"uml-net-{Guid.NewGuid():N}.sock");
        await using UserNetwork network = new(new UserNetworkOptions
        {
            Forwards = [new PortForward(80) { Host = isUnix ? new UnixDomainSocketEndPoint(path) : new IPEndPoint(IPAddress.Loopback, 0) }],
        });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        guest.Listen(80);
        EndPoint host = network.Forwards[0].EndPoint;
        using (Socket socket = new(host.AddressFamily, SocketType.Stream, isUnix ? ProtocolType.Unspecified : ProtocolType.Tcp))
        {
            await socket.ConnectAsync(host);
            GuestTcp tcp = await guest.AcceptAsync();
            await socket.SendAsync("ping"u8.ToArray());
            Assert.That(Encoding.ASCII.GetString(await tcp.ReadAsync(4)), Is.EqualTo("ping"));
            Assert.That(tcp.Remote.Address.ToString(), Is.EqualTo("10.0.2.2"), "loopback addresses are no guest's to answer");
            tcp.Write("pong"u8.ToArray(), finish: true);
            Assert.That(Encoding.ASCII.GetString(await ReadAllAsync(socket)), Is.EqualTo("pong"));
        }

        await network.DisposeAsync();
        Assert.That(File.Exists(path), Is.False);
    }

    [Test]
    public async Task A_port_that_is_taken_is_an_error_that_names_it()
    {
        await using UserNetwork first = new(new UserNetworkOptions { Forwards = [new PortForward(80)] });
        IPEndPoint taken = (IPEndPoint)first.Forwards[0].EndPoint;
        Assert.That(taken.Port, Is.Not.Zero);
        NetTransportException? e = Assert.Throws<NetTransportException>(() => _ = new UserNetwork(new UserNetworkOptions { Forwards = [new PortForward(80) { Host = taken }] }));
        Assert.That(e!.Message, Does.Contain(taken.ToString()).And.Contain("port 80"));
    }

    [Test]
    public async Task An_HttpClient_talks_to_a_guest_without_a_port_of_the_host()
    {
        await using UserNetwork network = new();
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        guest.Listen(80);
        using SocketsHttpHandler handler = new() { ConnectCallback = async (context, token) => await network.ConnectAsync(context.DnsEndPoint.Port, cancellationToken: token) };
        using HttpClient client = new(handler);
        Task<string> get = client.GetStringAsync(new Uri("http://guest/"));
        GuestTcp tcp = await guest.AcceptAsync();
        await tcp.ReadAsync(20);
        tcp.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"u8.ToArray());
        Assert.That(await get, Is.EqualTo("hello"));
    }

    [Test]
    public async Task A_stream_moves_much_both_ways_and_says_why_it_ends()
    {
        const int length = 5_000_000;
        await using UserNetwork network = new();
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        IOException? refused = await Assert.ThrowsAsync<IOException>(async () => await network.ConnectAsync(81));
        Assert.That(refused!.Message, Does.Contain("81"));
        guest.Listen(80);
        await using UserNetworkStream stream = await network.ConnectAsync(80);
        GuestTcp tcp = await guest.AcceptAsync();
        byte[] there = Bytes(length, 4), back = Bytes(length, 5);
        tcp.Write(back, finish: true);
        Task write = stream.WriteAsync(there).AsTask().ContinueWith(_ => stream.CompleteWriting(), TaskScheduler.Default);
        using MemoryStream got = new();
        await stream.CopyToAsync(got);
        await write;
        Assert.That(got.ToArray().AsSpan().SequenceEqual(back));
        Assert.That((await tcp.ReadAsync(length)).AsSpan().SequenceEqual(there));

        await using UserNetworkStream second = await network.ConnectAsync(80);
        GuestTcp other = await guest.AcceptAsync();
        ValueTask<int> read = second.ReadAsync(new byte[10]);
        other.Abort();
        await Assert.ThrowsAsync<IOException>(async () => await read);
    }

    [Test]
    public async Task The_program_takes_connections_of_guests([Values(null, "10.0.2.77", "198.51.100.1")] string? address)
    {
        await using UserNetwork network = new(new UserNetworkOptions { Policy = UserNetworkPolicy.NoOutbound });
        await using TestGuest guest = new(network);
        ulong gateway = await guest.FindGatewayAsync();
        await using UserNetworkListener listener = network.Listen(8080, address is null ? null : IPAddress.Parse(address));
        Assert.Throws<NetTransportException>(() => network.Listen(8080, address is null ? null : IPAddress.Parse(address)));
        if (address == "10.0.2.77")
        {
            guest.Send(guest.Arp(1, address));
            Assert.That((await guest.NextAsync())[6..12], Is.EqualTo(TestGuest.MacBytes(gateway)));
        }

        GuestTcp tcp = guest.Connect(address ?? "10.0.2.2", 8080);
        await using UserNetworkStream stream = (await listener.AcceptAsync())!;
        tcp.Write("question"u8.ToArray());
        byte[] buffer = new byte[8];
        await stream.ReadExactlyAsync(buffer);
        await stream.WriteAsync("answer"u8.ToArray());
        Assert.That(Encoding.ASCII.GetString(buffer), Is.EqualTo("question"));
        Assert.That(Encoding.ASCII.GetString(await tcp.ReadAsync(6)), Is.EqualTo("answer"));
        Assert.That(stream.GuestEndPoint.Address.ToString(), Is.EqualTo("10.0.2.15"));
        await listener.DisposeAsync();
        Assert.That(await listener.AcceptAsync(), Is.Null);
        Assert.That(await guest.Connect(address ?? "10.0.2.2", 8080).Ended, Is.EqualTo(TcpEnd.Refused));
    }

    [Test]
    public async Task A_network_that_is_disposed_ends_all_that_it_has()
    {
        using TcpListener host = new(IPAddress.Loopback, 0);
        host.Start();
        UserNetwork network = new(new UserNetworkOptions { Policy = WithHost, Forwards = [new PortForward(80)] });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        guest.Listen(80);
        await using UserNetworkListener listener = network.Listen(8080);
        await using UserNetworkStream stream = await network.ConnectAsync(80);
        Task<UserNetworkStream?> accept = listener.AcceptAsync().AsTask();
        Task<int> read = stream.ReadAsync(new byte[10]).AsTask();
        GuestTcp tcp = guest.Connect("10.0.2.2", ((IPEndPoint)host.LocalEndpoint).Port);
        using Socket socket = await host.AcceptSocketAsync();
        await tcp.Connected;
        EndPoint forward = network.Forwards[0].EndPoint;

        await network.DisposeAsync();
        await network.DisposeAsync();
        Assert.That(await accept, Is.Null);
        await Assert.ThrowsAsync<IOException>(async () => await read);
        await Assert.ThrowsAsync<SocketException>(() => ReadAllAsync(socket));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await network.ConnectAsync(80));
        Assert.Throws<ObjectDisposedException>(() => network.Forward(new PortForward(80)));
        Assert.That((network.TcpConnectionCount, network.Forwards.Count, network.BufferedBytes), Is.EqualTo((0, 0, 0L)));
        using Socket again = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        again.Bind(forward);
    }

    [Test]
    public async Task Guests_that_are_silent_are_asked_for_until_they_are_there()
    {
        await using UserNetwork network = new();
        await using TestGuest guest = new(network);
        guest.Listen(80);
        await using UserNetworkStream stream = await network.ConnectAsync(80);
        await guest.NextAsync(frame => frame[13] == 6 && frame[21] == 2, 1).ContinueWith(_ => { }, TaskScheduler.Default);
        Assert.That((await guest.AcceptAsync()).Remote.Address.ToString(), Is.EqualTo("10.0.2.2"));
        using CancellationTokenSource stop = new(200);
        await Assert.CatchAsync<OperationCanceledException>(async () => await network.ConnectAsync(80, IPAddress.Parse("10.0.2.200"), stop.Token));
    }

    [Test]
    public async Task A_thousand_connections_at_once_and_many_short_ones_leave_nothing_behind()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(2000);
        Task serve = Task.Run(async () =>
        {
            try
            {
                while (true)
                {
                    Socket socket = await listener.AcceptAsync();
                    _ = Task.Run(async () =>
                    {
                        using (socket)
                        {
                            byte[] all = await ReadAllAsync(socket);
                            await socket.SendAsync(all);
                        }
                    });
                }
            }
            catch (SocketException)
            {
            }
        });
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        int port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        for (int round = 0; round < 3; round++)
        {
            GuestTcp[] all = [.. Enumerable.Range(0, 1000).Select(_ => guest.Connect("10.0.2.2", port))];
            foreach (GuestTcp tcp in all)
            {
                await tcp.Connected;
            }

            Assert.That(network.TcpConnectionCount, Is.GreaterThanOrEqualTo(1000));
            for (int i = 0; i < all.Length; i++)
            {
                all[i].Write(BitConverter.GetBytes(i), finish: true);
            }

            for (int i = 0; i < all.Length; i++)
            {
                await all[i].Finished;
                Assert.That(BitConverter.ToInt32(await all[i].ReadAsync(4)), Is.EqualTo(i));
            }
        }

        await UntilAsync(() => network.TcpConnectionCount == 0, "no connection is left");
        Assert.That(network.BufferedBytes, Is.Zero);
        listener.Close();
        await serve;
    }

    [Test]
    public async Task Beyond_the_limit_the_quietest_connection_goes()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost, MaximumTcpConnections = 2 });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        GuestTcp[] all = new GuestTcp[3];
        for (int i = 0; i < all.Length; i++)
        {
            all[i] = guest.Connect("10.0.2.2", ((IPEndPoint)listener.LocalEndpoint).Port);
            await all[i].Connected;
        }

        Assert.That(await all[0].Ended, Is.EqualTo(TcpEnd.Reset));
        Assert.That(network.TcpConnectionCount, Is.EqualTo(2));
    }

    internal static async Task UntilAsync(Func<bool> isSo, string what)
    {
        for (int i = 0; i < 2000 && !isSo(); i++)
        {
            await Task.Delay(10);
        }

        Assert.That(isSo(), what);
    }

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task<byte[]> ReadAllAsync(Socket socket)
    {
        using MemoryStream all = new();
        byte[] buffer = new byte[65536];
        for (int read; (read = await socket.ReceiveAsync(buffer)) != 0;)
        {
            all.Write(buffer, 0, read);
        }

        return all.ToArray();
    }

    private static byte[] Bytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
