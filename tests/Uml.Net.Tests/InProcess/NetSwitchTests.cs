using Microsoft.Extensions.Time.Testing;
using Uml.Net.Frames;
using Uml.Net.InProcess;
using Uml.Net.Tests.Packets;

namespace Uml.Net.Tests.InProcess;

public sealed class NetSwitchTests
{
    [Test]
    public async Task Frames_go_to_all_ports_until_their_station_is_known()
    {
        await using NetSwitch network = new();
        NetSwitchPort[] ports = [network.Connect(), network.Connect(), network.Connect()];
        Ends.Send(ports[0], Ends.Frame(1, 0));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 0, 1, 1 }));
        Ends.Send(ports[1], Ends.Frame(0, 1));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 1, 0, 0 }));
        Ends.Send(ports[0], Ends.Frame(1, 0), Ends.Frame(-1, 0), Ends.Frame(1, 0));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 0, 3, 1 }));
    }

    [Test]
    public async Task A_station_that_moves_is_found_at_its_new_port()
    {
        await using NetSwitch network = new();
        NetSwitchPort[] ports = [network.Connect(), network.Connect(), network.Connect()];
        Ends.Send(ports[1], Ends.Frame(-1, 1));
        Ends.Send(ports[2], Ends.Frame(-1, 1));
        Counts(ports);
        Ends.Send(ports[0], Ends.Frame(1, 0));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 0, 0, 1 }));
        Assert.That(network.AddressCount, Is.EqualTo(2));
        await ports[2].DisposeAsync();
        Assert.That(network.AddressCount, Is.EqualTo(1));
        Ends.Send(ports[0], Ends.Frame(1, 0));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 0, 1, 0 }));
    }

    [Test]
    public async Task A_station_that_is_not_heard_of_is_forgotten()
    {
        FakeTimeProvider time = new();
        await using NetSwitch network = new(timeProvider: time);
        NetSwitchPort[] ports = [network.Connect(), network.Connect(), network.Connect()];
        Ends.Send(ports[1], Ends.Frame(0, 1));
        Counts(ports);
        time.Advance(TimeSpan.FromSeconds(299));
        Ends.Send(ports[0], Ends.Frame(1, 0));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 0, 1, 0 }));
        time.Advance(TimeSpan.FromSeconds(2));
        Ends.Send(ports[0], Ends.Frame(1, 0));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 0, 1, 1 }));
    }

    [Test]
    public async Task A_flood_of_addresses_takes_no_more_memory_and_stops_nobody()
    {
        await using NetSwitch network = new(new NetSwitchOptions { MaximumAddresses = 64 });
        NetSwitchPort[] ports = [network.Connect(), network.Connect(), network.Connect()];
        for (int i = 100; i < 10_000; i++)
        {
            Ends.Send(ports[2], Ends.Frame(3, i));
        }

        Counts(ports);
        Assert.That(network.AddressCount, Is.LessThanOrEqualTo(64));
        Ends.Send(ports[0], Ends.Frame(-1, 0));
        Ends.Send(ports[1], Ends.Frame(0, 1));
        Assert.That(Counts(ports)[0], Is.EqualTo(1));
    }

    [Test]
    public async Task Frames_that_are_none_go_nowhere()
    {
        await using NetSwitch network = new();
        NetSwitchPort[] ports = [network.Connect(), network.Connect()];
        Ends.Send(ports[0], [], new byte[13], Ends.Frame(1, -1), Ends.Frame(0, 0));
        Ends.Send(ports[0], Ends.Frame(0, 0));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 0, 0 }));
    }

    [Test]
    public async Task A_port_that_is_slow_loses_frames_and_holds_up_no_other()
    {
        await using NetSwitch network = new();
        NetSwitchPort sender = network.Connect(), slow = network.Connect(new NetSwitchPortOptions { BufferSize = 512 << 10 }), other = network.Connect();
        byte[] frame = Ends.Frame(-1, 0, length: 1514);
        for (int i = 0; i < 1000; i++)
        {
            Ends.Send(sender, frame);
        }

        int received = Ends.Receive(slow).Count;
        Assert.Multiple(() =>
        {
            Assert.That(Ends.Receive(other), Has.Count.EqualTo(1000));
            Assert.That(received, Is.InRange(300, 400));
            Assert.That(slow.LostFrames, Is.EqualTo(1000 - received));
        });
    }

    [Test]
    public async Task Access_ports_hear_their_VLAN_only_and_trunks_get_tags()
    {
        await using NetSwitch network = new();
        NetSwitchPort access10 = Access(network, 10), other10 = Access(network, 10), access20 = Access(network, 20);
        NetSwitchPort trunk = network.Connect(new NetSwitchPortOptions { Vlan = 0, TaggedVlans = [10, 20] });
        NetSwitchPort[] ports = [access10, other10, access20, trunk];

        byte[] plain = Ends.Frame(-1, 1, length: 200);
        byte[] tagged = Ends.Frame(-1, 1, length: 200, vlan: 10);
        Ends.Send(access10, plain);
        Assert.Multiple(() =>
        {
            Assert.That(Ends.ReceiveBytes(other10), Is.EqualTo(new[] { plain }));
            Assert.That(Ends.ReceiveBytes(trunk), Is.EqualTo(new[] { tagged }));
            Assert.That(Ends.ReceiveBytes(access20), Is.Empty);
        });

        Ends.Send(trunk, Ends.Frame(-1, 4, length: 200, vlan: 20), Ends.Frame(-1, 4), Ends.Frame(-1, 4, vlan: 30), Ends.Frame(1, 4, length: 200, vlan: 10));
        Assert.Multiple(() =>
        {
            Assert.That(Ends.ReceiveBytes(access20), Is.EqualTo(new[] { Ends.Frame(-1, 4, length: 200) }));
            Assert.That(Ends.ReceiveBytes(access10), Is.EqualTo(new[] { Ends.Frame(1, 4, length: 200) }));
            Assert.That(Ends.ReceiveBytes(other10), Is.Empty, "station 1 is known in VLAN 10");
        });

        Ends.Send(access10, Ends.Frame(-1, 1, vlan: 20));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 0, 0, 0, 0 }), "an access port has no other VLAN's frames");
    }

    [Test]
    public async Task Work_that_is_left_to_do_follows_a_tag()
    {
        await using NetSwitch network = new();
        NetSwitchPort access = Access(network, 10);
        NetSwitchPort trunk = network.Connect(new NetSwitchPortOptions { Vlan = 0, TaggedVlans = [10] });
        NetFrame frame = new(Packet.Udp(isIp6: false, new byte[100])) { Offload = new() { Flags = NetOffload.NeedsChecksum, ChecksumStart = 34, ChecksumOffset = 6 } };
        access.Send([frame]);
        byte[] received = Ends.ReceiveBytes(trunk).Single();
        Packet.AssertIsComplete(received, tags: 1);

        NetFrame back = new(Packet.Tcp(isIp6: true, new byte[5000], tags: 1))
        {
            Offload = new() { Flags = NetOffload.NeedsChecksum, Segmentation = NetSegmentation.Tcp6, SegmentSize = 1428, ChecksumStart = 58, ChecksumOffset = 16 },
        };
        back.Pieces[0].Span[15] = 10;
        access.AcceptOffloads(NetOffloads.Checksum | NetOffloads.Tcp6);
        trunk.Send([back]);
        NetFrame large = Ends.Receive(access).Single();
        Assert.That((large.Length, large.Offload.ChecksumStart), Is.EqualTo((back.Length - 4, 54)));
    }

    [Test]
    public async Task A_mirror_gets_what_is_sent_at_all_ports_and_sends_nothing()
    {
        await using NetSwitch network = new();
        NetSwitchPort mirror = network.Connect(new NetSwitchPortOptions { IsMirror = true });
        NetSwitchPort[] ports = [network.Connect(), network.Connect()];
        Ends.Send(ports[0], Ends.Frame(-1, 0));
        Ends.Send(ports[1], Ends.Frame(0, 1), Ends.Frame(0, 1, vlan: 5));
        Ends.Send(mirror, Ends.Frame(-1, 9));
        Assert.That(Ends.Receive(mirror), Has.Count.EqualTo(3));
        Assert.That(Counts(ports), Is.EqualTo(new[] { 2, 1 }));
    }

    [Test]
    public async Task Ports_come_and_go_while_frames_are_sent()
    {
        await using NetSwitch network = new();
        NetSwitchPort sender = network.Connect();
        using CancellationTokenSource end = new();
        Task sending = Task.Run(() =>
        {
            NetFrame[] frames = [.. Enumerable.Range(0, 64).Select(i => new NetFrame(Ends.Frame(i % 8, 100 + i)))];
            while (!end.IsCancellationRequested)
            {
                sender.Send(frames);
            }
        });
        NetFrame room = new(new byte[100]);
        for (int i = 0; i < 500; i++)
        {
            await using NetSwitchPort port = network.Connect(new NetSwitchPortOptions { BufferSize = 512 << 10 });
            Ends.Send(port, Ends.Frame(-1, i % 8));
            for (int received = 0; received < 100; received++)
            {
                port.Receive([room]);
            }
        }

        await end.CancelAsync();
        await sending;
    }

    [Test]
    public async Task A_switch_that_is_disposed_has_no_ports()
    {
        NetSwitch network = new();
        NetSwitchPort port = network.Connect();
        ValueTask<bool> wait = port.WaitToReceiveAsync();
        await network.DisposeAsync();
        Assert.That(await wait, Is.False);
        Assert.That(port.IsConnected, Is.False);
        Assert.That(() => network.Connect(), Throws.InstanceOf<ObjectDisposedException>());
    }

    private static NetSwitchPort Access(NetSwitch network, int vlan) => network.Connect(new NetSwitchPortOptions { Vlan = vlan, TaggedVlans = [] });

    private static int[] Counts(NetSwitchPort[] ports) => [.. ports.Select(port => Ends.Receive(port).Count)];
}
