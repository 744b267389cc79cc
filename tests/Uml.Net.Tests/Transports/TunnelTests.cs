using System.Net;
using System.Net.Sockets;
using Uml.Net.Frames;
using Uml.Net.Transports.Gre;
using Uml.Net.Transports.L2tp;
using Uml.Net.Transports.Vxlan;

namespace Uml.Net.Tests.Transports;

/// <summary>l2tpv3, gre and VXLAN: what is on the wire, and between two of ours.</summary>
[TestFixture]
public sealed class TunnelTests
{
    private static readonly L2tpOptions s_l2tp = new() { Destination = "127.0.0.1", UsesUdp = true, ReceiveSession = 0xFFFF_FFFE, SendSession = 0x1234_5678 };

    private static readonly L2tpOptions[] s_l2tpVariants =
    [
        s_l2tp,
        s_l2tp with { ReceiveCookie = 0xA1A2_A3A4, SendCookie = 0xB1B2_B3B4 },
        s_l2tp with { ReceiveCookie = 0xA1A2_A3A4_A5A6_A7A8, SendCookie = 0xB1B2_B3B4_B5B6_B7B8, HasLongCookies = true },
        s_l2tp with { HasCounter = true },
        s_l2tp with { ReceiveCookie = 1, SendCookie = 2, HasCounter = true, IsCounterPinned = true },
    ];

    private static readonly string[] s_l2tpHeaders =
    [
        "00030000 12345678",
        "00030000 12345678 B1B2B3B4",
        "00030000 12345678 B1B2B3B4B5B6B7B8",
        "00030000 12345678 00000001",
        "00030000 12345678 00000002 00000000",
    ];

    private static readonly string[] s_l2tpAnswers =
    [
        "00030000 FFFFFFFE",
        "00030000 FFFFFFFE A1A2A3A4",
        "00030000 FFFFFFFE A1A2A3A4A5A6A7A8",
        "00030000 FFFFFFFE DEADBEEF",
        "00030000 FFFFFFFE 00000001 40000000",
    ];

    [Test]
    public async Task L2tp_over_udp_is_exact_on_the_wire_and_drops_what_is_not_for_it([Range(0, 4)] int variant)
    {
        using Socket peer = Bind(out int peerPort);
        int port = Ports.Take();
        await using INetTransport transport = (s_l2tpVariants[variant] with { SourcePort = port, DestinationPort = peerPort }).Open();
        await Exchange.SendAsync(transport, Exchange.Frame(60));
        byte[] header = Bytes(s_l2tpHeaders[variant]);
        Assert.That(await Exchange.ReceiveAsync(peer), Is.EqualTo((byte[])[.. header, .. Exchange.Frame(60)]));

        peer.Connect(IPAddress.Loopback, port);
        byte[] answer = Bytes(s_l2tpAnswers[variant]);
        byte[][] hostile = [[], [0], answer[..^1], answer, [.. answer, .. new byte[13]], Change(answer, 4), [.. Change(answer, 0), .. Exchange.Frame(60)]];
        int cookies = variant is 1 or 2 or 4 ? 1 : 0;
        if (cookies != 0)
        {
            peer.Send([.. Change(answer, 8), .. Exchange.Frame(60)]);
        }

        peer.Send([.. Change(answer, 7), .. Exchange.Frame(60)]);
        foreach (byte[] datagram in hostile)
        {
            peer.Send(datagram);
        }

        peer.Send([.. answer, .. Exchange.Frame(1514)]);
        await Exchange.AssertOnlyAsync(transport, Exchange.Frame(1514));
        Assert.That(transport.DroppedFrames, Is.EqualTo(hostile.Length + 1 + cookies));
    }

    [Test]
    public async Task The_counter_of_l2tp_counts()
    {
        using Socket peer = Bind(out int peerPort);
        await using INetTransport transport = (s_l2tp with { SourcePort = Ports.Take(), DestinationPort = peerPort, HasCounter = true, Depth = 2 }).Open();
        await Exchange.SendAsync(transport, Exchange.Frame(14), Exchange.Frame(14), Exchange.Frame(14));
        for (byte i = 1; i <= 3; i++)
        {
            Assert.That((await Exchange.ReceiveAsync(peer))[8..12], Is.EqualTo(new byte[] { 0, 0, 0, i }));
        }

        byte[] header = new byte[12];
        new L2tpHeader(s_l2tp with { HasCounter = true }).Write(header, new NetFrame(), 0x0100_0004 - 1);
        Assert.That(header[8..], Is.EqualTo(new byte[] { 0, 0, 0, 4 }), "24 bits, and no S bit ever");
    }

    [Test]
    public async Task Two_of_ours_meet_over_l2tp([Range(0, 4)] int variant, [Values("127.0.0.1", "::1")] string host)
    {
        L2tpOptions first = s_l2tpVariants[variant] with { Destination = host, Source = host, SourcePort = Ports.Take(), DestinationPort = Ports.Take() };
        await using INetTransport one = first.Open(), other = Mirror(first).Open();
        await Exchange.AssertBothWaysAsync(one, other);
    }

    [Test]
    public void Options_of_l2tp_that_make_no_sense_are_refused()
    {
        Assert.That(() => (s_l2tp with { ReceiveSession = 0 }).Open(), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => (s_l2tp with { SendCookie = 1 }).Open(), Throws.ArgumentException.With.Message.Contains("rx_cookie"));
        Assert.That(() => (s_l2tp with { ReceiveCookie = 1, SendCookie = 1UL << 32 }).Open(), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("cookie64"));
        Assert.That(() => (s_l2tp with { Destination = "::1", Source = "127.0.0.1" }).Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("versions of IP"));
        Assert.That(() => (s_l2tp with { Destination = "127.0.0.1", IsIp6 = true }).Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("IPv6"));
        Assert.That(() => (s_l2tp with { Source = "192.0.2.1" }).Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("ip address"));
        using Socket taken = Bind(out int port);
        Assert.That(() => (s_l2tp with { SourcePort = port }).Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains($"srcport={port}").And.Message.Contains("another port"));
    }

    [Test]
    public async Task Vxlan_is_exact_on_the_wire_and_drops_what_is_not_for_it()
    {
        using Socket peer = Bind(out int peerPort), stranger = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        int port = Ports.Take();
        await using INetTransport transport = new VxlanOptions { Destination = "127.0.0.1", SourcePort = port, DestinationPort = peerPort, Network = 0xABCDEF }.Open();
        await Exchange.SendAsync(transport, Exchange.Frame(60));
        byte[] header = Bytes("08000000 ABCDEF00");
        Assert.That(await Exchange.ReceiveAsync(peer), Is.EqualTo((byte[])[.. header, .. Exchange.Frame(60)]));

        stranger.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
        stranger.SendTo([.. header, .. Exchange.Frame(60)], new IPEndPoint(IPAddress.Loopback, port));
        byte[][] hostile = [[], header[..7], header, [.. header, .. new byte[13]], [.. Change(header, 6), .. Exchange.Frame(60)], [.. Change(header, 0), .. Exchange.Frame(60)]];

        // A peer sends from any port, and reserved bits do not count (RFC 7348, 5).
        using Socket anyPort = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        anyPort.Connect(IPAddress.Loopback, port);
        foreach (byte[] datagram in hostile)
        {
            anyPort.Send(datagram);
        }

        anyPort.Send([.. Change(header, 7), .. Exchange.Frame(1514)]);
        await Exchange.AssertOnlyAsync(transport, Exchange.Frame(1514));
        Assert.That(transport.DroppedFrames, Is.EqualTo(hostile.Length + 1));
    }

    [TestCase("127.0.0.1"), TestCase("::1")]
    public async Task Two_of_ours_meet_over_vxlan(string host)
    {
        VxlanOptions first = new() { Destination = host, SourcePort = Ports.Take(), DestinationPort = Ports.Take(), Network = 7 };
        await using INetTransport one = first.Open(), other = (first with { SourcePort = first.DestinationPort, DestinationPort = first.SourcePort }).Open();
        await Exchange.AssertBothWaysAsync(one, other);
    }

    [TestCase(null, false, false, "00006558", "00006558")]
    [TestCase(1u, false, false, "20006558 00000001", "20006558 00000002")]
    [TestCase(null, true, false, "10006558 00000001", "10006558 00000000")]
    [TestCase(1u, true, true, "30006558 00000001 00000000", "30006558 00000002 FFFFFFFF")]
    public void Gre_is_exact_on_the_wire_and_drops_what_is_not_for_it(uint? key, bool hasSequence, bool isPinned, string sent, string answer) => NetworkNamespace.Run(async () =>
    {
        NetworkNamespace.Ip("link set lo up");
        GreOptions options = new()
        {
            Destination = "127.0.0.2", Source = "127.0.0.1", SendKey = key, ReceiveKey = key + 1, HasSequence = hasSequence, IsSequencePinned = isPinned,
        };
        await using INetTransport transport = options.Open();
        using Socket peer = new(new SafeSocketHandle(Interop.Socket.Open(Interop.Socket.FamilyIp4, Interop.Socket.Raw | Interop.Socket.CloseOnExec, 47), ownsHandle: true));
        peer.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
        await Exchange.SendAsync(transport, Exchange.Frame(60));
        byte[] received = await Exchange.ReceiveAsync(peer);
        Assert.That(received[20..], Is.EqualTo((byte[])[.. Bytes(sent), .. Exchange.Frame(60)]));

        peer.Connect(IPAddress.Loopback, 0);
        byte[] header = Bytes(answer);
        byte[][] hostile = [[], header[..3], header, [.. header, .. new byte[13]], [.. Change(header, 0), .. Exchange.Frame(60)], [.. Change(header, 3), .. Exchange.Frame(60)]];
        foreach (byte[] packet in key is null ? hostile : [.. hostile, [.. Change(header, 7), .. Exchange.Frame(60)]])
        {
            peer.Send(packet);
        }

        // Options of IP move the header: record route (RFC 791, 3.1), with room for one address.
        peer.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.IPOptions, new byte[] { 7, 7, 4, 0, 0, 0, 0, 0 });
        peer.Send([.. header, .. Exchange.Frame(1000)]);
        await Exchange.AssertOnlyAsync(transport, Exchange.Frame(1000));
        Assert.That(transport.DroppedFrames, Is.EqualTo(hostile.Length + (key is null ? 0 : 1)));
    });

    [TestCase("127.0.0.2", "127.0.0.1"), TestCase("fd00::2", "fd00::1")]
    public void Two_of_ours_meet_over_gre_and_over_l2tp_in_ip(string first, string second) => NetworkNamespace.Run(async () =>
    {
        NetworkNamespace.Ip("link set lo up");
        NetworkNamespace.Ip("-6 address add fd00::1/64 dev lo nodad");
        NetworkNamespace.Ip("-6 address add fd00::2/64 dev lo nodad");

        // Linux makes the routes to its own addresses some time later.
        await Exchange.EventuallyAsync(
            () => PeerTool.Run("iproute2", "ip", "-6", "route", "show", "table", "local") is var routes && routes.Contains("local fd00::1", StringComparison.Ordinal) && routes.Contains("local fd00::2", StringComparison.Ordinal),
            "the addresses have no routes");
        GreOptions gre = new() { Source = first, Destination = second, SendKey = uint.MaxValue, ReceiveKey = 0, HasSequence = true };
        INetTransport one = gre.Open();
        INetTransport other = (gre with { Source = second, Destination = first, SendKey = 0, ReceiveKey = uint.MaxValue }).Open();
        await Exchange.AssertBothWaysAsync(one, other);
        await one.DisposeAsync();
        await other.DisposeAsync();
        foreach (L2tpOptions variant in s_l2tpVariants)
        {
            // One at a time: all would receive what is for one of them.
            L2tpOptions l2tp = variant with { UsesUdp = false, Source = first, Destination = second };
            one = l2tp.Open();
            other = (Mirror(l2tp) with { Source = second, Destination = first }).Open();
            await Exchange.AssertBothWaysAsync(one, other);
            await one.DisposeAsync();
            await other.DisposeAsync();
        }
    });

    [Test]
    public void A_first_sequence_number_is_as_wanted()
    {
        byte[] header = new byte[8];
        GreOptions options = new() { Destination = "127.0.0.1", HasSequence = true };
        new GreHeader(options with { FirstSequence = 0 }).Write(header, new NetFrame(), 0);
        Assert.That(header[4..], Is.EqualTo(new byte[4]));
        new GreHeader(options).Write(header, new NetFrame(), uint.MaxValue);
        Assert.That(header[4..], Is.EqualTo(new byte[4]), "it wraps around");
        Assert.That(() => (options with { SendKey = 1 }).Open(), Throws.ArgumentException.With.Message.Contains("rx_key"));
    }

    private static L2tpOptions Mirror(L2tpOptions options) => options with
    {
        SourcePort = options.DestinationPort,
        DestinationPort = options.SourcePort,
        ReceiveSession = options.SendSession,
        SendSession = options.ReceiveSession,
        ReceiveCookie = options.SendCookie,
        SendCookie = options.ReceiveCookie,
    };

    private static Socket Bind(out int port)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        return socket;
    }

    private static byte[] Bytes(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

    private static byte[] Change(byte[] bytes, int index)
    {
        byte[] changed = [.. bytes];
        changed[index] ^= 0x88;
        return changed;
    }
}
