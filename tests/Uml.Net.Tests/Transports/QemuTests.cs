using System.Globalization;
using Uml.Net.Frames;
using Uml.Net.Transports.Datagrams;
using Uml.Net.Transports.L2tp;
using Uml.Net.Transports.Multicast;
using Uml.Net.Transports.Streams;

namespace Uml.Net.Tests.Transports;

/// <summary>QEMU as a hub without a machine: each of its networks is a port, and the other ends are ours.</summary>
[TestFixture]
public sealed class QemuTests
{
    [Test]
    public async Task Every_network_that_qemu_has_too_reaches_every_other()
    {
        using TemporaryFolder folder = new();
        int[] ports = [.. Enumerable.Range(0, 9).Select(_ => Ports.Take())];
        string[] names = ["stream server", "stream client", "socket", "dgram of paths", "dgram", "l2tpv3", "l2tpv3 with all", "mcast"];
        L2tpOptions l2tp = new() { Destination = "127.0.0.1", UsesUdp = true, SourcePort = ports[3], DestinationPort = ports[4], ReceiveSession = 1, SendSession = 2 };
        StreamOptions server = new() { Address = folder["stream"], IsServer = true };
        await using INetTransport first = server.Open(), third = (server with { Address = "127.0.0.1", Port = ports[0] }).Open();
        using PeerProcess qemu = PeerProcess.Start("qemu-system-x86", "qemu-system-x86_64", folder["qemu"], [
            "-M", "none", "-nodefaults", "-display", "none",
            .. Port(0, $"stream,server=off,addr.type=unix,addr.path={folder["stream"]}"),
            .. Port(1, $"stream,server=on,addr.type=unix,addr.path={folder["listen"]}"),
            .. Port(2, $"socket,connect=127.0.0.1:{ports[0]}"),
            .. Port(3, $"dgram,local.type=unix,local.path={folder["qemu"]},remote.type=unix,remote.path={folder["ours"]}"),
            .. Port(4, $"dgram,local.type=inet,local.host=127.0.0.1,local.port={ports[1]},remote.type=inet,remote.host=127.0.0.1,remote.port={ports[2]}"),
            .. Port(5, $"l2tpv3,src=127.0.0.1,dst=127.0.0.1,udp=on,srcport={ports[4]},dstport={ports[3]},rxsession=2,txsession=1"),
            .. Port(6, $"l2tpv3,src=127.0.0.1,dst=127.0.0.1,udp=on,srcport={ports[6]},dstport={ports[5]},rxsession=4294967295,txsession=1"
                + ",cookie64=on,rxcookie=0x1122334455667788,txcookie=0x99aabbccddeeff00,counter=on"),
            .. Port(7, $"socket,mcast=239.192.77.2:{ports[7]},localaddr=127.0.0.1"),
        ]);
        await using INetTransport second = new StreamOptions { Address = folder["listen"] }.Open(),
            fourth = new DatagramOptions { Source = folder["ours"], Destination = folder["qemu"] }.Open(),
            fifth = new DatagramOptions { Source = "127.0.0.1", SourcePort = ports[2], Destination = "127.0.0.1", DestinationPort = ports[1] }.Open(),
            sixth = l2tp.Open(),
            seventh = (l2tp with
            {
                SourcePort = ports[5], DestinationPort = ports[6], SendSession = uint.MaxValue, HasLongCookies = true, HasCounter = true,
                ReceiveCookie = 0x99AA_BBCC_DDEE_FF00, SendCookie = 0x1122_3344_5566_7788,
            }).Open(),
            eighth = new MulticastOptions { Group = "239.192.77.2", Port = ports[7], Source = "127.0.0.1" }.Open();
        INetTransport[] all = [first, second, third, fourth, fifth, sixth, seventh, eighth];
        await Exchange.EventuallyAsync(() => Array.TrueForAll(all, transport => transport.IsConnected), "QEMU did not connect");
        for (int from = 0; from < all.Length; from++)
        {
            byte[] frame = Exchange.Frame(1000 + from, from);
            await Exchange.SendAsync(all[from], frame);
            for (int to = 0; to < all.Length; to++)
            {
                // What QEMU sends to a group it receives too, and tells the other ports of it once more.
                if (to != from)
                {
                    byte[] received = await ReceiveAsync(all[to], 1000 + from);
                    Assert.That(received, Is.EqualTo(frame), $"from {names[from]} to {names[to]}");
                }
            }
        }
    }

    private static string[] Port(int number, string network)
    {
        int comma = network.IndexOf(',', StringComparison.Ordinal);
        string id = number.ToString(CultureInfo.InvariantCulture);
        return ["-netdev", $"{network[..comma]},id=n{id}{network[comma..]}", "-netdev", $"hubport,id=h{id},hubid=0,netdev=n{id}"];
    }

    private static async Task<byte[]> ReceiveAsync(INetTransport transport, int length)
    {
        while (true)
        {
            byte[] frame = (await Exchange.ReceiveAsync(transport, 1))[0];
            if (frame.Length == length)
            {
                return frame;
            }
        }
    }
}
