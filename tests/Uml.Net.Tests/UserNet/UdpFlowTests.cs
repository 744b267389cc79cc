using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using Uml.Net.UserNet;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.Tests.UserNet;

public sealed class UdpFlowTests
{
    private static readonly UserNetworkPolicy WithHost = new() { AllowsHost = true };

    [Test]
    public async Task Datagrams_go_to_a_service_of_the_host_and_back([Values] bool isIp6, [Values(0, 1, 1400)] int length)
    {
        using UdpClient server = Server(isIp6);
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost });
        await using TestGuest guest = new(network, isIp6 ? "fd55:4d4c::15" : "10.0.2.15");
        byte[] data = new byte[length];
        new Random(1).NextBytes(data);
        for (int i = 0; i < 3; i++)
        {
            guest.Send(guest.Udp(isIp6 ? "fd55:4d4c::2" : "10.0.2.2", Port(server), data));
            UdpReceiveResult got = await server.ReceiveAsync();
            Assert.That(got.Buffer, Is.EqualTo(data));
            await server.SendAsync(data, got.RemoteEndPoint);
            (int from, byte[] reply, _) = await guest.NextUdpAsync();
            Assert.That((from, Convert.ToHexString(reply)), Is.EqualTo((Port(server), Convert.ToHexString(data))));
        }

        Assert.That(network.UdpFlowCount, Is.EqualTo(1));
    }

    [Test]
    public async Task A_long_datagram_reaches_the_guest_in_fragments([Values] bool isIp6)
    {
        using UdpClient server = Server(isIp6);
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost });
        await using TestGuest guest = new(network, isIp6 ? "fd55:4d4c::15" : "10.0.2.15");
        guest.Send(guest.Udp(isIp6 ? "fd55:4d4c::2" : "10.0.2.2", Port(server), [1]));
        byte[] data = new byte[5000];
        new Random(2).NextBytes(data);
        await server.SendAsync(data, (await server.ReceiveAsync()).RemoteEndPoint);
        byte[] datagram = [];
        for (int i = 0; i < 4; i++)
        {
            byte[] frame = await guest.NextAsync();
            int field = isIp6 ? BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(56)) : BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(20));
            Assert.That(isIp6 ? field & ~7 : (field & 0x1FFF) * 8, Is.EqualTo(datagram.Length));
            Assert.That(isIp6 ? field & 1 : field >> 13, Is.EqualTo(i == 3 ? 0 : 1));
            Assert.That(frame, Has.Length.LessThanOrEqualTo(1514));
            datagram = [.. datagram, .. frame[(isIp6 ? 62 : 34)..]];
        }

        Assert.That(datagram[8..], Is.EqualTo(data));
    }

    [Test]
    public async Task Datagrams_that_a_guest_leaves_to_be_cut_are_sent_one_by_one()
    {
        using UdpClient server = Server(isIp6: false);
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost });
        await using TestGuest guest = new(network);
        byte[] data = new byte[2500];
        new Random(3).NextBytes(data);
        Frames.NetFrame frame = new(guest.Udp("10.0.2.2", Port(server), data))
        {
            Offload = new Frames.NetOffload { Flags = Frames.NetOffload.NeedsChecksum, Segmentation = Frames.NetSegmentation.Udp, SegmentSize = 1000 },
        };
        network.Send([frame]);
        Assert.That((await server.ReceiveAsync()).Buffer, Is.EqualTo(data[..1000]));
        Assert.That((await server.ReceiveAsync()).Buffer, Is.EqualTo(data[1000..2000]));
        Assert.That((await server.ReceiveAsync()).Buffer, Is.EqualTo(data[2000..]));
    }

    [Test]
    public async Task A_port_where_nobody_is_answers_with_ICMP([Values] bool isIp6, [Values] bool isAllowed)
    {
        int port;
        using (UdpClient server = Server(isIp6))
        {
            port = Port(server);
        }

        await using UserNetwork network = new(new UserNetworkOptions { Policy = isAllowed ? WithHost : new UserNetworkPolicy() });
        await using TestGuest guest = new(network, isIp6 ? "fd55:4d4c::15" : "10.0.2.15");
        guest.Send(guest.Udp(isIp6 ? "fd55:4d4c::2" : "10.0.2.2", port, [1, 2, 3]));
        byte[] reply = await guest.NextAsync();
        int icmp = isIp6 ? 54 : 34, quoted = icmp + 8 + (isIp6 ? 40 : 20);
        Assert.That((reply[icmp], reply[icmp + 1]), Is.EqualTo(isIp6 ? ((byte)1, (byte)4) : ((byte)3, (byte)3)));
        Assert.That(BinaryPrimitives.ReadUInt16BigEndian(reply.AsSpan(quoted)), Is.EqualTo(5000));
        Assert.That(BinaryPrimitives.ReadUInt16BigEndian(reply.AsSpan(quoted + 2)), Is.EqualTo(port));
    }

    [Test]
    public async Task Flows_are_few_and_end_when_they_are_quiet()
    {
        using UdpClient server = Server(isIp6: false);
        FakeTimeProvider time = new();
        await using UserNetwork network = new(new UserNetworkOptions { Policy = WithHost, MaximumUdpFlows = 8, TimeProvider = time });
        await using TestGuest guest = new(network);
        for (int i = 0; i < 100; i++)
        {
            guest.Send(guest.Udp("10.0.2.2", Port(server), [1], sourcePort: 6000 + i));
            Assert.That(network.UdpFlowCount, Is.EqualTo(Math.Min(i + 1, 8)));
        }

        time.Advance(TimeSpan.FromMinutes(4));
        guest.Send(guest.Udp("10.0.2.2", Port(server), [1], sourcePort: 6099));
        time.Advance(TimeSpan.FromMinutes(2));
        Assert.That(network.UdpFlowCount, Is.EqualTo(1));
        time.Advance(TimeSpan.FromMinutes(6));
        Assert.That(network.UdpFlowCount, Is.Zero);
    }

    [Test]
    public async Task A_forward_of_UDP_leads_to_the_guest_and_back()
    {
        await using UserNetwork network = new(new UserNetworkOptions { Forwards = [new PortForward(7000) { Protocol = PortForwardProtocol.Udp }] });
        await using TestGuest guest = new(network);
        guest.Send(guest.Arp(1, "10.0.2.2"));
        await guest.NextAsync();
        using UdpClient first = new(AddressFamily.InterNetwork), second = new(AddressFamily.InterNetwork);
        foreach (UdpClient client in (UdpClient[])[first, second])
        {
            await client.SendAsync("to the guest"u8.ToArray(), (IPEndPoint)network.Forwards[0].EndPoint);
            (int from, byte[] data, byte[] frame) = await guest.NextUdpAsync(7000);
            Assert.That(Encoding.ASCII.GetString(data), Is.EqualTo("to the guest"));
            Assert.That(new IPAddress(frame[26..30]).ToString(), Is.EqualTo("10.0.2.2"));
            guest.Send(guest.Udp("10.0.2.2", from, [.. "back to "u8, .. BitConverter.GetBytes(Port(client))], sourcePort: 7000));
            Assert.That((await client.ReceiveAsync()).Buffer[8..], Is.EqualTo(BitConverter.GetBytes(Port(client))));
        }
    }

    [Test]
    public async Task Names_of_the_host_are_known_and_others_are_asked_for([Values] bool isIp6)
    {
        using UdpClient server = Server(isIp6: false);
        await using UserNetwork network = new(new UserNetworkOptions { NameServers = [new IPEndPoint(IPAddress.Loopback, Port(server))] });
        await using TestGuest guest = new(network, isIp6 ? "fd55:4d4c::15" : "10.0.2.15");
        string relay = isIp6 ? "fd55:4d4c::3" : "10.0.2.3";
        ushort type = isIp6 ? (ushort)28 : (ushort)1;
        foreach (string name in (string[])["host", "HOST.uml.internal"])
        {
            guest.Send(guest.Udp(relay, 53, Question(name, type)));
            (int from, byte[] answer, _) = await guest.NextUdpAsync();
            Assert.That((from, answer[3] & 15, answer[7]), Is.EqualTo((53, 0, 1)));
            Assert.That(new IPAddress(answer[^(isIp6 ? 16 : 4)..]), Is.EqualTo(IPAddress.Parse(isIp6 ? "fd55:4d4c::2" : "10.0.2.2")));
        }

        foreach (string name in (string[])["nobody", "nobody.uml.internal"])
        {
            guest.Send(guest.Udp(relay, 53, Question(name, type)));
            Assert.That((await guest.NextUdpAsync()).Data[3] & 15, Is.EqualTo(3));
        }

        guest.Send(guest.Udp(relay, 53, Question("www.example.com", type)));
        UdpReceiveResult asked = await server.ReceiveAsync();
        Assert.That(asked.Buffer, Is.EqualTo(Question("www.example.com", type)));
        byte[] reply = Reply(asked.Buffer, type, IPAddress.Parse(isIp6 ? "2001:db8::7" : "192.0.2.7"));
        await server.SendAsync(reply, asked.RemoteEndPoint);
        Assert.That((await guest.NextUdpAsync()).Data, Is.EqualTo(reply));
    }

    [Test]
    public async Task Another_name_server_is_asked_where_the_first_does_not_answer()
    {
        FakeTimeProvider time = new();
        using UdpClient silent = Server(isIp6: false), server = Server(isIp6: false);
        await using UserNetwork network = new(new UserNetworkOptions
        {
            NameServers = [new IPEndPoint(IPAddress.Loopback, Port(silent)), new IPEndPoint(IPAddress.Loopback, Port(server))],
            TimeProvider = time,
        });
        await using TestGuest guest = new(network);
        guest.Send(guest.Udp("10.0.2.3", 53, Question("www.example.com", 1)));
        await silent.ReceiveAsync();
        time.Advance(TimeSpan.FromSeconds(5));
        guest.Send(guest.Udp("10.0.2.3", 53, Question("www.example.com", 1)));
        Assert.That((await server.ReceiveAsync()).Buffer, Is.EqualTo(Question("www.example.com", 1)));
    }

    [Test]
    public async Task A_policy_of_names_allows_what_they_stand_for_and_nothing_else()
    {
        using UdpClient server = Server(isIp6: false);
        await using UserNetwork network = new(new UserNetworkOptions
        {
            NameServers = [new IPEndPoint(IPAddress.Loopback, Port(server))],
            Policy = new UserNetworkPolicy { Allowed = [UserNetworkRule.ForName("*.example.com")] },
        });
        await using TestGuest guest = new(network);
        await guest.FindGatewayAsync();
        guest.Send(guest.Udp("10.0.2.3", 53, Question("www.example.org", 1)));
        Assert.That((await guest.NextUdpAsync()).Data[3] & 15, Is.EqualTo(3));

        // Nothing is reached in a test: an address of documentation has no way, or nobody there. What is not allowed is refused at once.
        guest.Send(guest.Udp("10.0.2.3", 53, Question("www.example.com", 1)));
        UdpReceiveResult asked = await server.ReceiveAsync();
        await server.SendAsync(Reply(asked.Buffer, 1, IPAddress.Parse("192.0.2.7")), asked.RemoteEndPoint);
        await guest.NextUdpAsync();
        UserNetworkPolicy policy = network.Options.Policy;
        Assert.That(await guest.Connect("192.0.2.8", 80).Ended, Is.EqualTo(TcpEnd.Refused));
        Assert.That(policy.Allows(new Net.Packets.InternetEndPoint(Net.Packets.InternetAddress.From(IPAddress.Parse("192.0.2.7")), 80), ["www.example.com"]));
        Assert.That(policy.Allows(new Net.Packets.InternetEndPoint(Net.Packets.InternetAddress.From(IPAddress.Parse("192.0.2.7")), 80), ["www.example.org"]), Is.False);
    }

    [Test]
    public async Task Without_a_server_questions_fail_and_do_not_hang([Values] bool isOutbound)
    {
        await using UserNetwork network = new(new UserNetworkOptions { NameServers = [], Policy = new UserNetworkPolicy { AllowsOutbound = isOutbound } });
        await using TestGuest guest = new(network);
        guest.Send(guest.Udp("10.0.2.3", 53, Question("www.example.com", 1)));
        Assert.That((await guest.NextUdpAsync()).Data[3] & 15, Is.EqualTo(isOutbound ? 2 : 3));
    }

    internal static byte[] Question(string name, ushort type) =>
    [
        0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. name.Split('.').SelectMany(label => (byte[])[(byte)label.Length, .. Encoding.ASCII.GetBytes(label)]), 0,
        (byte)(type >> 8), (byte)type, 0, 1,
    ];

    private static byte[] Reply(byte[] question, ushort type, IPAddress address)
    {
        byte[] bytes = address.GetAddressBytes();
        byte[] reply = [.. question, 0xC0, 12, (byte)(type >> 8), (byte)type, 0, 1, 0, 0, 0, 60, 0, (byte)bytes.Length, .. bytes];
        (reply[2], reply[3], reply[7]) = (0x81, 0x80, 1);
        return reply;
    }

    private static UdpClient Server(bool isIp6) => new(new IPEndPoint(isIp6 ? IPAddress.IPv6Loopback : IPAddress.Loopback, 0));

    private static int Port(UdpClient client) => ((IPEndPoint)client.Client.LocalEndPoint!).Port;
}
