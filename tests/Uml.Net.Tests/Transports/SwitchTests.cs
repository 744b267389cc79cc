using System.Net.Sockets;
using Uml.Net.Frames;
using Uml.Net.Transports.Daemon;
using Uml.Net.Transports.Vde;

namespace Uml.Net.Tests.Transports;

/// <summary>daemon and vde: against the switches themselves, and against one that misbehaves.</summary>
[TestFixture]
public sealed class SwitchTests
{
    // Who it is for, and who sends it: addresses that a switch learns.
    private static readonly byte[] s_everybody = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

    [Test]
    public async Task Three_ports_of_uml_switch_reach_each_other()
    {
        using TemporaryFolder folder = new();
        using PeerProcess peer = PeerProcess.Start("uml-utilities", "uml_switch", folder["ctl"], "-unix", folder["ctl"]);
        DaemonOptions options = new() { Switch = folder["ctl"] };
        await using INetTransport first = options.Open(), second = options.Open(), third = options.Open();
        await AssertSwitchedAsync(first, second, third);
        Assert.That(first.Features.MaximumFrameLength, Is.EqualTo(1514));
        peer.Dispose();
        await Exchange.EventuallyAsync(() => !first.IsConnected, "the switch has gone, and nobody noticed");
        Assert.That((first.Send([new NetFrame(Exchange.Frame(60))]), first.LostFrames), Is.EqualTo((1, 1L)));
    }

    [Test]
    public async Task Ports_of_vde_switch_reach_each_other()
    {
        using TemporaryFolder folder = new();
        using PeerProcess peer = PeerProcess.Start("vde2", "vde_switch", folder["switch/ctl"], "-s", folder["switch"], "-M", folder["manage"]);
        VdeOptions options = new() { Locator = folder["switch"], Description = "of a test" };
        await using INetTransport first = options.Open(), second = (options with { Locator = "vde://" + folder["switch"], Port = 7 }).Open(), third = options.Open();
        await AssertSwitchedAsync(first, second, third);
        string ports = await ManageAsync(folder["manage"], "port/allprint");
        Assert.That(ports, Does.Contain("of a test").And.Contain("Port 0007"));
    }

    [Test]
    public async Task A_port_of_vde_switch_is_reached_through_vde_plug()
    {
        PeerTool.IgnoreUnlessInstalled("vdeplug", "vde_plug");
        using TemporaryFolder folder = new();
        using PeerProcess peer = PeerProcess.Start("vde2", "vde_switch", folder["switch/ctl"], "-s", folder["switch"]);
        VdeOptions options = new() { Locator = "vde://" + folder["switch"] };
        await using INetTransport first = options.Open(), second = (options with { UsesHelper = true }).Open();
        byte[] call = [.. s_everybody, .. Exchange.Frame(54)], answer = [.. s_everybody, .. Exchange.Frame(55)];
        NetFrame[] room = Exchange.Rooms(1);
        await Exchange.EventuallyAsync(
            () =>
            {
                // The helper takes its port some time after it has started.
                second.Send([new NetFrame(call)]);
                return first.Receive(room) == 1;
            },
            "nothing came through vde_plug");
        Assert.That(Exchange.Content(room[0]), Is.EqualTo(call));
        await Exchange.SendAsync(first, answer);
        await Exchange.AssertOnlyAsync(second, answer);
        await second.DisposeAsync();
        Assert.That(() => new VdeOptions { Locator = "nosuch://place" }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("vde_plug nosuch://place"));
    }

    [Test]
    public async Task A_request_is_the_one_of_uml()
    {
        using TemporaryFolder folder = new();
        using Socket listener = Listen(folder["ctl"]);
        using Socket data = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        data.Bind(new UnixDomainSocketEndPoint(folder["data"]));
        Task<INetTransport> opening = Task.Run(() => new DaemonOptions { Switch = folder["ctl"] }.Open());
        using Socket control = await listener.AcceptAsync();
        byte[] request = await Exchange.ReceiveAsync(control);
        Assert.That(request, Has.Length.EqualTo(124));
        Assert.That(request[..14], Is.EqualTo(new byte[] { 0xCE, 0xFA, 0xED, 0xFE, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0 }));
        Assert.That(request[14], Is.Zero, "an abstract name");
        byte[] address = new byte[110];
        address[0] = 1;
        System.Text.Encoding.UTF8.GetBytes(folder["data"], address.AsSpan(2));

        // In two parts, as a stream may have them.
        control.Send(address.AsSpan(0, 50));
        await Task.Delay(20);
        control.Send(address.AsSpan(50));
        await using INetTransport transport = await opening;
        await Exchange.SendAsync(transport, Exchange.Frame(60));
        Assert.That(await Exchange.ReceiveAsync(data), Is.EqualTo(Exchange.Frame(60)));
    }

    [Test]
    public async Task A_switch_that_hangs_up_or_answers_rubbish_is_refused()
    {
        using TemporaryFolder folder = new();
        using Socket listener = Listen(folder["ctl"]);
        foreach ((byte[] answer, string expected) in new[] { (Array.Empty<byte>(), "refuses a port"), (new byte[50], "refuses a port"), (Exchange.Frame(110), "is no switch") })
        {
            Task<INetTransport> opening = Task.Run(() => new DaemonOptions { Switch = folder["ctl"] }.Open());
            using (Socket control = await listener.AcceptAsync())
            {
                await Exchange.ReceiveAsync(control);
                control.Send(answer);
            }

            Assert.That(() => opening, Throws.TypeOf<NetTransportException>().With.Message.Contains(expected));
        }

        Assert.That(() => new DaemonOptions { Switch = folder["none"] }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("start the other side first"));
        Assert.That(() => new DaemonOptions { Switch = folder["ctl"], Mtu = 1501 }.Open(), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    /// <summary>A frame for everybody arrives everywhere else; one for who has sent before, with him alone.</summary>
    private static async Task AssertSwitchedAsync(INetTransport first, INetTransport second, INetTransport third)
    {
        byte[] one = [2, 0, 0, 0, 0, 1], two = [2, 0, 0, 0, 0, 2];
        byte[] broadcast = [.. s_everybody, .. one, .. Exchange.Frame(48)], answer = [.. one, .. two, .. Exchange.Frame(1502)], next = [.. two, .. one, .. Exchange.Frame(50)];
        await Exchange.SendAsync(first, broadcast);
        await Exchange.AssertOnlyAsync(second, broadcast);
        await Exchange.AssertOnlyAsync(third, broadcast);
        await Exchange.SendAsync(second, answer);
        await Exchange.AssertOnlyAsync(first, answer);
        await Exchange.SendAsync(first, next);
        await Exchange.AssertOnlyAsync(second, next);
        Assert.That(third.Receive(Exchange.Rooms(1)), Is.Zero);
    }

    private static async Task<string> ManageAsync(string path, string command)
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes(command + "\n"));
        string answer = "";
        for (int i = 0; i < 10 && !answer.Contains("Port 0007", StringComparison.Ordinal); i++)
        {
            answer += System.Text.Encoding.ASCII.GetString(await Exchange.ReceiveAsync(socket));
        }

        return answer;
    }

    private static Socket Listen(string path)
    {
        Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(4);
        return listener;
    }
}
