using System.Net;
using System.Net.Sockets;
using Uml.Net.Frames;
using Uml.Net.Packets;
using Uml.Net.UserNet;
using Uml.Net.UserNet.Dns;

namespace Uml.Net.Tests.UserNet;

public sealed class HostileGuestTests
{
    [Test]
    public async Task Frames_that_are_damaged_break_nothing_and_others_go_on([Range(1, 10)] int seed)
    {
        Random random = new(seed);
        using UdpClient server = new(new IPEndPoint(IPAddress.Loopback, 0));
        await using UserNetwork network = new(new UserNetworkOptions { Policy = new UserNetworkPolicy { AllowsHost = true, AllowsOutbound = false }, NameServers = [] });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        int port = ((IPEndPoint)server.Client.LocalEndPoint!).Port;
        byte[] syn = [0x9C, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0xA0, 2, 255, 255, 0, 0, 0, 0, 2, 4, 5, 0xB4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
        byte[][] templates =
        [
            guest.Arp(1, "10.0.2.2"),
            guest.Udp("10.0.2.2", port, new byte[100]),
            guest.Udp("10.0.2.3", 53, UdpFlowTests.Question("a.b.example", 1)),
            guest.Udp("255.255.255.255", 67, new byte[300], 68),
            guest.Ip("10.0.2.2", 6, syn),
            guest.Ip("10.0.2.2", 1, new byte[64]),
            guest.Ip("ff02::2", 58, guest.Icmp6([133, 0, 0, 0, 0, 0, 0, 0], "ff02::2", "fe80::1"), source: "fe80::1", hops: 255),
            guest.Ip("fd55:4d4c::2", 58, new byte[64], source: "fd55:4d4c::9"),
            guest.Ip("fd55:4d4c::2", 6, syn, source: "fd55:4d4c::9"),
        ];
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = [.. templates[random.Next(templates.Length)]];
            for (int flips = random.Next(5); flips > 0; flips--)
            {
                bytes[random.Next(12, bytes.Length)] = (byte)random.Next(256);
            }

            bytes = random.Next(4) == 0 ? bytes[..random.Next(bytes.Length)] : bytes;
            NetFrame frame = new(bytes);
            if (random.Next(2) == 0)
            {
                // Checksums hide most damage; here they are the card's word.
                frame.Offload = new NetOffload
                {
                    Flags = (byte)random.Next(4),
                    Segmentation = (NetSegmentation)random.Next(256),
                    SegmentSize = (ushort)random.Next(3000),
                    ChecksumStart = (ushort)random.Next(100),
                    ChecksumOffset = (ushort)random.Next(100),
                };
            }

            network.Send([frame]);
        }

        Assert.That(network.MalformedFrames, Is.GreaterThan(1000));
        Assert.That(network.BufferedBytes, Is.LessThan(64 << 20));
        while (guest.HasFrames)
        {
            await guest.NextAsync();
        }

        while (server.Available != 0)
        {
            await server.ReceiveAsync();
        }

        guest.Send(guest.Udp("10.0.2.2", port, [1, 2, 3], sourcePort: 7777));
        using CancellationTokenSource timeout = new(TimeSpan.FromSeconds(10));
        while (!(await server.ReceiveAsync(timeout.Token)).Buffer.AsSpan().SequenceEqual((byte[])[1, 2, 3]))
        {
        }
    }

    [Test]
    public async Task A_flood_of_wishes_for_connections_keeps_to_the_limit()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        await using UserNetwork network = new(new UserNetworkOptions { Policy = new UserNetworkPolicy { AllowsHost = true }, MaximumTcpConnections = 64 });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        for (int i = 0; i < 2000; i++)
        {
            byte[] syn = [(byte)(i >> 8), (byte)i, (byte)(port >> 8), (byte)port, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 255, 255, 0, 0, 0, 0];
            InternetAddress to = InternetAddress.From(IPAddress.Parse("10.0.2.2"));
            InternetChecksum.Write(syn.AsSpan(16), InternetChecksum.Add(syn, IpHeader.SumPseudoHeader(guest.Address, to, 6, syn.Length)));
            guest.Send(guest.Ip("10.0.2.2", 6, syn));
            Assert.That(network.TcpConnectionCount, Is.LessThanOrEqualTo(64));
        }

        await guest.Connect("10.0.2.2", port).Connected;
    }

    [Test]
    public async Task Addresses_of_IPv4_in_packets_of_IPv6_are_refused()
    {
        await using UserNetwork network = new(new UserNetworkOptions { Policy = new UserNetworkPolicy { AllowsHost = true } });
        await using TestGuest guest = new(network, "fd55:4d4c::15");
        byte[] syn = [0x9C, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 255, 255, 0, 0, 0, 0];
        (string Source, string Destination)[] pairs = [("fd55:4d4c::15", "10.0.2.2"), ("10.0.2.15", "fd55:4d4c::2"), ("fd55:4d4c::15", "127.0.0.1")];
        foreach ((string source, string destination) in pairs)
        {
            byte[] frame = guest.Ip("fd55:4d4c::2", 6, syn);
            IPAddress.Parse(source).MapToIPv6().GetAddressBytes().CopyTo(frame, 22);
            IPAddress.Parse(destination).MapToIPv6().GetAddressBytes().CopyTo(frame, 38);
            NetFrame marked = new(frame) { Offload = new NetOffload { Flags = NetOffload.DataIsValid } };
            network.Send([marked]);
        }

        byte[] target = IPAddress.Parse("10.0.2.2").MapToIPv6().GetAddressBytes();
        guest.Send(guest.Ip("ff02::1:ff00:2", 58, guest.Icmp6([135, 0, 0, 0, 0, 0, 0, 0, .. target], "ff02::1:ff00:2"), hops: 255));
        Assert.That((network.MalformedFrames, network.TcpConnectionCount), Is.EqualTo((4, 0)));
    }

    [Test]
    public async Task Frames_that_nobody_takes_are_bounded()
    {
        await using UserNetwork network = new();
        NetFrame frame;
        await using (TestGuest guest = new(network))
        {
            frame = new NetFrame(guest.Arp(1, "10.0.2.2"));
        }

        for (int i = 0; i < 5000; i++)
        {
            network.Send([frame]);
        }

        Assert.That(network.LostFrames, Is.GreaterThan(3000));
    }

    [Test]
    public async Task Fragments_are_dropped()
    {
        await using UserNetwork network = new();
        await using TestGuest guest = new(network);
        byte[] frame = guest.Udp("10.0.2.3", 53, UdpFlowTests.Question("host", 1));
        frame[20] = 0x20;
        frame.AsSpan(24, 2).Clear();
        InternetChecksum.Write(frame.AsSpan(24), InternetChecksum.Add(frame.AsSpan(14, 20)));
        guest.Send(frame);
        Assert.That(network.MalformedFrames, Is.EqualTo(1));
    }

    [Test]
    public void Names_that_lead_in_a_circle_or_beyond_are_refused()
    {
        byte[][] messages =
        [
            [0xC0, 0], [1, (byte)'a', 0xC0, 0], [0xC0, 2, 0xC0, 0], [0xC0, 5], [63], [5, 1, 2], [0x80, 1], [], [3, (byte)'a', (byte)'.', (byte)'b', 0],
            [.. Enumerable.Range(0, 5).SelectMany(_ => (byte[])[63, .. new byte[63]]), 0],
        ];
        foreach (byte[] message in messages)
        {
            int at = 0;
            Assert.That(DnsName.TryRead(message, ref at, out _), Is.False, Convert.ToHexString(message));
        }

        int start = 3;
        Assert.That(DnsName.TryRead([1, (byte)'a', 0, 1, (byte)'B', 0xC0, 0], ref start, out string name));
        Assert.That((name, start), Is.EqualTo(("b.a", 7)));
    }

    [Test]
    public void Options_that_lie_are_left_out()
    {
        byte[] header = new byte[60];
        header[12] = 0xF0;
        (byte[] Options, int Size)[] cases = [([2, 4, 5, 0xB4], 1460), ([2, 0, 5, 0xB4], 0), ([2, 1], 0), ([2, 40], 0), ([3, 200, 2, 4, 5, 0xB4], 0), ([1, 1, 2, 4, 1, 0], 256), ([0, 2, 4, 1, 0], 0), ([2, 3, 5, 2, 4, 0, 9], 9)];
        foreach ((byte[] options, int size) in cases)
        {
            header.AsSpan(20).Clear();
            options.CopyTo(header, 20);
            Assert.That(TcpHeader.TryRead(header, out TcpHeader read, out _));
            Assert.That(read.SegmentSize, Is.EqualTo(size), Convert.ToHexString(options));
        }

        Assert.That(TcpHeader.TryRead(header.AsSpan(0, 59), out _, out _), Is.False);
        header[12] = 0x40;
        Assert.That(TcpHeader.TryRead(header, out _, out _), Is.False);
    }
}
