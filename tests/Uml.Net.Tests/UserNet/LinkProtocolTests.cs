using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using System.Text;
using Uml.Net.Tests.Packets;
using Uml.Net.UserNet;

namespace Uml.Net.Tests.UserNet;

public sealed class LinkProtocolTests
{
    [Test]
    public async Task The_gateway_and_the_name_server_answer_ARP_and_nobody_else_does()
    {
        await using UserNetwork network = new();
        await using TestGuest guest = new(network);
        foreach (string address in (string[])["10.0.2.2", "10.0.2.3"])
        {
            guest.Send(guest.Arp(1, address));
            byte[] reply = await guest.NextAsync();
            Assert.Multiple(() =>
            {
                Assert.That(reply, Has.Length.EqualTo(42));
                Assert.That(reply[..6], Is.EqualTo(TestGuest.MacBytes(guest.Mac)));
                Assert.That(reply[6..12], Is.EqualTo(reply[22..28]));
                Assert.That(reply[20..22], Is.EqualTo(new byte[] { 0, 2 }));
                Assert.That(new IPAddress(reply[28..32]).ToString(), Is.EqualTo(address));
            });
        }

        guest.Send(guest.Arp(1, "10.0.2.99"), guest.Arp(1, "10.0.2.15"), guest.Arp(1, "10.0.2.2"));
        Assert.That(new IPAddress((await guest.NextAsync())[28..32]).ToString(), Is.EqualTo("10.0.2.2"));
    }

    [Test]
    public async Task Pings_of_the_gateway_are_answered([Values("10.0.2.2", "10.0.2.3", "fd55:4d4c::2", "fd55:4d4c::3")] string address, [Values(0, 56, 1400)] int length)
    {
        await using UserNetwork network = new();
        bool isIp4 = address.Contains('.');
        await using TestGuest guest = new(network, isIp4 ? "10.0.2.15" : "fd55:4d4c::15");
        byte[] data = new byte[length];
        new Random(1).NextBytes(data);
        byte[] request = [isIp4 ? (byte)8 : (byte)128, 0, 0, 0, 1, 2, 3, 4, .. data];
        if (isIp4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(2), (ushort)~Packet.Sum(request));
            guest.Send(guest.Ip(address, 1, request));
            byte[] reply = await guest.NextAsync();
            Assert.That(Packet.Sum(reply[34..]), Is.EqualTo(0xFFFF));
            Assert.That((reply[34], Convert.ToHexString(reply[38..])), Is.EqualTo((0, "01020304" + Convert.ToHexString(data))));
        }
        else
        {
            guest.Send(guest.Ip(address, 58, guest.Icmp6(request, address)));
            byte[] reply = await guest.NextAsync();
            Packet.AssertIsComplete(reply);
            Assert.That((reply[54], Convert.ToHexString(reply[58..])), Is.EqualTo((129, "01020304" + Convert.ToHexString(data))));
        }
    }

    [Test]
    public async Task Routers_and_neighbours_of_IPv6_are_found()
    {
        await using UserNetwork network = new(new UserNetworkOptions { Mtu = 9000 });
        await using TestGuest guest = new(network, "fe80::1");
        guest.Send(guest.Ip("ff02::2", 58, guest.Icmp6([133, 0, 0, 0, 0, 0, 0, 0], "ff02::2"), hops: 255));
        byte[] advertisement = await guest.NextAsync();
        Packet.AssertIsComplete(advertisement);
        byte[] options = advertisement[(54 + 16)..];
        Assert.Multiple(() =>
        {
            Assert.That((advertisement[54], advertisement[21]), Is.EqualTo((134, 255)));
            Assert.That(options[..8], Is.EqualTo(new byte[] { 1, 1 }.Concat(advertisement[6..12])));
            Assert.That(options[8..16], Is.EqualTo(new byte[] { 5, 1, 0, 0, 0, 0, 0x23, 0x28 }));
            Assert.That(options[16..20], Is.EqualTo(new byte[] { 3, 4, 64, 0xC0 }));
            Assert.That(new IPAddress(options[32..48]), Is.EqualTo(IPAddress.Parse("fd55:4d4c::")));
            Assert.That((options[48], options[49], new IPAddress(options[56..72])), Is.EqualTo(((byte)25, (byte)3, IPAddress.Parse("fd55:4d4c::3"))));
        });

        byte[] solicitation = [135, 0, 0, 0, 0, 0, 0, 0, .. IPAddress.Parse("fd55:4d4c::2").GetAddressBytes()];
        guest.Send(
            guest.Ip("ff02::1:ff00:2", 58, guest.Icmp6([.. solicitation], "ff02::1:ff00:2"), hops: 64),
            guest.Ip("ff02::1:ff00:2", 58, guest.Icmp6([.. solicitation], "ff02::1:ff00:2"), hops: 255));
        byte[] neighbour = await guest.NextAsync();
        Packet.AssertIsComplete(neighbour);
        Assert.That((neighbour[54], Convert.ToHexString(neighbour[80..86])), Is.EqualTo((136, Convert.ToHexString(neighbour[6..12]))));
        Assert.That(network.MalformedFrames, Is.EqualTo(1), "a solicitation that came from afar");
        Assert.That(guest.HasFrames, Is.False);
    }

    [Test]
    public async Task An_address_is_leased_with_all_that_a_guest_needs()
    {
        await using UserNetwork network = new(new UserNetworkOptions { Mtu = 65520, LeaseTime = TimeSpan.FromHours(1) });
        await using TestGuest guest = new(network);
        Dictionary<byte, byte[]> offer = await ExchangeAsync(guest, 1);
        Assert.That((offer[53][0], new IPAddress(offer[0]).ToString()), Is.EqualTo((2, "10.0.2.15")));
        Dictionary<byte, byte[]> ack = await ExchangeAsync(guest, 3, (50, offer[0]), (54, offer[54]), (12, Encoding.ASCII.GetBytes("alpha")));
        Assert.Multiple(() =>
        {
            Assert.That(ack[53][0], Is.EqualTo(5));
            Assert.That(new IPAddress(ack[1]).ToString(), Is.EqualTo("255.255.255.0"));
            Assert.That(new IPAddress(ack[3]).ToString(), Is.EqualTo("10.0.2.2"));
            Assert.That(new IPAddress(ack[6]).ToString(), Is.EqualTo("10.0.2.3"));
            Assert.That(new IPAddress(ack[28]).ToString(), Is.EqualTo("10.0.2.255"));
            Assert.That(BinaryPrimitives.ReadUInt16BigEndian(ack[26]), Is.EqualTo(65520));
            Assert.That(BinaryPrimitives.ReadUInt32BigEndian(ack[51]), Is.EqualTo(3600));
            Assert.That(BinaryPrimitives.ReadUInt32BigEndian(ack[58]), Is.EqualTo(1800));
            Assert.That(BinaryPrimitives.ReadUInt32BigEndian(ack[59]), Is.EqualTo(3150));
            Assert.That(Encoding.ASCII.GetString(ack[15]), Is.EqualTo("uml.internal"));
            Assert.That(Encoding.ASCII.GetString(ack[12]), Is.EqualTo("alpha"));
        });

        Dictionary<byte, byte[]> renewed = await ExchangeAsync(guest, 3, (0, offer[0]));
        Assert.That((renewed[53][0], new IPAddress(renewed[0]).ToString()), Is.EqualTo((5, "10.0.2.15")));
        Dictionary<byte, byte[]> refused = await ExchangeAsync(guest, 3, (50, [192, 168, 1, 7]));
        Assert.That(refused[53][0], Is.EqualTo(6));
    }

    [Test]
    public async Task Guests_get_addresses_of_their_own_until_there_are_no_more()
    {
        await using UserNetwork network = new(new UserNetworkOptions { Network = IPNetwork.Parse("10.0.2.0/27") });
        HashSet<string> addresses = [];
        for (ulong i = 1; i <= 16; i++)
        {
            await using TestGuest guest = new(network, mac: 0x0200_0000_0000 + i);
            Dictionary<byte, byte[]> offer = await ExchangeAsync(guest, 1);
            Dictionary<byte, byte[]> ack = await ExchangeAsync(guest, 3, (50, offer[0]));
            Assert.That(ack[53][0], Is.EqualTo(5));
            addresses.Add(new IPAddress(ack[0]).ToString());
        }

        Assert.That(addresses, Has.Count.EqualTo(16));
        await using (TestGuest last = new(network, mac: 0x0200_0000_0099))
        {
            last.Send(Dhcp(last, 1));
        }

        await using TestGuest first = new(network, mac: 0x0200_0000_0001);
        Assert.That(new IPAddress((await ExchangeAsync(first, 1))[0]).ToString(), Is.EqualTo("10.0.2.15"));
    }

    [Test]
    public async Task Machines_know_each_other_by_name()
    {
        await using UserNetwork network = new();
        await using TestGuest guest = new(network);
        Dictionary<byte, byte[]> offer = await ExchangeAsync(guest, 1);
        await ExchangeAsync(guest, 3, (50, offer[0]), (12, "alpha"u8.ToArray()));
        byte[] solicitation = guest.Icmp6([135, 0, 0, 0, 0, 0, 0, 0, .. IPAddress.Parse("fd55:4d4c::2").GetAddressBytes()], "fd55:4d4c::2", "fd55:4d4c::abcd");
        guest.Send(guest.Ip("fd55:4d4c::2", 58, solicitation, source: "fd55:4d4c::abcd", hops: 255));

        // The other machine, by the same switch and cable.
        foreach ((string name, ushort type, string address) in ((string, ushort, string)[])
            [("alpha", 1, "10.0.2.15"), ("Alpha.UML.internal", 1, "10.0.2.15"), ("alpha.uml.internal", 28, "fd55:4d4c::abcd")])
        {
            guest.Send(guest.Udp("10.0.2.3", 53, UdpFlowTests.Question(name, type), source: "10.0.2.99"));
            byte[] answer = (await guest.NextUdpAsync()).Data;
            IPAddress expected = IPAddress.Parse(address);
            Assert.That(new IPAddress(answer[^expected.GetAddressBytes().Length..]), Is.EqualTo(expected), name);
        }
    }

    [Test]
    public async Task The_program_says_which_address_and_name_a_guest_gets()
    {
        UserNetworkOptions options = new()
        {
            Guests =
            [
                new UserNetworkGuest(PhysicalAddress.Parse("020000000001")) { Address = IPAddress.Parse("10.0.2.5"), Name = "alpha" },
                new UserNetworkGuest(PhysicalAddress.Parse("020000000002")) { Name = "beta" },
            ],
        };
        await using UserNetwork network = new(options);
        foreach ((ulong mac, string address, string name) in ((ulong, string, string)[])[(0x0200_0000_0001, "10.0.2.5", "alpha"), (0x0200_0000_0002, "10.0.2.15", "beta")])
        {
            await using TestGuest guest = new(network, address, mac);
            Dictionary<byte, byte[]> offer = await ExchangeAsync(guest, 1);
            Dictionary<byte, byte[]> ack = await ExchangeAsync(guest, 3, (50, offer[0]), (12, "other"u8.ToArray()));
            Assert.That((new IPAddress(ack[0]).ToString(), Encoding.ASCII.GetString(ack[12])), Is.EqualTo((address, name)));
            guest.Send(guest.Udp("10.0.2.3", 53, UdpFlowTests.Question(name, 1)));
            Assert.That(new IPAddress((await guest.NextUdpAsync()).Data[^4..]).ToString(), Is.EqualTo(address));
        }

        foreach (string address in (string[])["10.0.2.2", "10.0.3.1", "10.0.2.255"])
        {
            UserNetworkGuest wrong = options.Guests[0] with { Address = IPAddress.Parse(address) };
            Assert.That(Assert.Throws<ArgumentException>(() => _ = new UserNetwork(options with { Guests = [wrong] }))!.Message, Does.Contain(address));
        }

        Assert.Throws<ArgumentException>(() => _ = new UserNetwork(options with { Guests = [options.Guests[0], options.Guests[1] with { Name = "Alpha" }] }));
    }

    [Test]
    public async Task Frames_to_others_and_from_other_networks_are_left_alone()
    {
        await using UserNetwork network = new();
        await using TestGuest guest = new(network);
        byte[] ping = [8, 0, 0, 0, 1, 2, 3, 4];
        BinaryPrimitives.WriteUInt16BigEndian(ping.AsSpan(2), (ushort)~Packet.Sum(ping));
        guest.Send(
            guest.Ip("10.0.2.2", 1, ping, mac: 0x0200_0000_0077),
            guest.Ip("10.0.2.2", 1, ping, source: "192.168.7.7"),
            guest.Ip("10.0.2.2", 1, ping, source: "10.0.2.2"),
            guest.Ip("10.0.2.2", 1, ping, source: "10.0.2.255"),
            guest.Arp(1, "10.0.2.2"));
        Assert.That((await guest.NextAsync())[13], Is.EqualTo(6), "ARP alone is answered");
    }

    /// <summary>Sends a message and reads the answer: options by their number, and the address by 0.</summary>
    private static async Task<Dictionary<byte, byte[]>> ExchangeAsync(TestGuest guest, byte kind, params (byte Option, byte[] Value)[] options)
    {
        guest.Send(Dhcp(guest, kind, options));
        (_, byte[] data, _) = await guest.NextUdpAsync(68);
        Dictionary<byte, byte[]> found = new() { [0] = data[16..20] };
        for (int at = 240; data[at] != 255; at += 2 + data[at + 1])
        {
            found[data[at]] = data[(at + 2)..(at + 2 + data[at + 1])];
        }

        return found;
    }

    /// <summary>A message of a client; option 0 is the address it has.</summary>
    private static byte[] Dhcp(TestGuest guest, byte kind, params (byte Option, byte[] Value)[] options)
    {
        byte[] message = new byte[240];
        (message[0], message[1], message[2]) = (1, 1, 6);
        message[7] = 42;
        TestGuest.MacBytes(guest.Mac).CopyTo(message, 28);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(236), 0x63825363);
        byte[] client = options.FirstOrDefault(option => option.Option == 0).Value ?? [0, 0, 0, 0];
        client.CopyTo(message, 12);
        byte[] encoded = [53, 1, kind, .. options.Where(option => option.Option != 0).SelectMany(option => (byte[])[option.Option, (byte)option.Value.Length, .. option.Value]), 255];
        return guest.Udp("255.255.255.255", 67, [.. message, .. encoded], 68, TestGuest.BroadcastMac, new IPAddress(client).ToString());
    }
}
