using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Tests.Packets;
using Uml.Net.Transports.Hybrid;
using Uml.Net.Transports.Raw;
using Uml.Net.Transports.Tap;
using Socket = System.Net.Sockets.Socket;

namespace Uml.Net.Tests.Transports;

/// <summary>tap, hybrid and raw, in a network of the test's own: the host's IP stack is the other end.</summary>
[TestFixture]
public sealed class InterfaceTests
{
    private static readonly byte[] s_ours = [2, 0, 0, 0, 0, 0x55];

    [Test]
    public void A_tap_exchanges_frames_with_the_host([Values(10, 12)] int headerSize, [Values] bool usesOffloads, [Values] bool isHybrid) => NetworkNamespace.Run(async () =>
    {
        NetworkNamespace.Ip("tuntap add tap9 mode tap vnet_hdr");
        await using INetTransport transport = isHybrid
            ? new HybridOptions { Interface = "tap9", UsesOffloads = usesOffloads }.Open()
            : new TapOptions { Interface = "tap9", HeaderSize = headerSize, UsesOffloads = usesOffloads }.Open();
        SetUp("tap9");
        await AssertEchoAsync(transport, 56, 1400);
        NetOffloads offered = transport.Features.ReceiveOffloads;
        Assert.That(offered, usesOffloads ? Is.Not.EqualTo(NetOffloads.None) : Is.EqualTo(NetOffloads.None));
        if (usesOffloads)
        {
            Assert.That(offered & (NetOffloads.Checksum | NetOffloads.Tcp4), Is.EqualTo(NetOffloads.Checksum | NetOffloads.Tcp4));
            await AssertChecksumIsLeftAsync(transport, accepted: NetOffloads.None, isLeft: false);
            await AssertChecksumIsLeftAsync(transport, accepted: offered, isLeft: true);
            await AssertSendOffloadAsync(transport);
        }
    });

    [Test]
    public void A_tap_can_be_handed_over([Values] bool hasHeader) => NetworkNamespace.Run(async () =>
    {
        using Microsoft.Win32.SafeHandles.SafeFileHandle descriptor = new(Fcntl.Open("/dev/net/tun", Fcntl.ReadWrite), ownsHandle: true);
        SetInterface(descriptor, "tap9", (ushort)(Ioctl.Tap | Ioctl.NoInformation | (hasHeader ? Ioctl.VirtioHeader : 0)));
        await using INetTransport transport = new TapOptions { Descriptor = (int)descriptor.DangerousGetHandle(), HeaderSize = 12 }.Open();
        SetUp("tap9");
        Assert.That((transport.Features.Name, transport.Features.SendOffloads != NetOffloads.None), Is.EqualTo(("tap tap9", hasHeader)));
        await AssertEchoAsync(transport, 56);
    });

    [Test]
    public void An_fd_without_vectors_may_be_a_tap() => NetworkNamespace.Run(async () =>
    {
        using Microsoft.Win32.SafeHandles.SafeFileHandle descriptor = new(Fcntl.Open("/dev/net/tun", Fcntl.ReadWrite), ownsHandle: true);
        SetInterface(descriptor, "tap9", Ioctl.Tap | Ioctl.NoInformation);
        await using INetTransport transport = new Uml.Net.Transports.Fd.FdOptions { Descriptor = (int)descriptor.DangerousGetHandle(), IsVectored = false }.Open();
        SetUp("tap9");
        await AssertEchoAsync(transport, 56, 1400);

        // A frame that is longer than its room is lost, and the next one is whole.
        Ask(1000, 2000);
        NetFrame[] room = Exchange.Rooms(1, 500);
        await Exchange.EventuallyAsync(() => transport.Receive(room) == 0 && transport.DroppedFrames > 0, "it was not dropped");
    });

    [Test]
    public void A_tap_that_goes_says_so() => NetworkNamespace.Run(async () =>
    {
        await using INetTransport transport = new TapOptions { Interface = "tap9" }.Open();
        Assert.That(transport.Send([new NetFrame(Exchange.Frame(60))]), Is.EqualTo(1));
        Assert.That(transport.LostFrames, Is.EqualTo(1), "it is down");
        SetUp("tap9");
        NetworkNamespace.Ip("link delete tap9");
        Assert.That(() => transport.Send([new NetFrame(Exchange.Frame(60))]), Throws.TypeOf<NetTransportException>().With.Message.Contains("interface"));
        Assert.That(() => transport.Receive(Exchange.Rooms(1)), Throws.TypeOf<NetTransportException>().With.Message.Contains("is gone"));
    });

    [Test]
    public void Interfaces_say_what_is_wrong_with_them() => NetworkNamespace.Run(async () =>
    {
        NetworkNamespace.Ip("tuntap add tap9 mode tap vnet_hdr");
        NetworkNamespace.Ip("tuntap add tun9 mode tun");
        await using INetTransport holder = new TapOptions { Interface = "tap9" }.Open();
        Assert.That(() => new TapOptions { Interface = "tap9" }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("tap9").And.Message.Contains("in use"));
        Assert.That(() => new TapOptions { Interface = "tun9" }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("no tap device"));
        Assert.That(() => new TapOptions { Interface = "a name of 16 byte" }.Open(), Throws.ArgumentException.With.Message.Contains("1 to 15 bytes"));
        Assert.That(() => new TapOptions { Interface = "tap9", HeaderSize = 11 }.Open(), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => new TapOptions { Descriptor = 0 }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("no tap device"));
        Assert.That(() => new RawOptions { Interface = "none9" }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("none9").And.Message.Contains("ip link"));
        Assert.That(() => new RawOptions { Interface = "tap9", FilterFile = "/nowhere" }.Open(), Throws.TypeOf<NetTransportException>().With.Message.Contains("/nowhere").And.Message.Contains("bpffile"));
        await using INetTransport made = new TapOptions().Open();
        Assert.That(made.Features.Name, Does.Match(@"^tap tap\d+$"), "the host chooses a name");
    });

    [Test]
    public void A_raw_transport_is_a_station_beside_the_host([Values] bool usesOffloads, [Values(1, 64)] int depth) => NetworkNamespace.Run(async () =>
    {
        NetworkNamespace.Ip("link add v8 type veth peer name v9");
        NetworkNamespace.Ip("link set v8 up");
        await using INetTransport transport = new RawOptions { Interface = "v8", UsesOffloads = usesOffloads, Depth = depth }.Open();
        SetUp("v9");
        await AssertEchoAsync(transport, 56, 1400);

        // The host leaves checksums to a veth, and so do we to whoever accepts that.
        await AssertChecksumIsLeftAsync(transport, NetOffloads.None, isLeft: false);
        if (usesOffloads)
        {
            await AssertChecksumIsLeftAsync(transport, NetOffloads.All, isLeft: true);
            await AssertSendOffloadAsync(transport);
        }
    });

    [Test]
    public void Segments_that_the_host_leaves_to_others_are_cut_for_a_receiver_that_does_not_accept_them() => NetworkNamespace.Run(async () =>
    {
        await MakeCableAsync();
        await using INetTransport first = new RawOptions { Interface = "v8" }.Open(), second = new RawOptions { Interface = "v9" }.Open();
        byte[] packet = Packet.Tcp(isIp6: false, new byte[5000]);
        NetFrame frame = new(packet)
        {
            Offload = new NetOffload
            {
                Flags = NetOffload.NeedsChecksum, Segmentation = NetSegmentation.Tcp4, HeaderLength = 66, SegmentSize = 1000, ChecksumStart = 34, ChecksumOffset = 16,
            },
        };
        await Exchange.SendAsync(first, frame);
        byte[][] segments = await Exchange.ReceiveAsync(second, 5);
        Assert.That(segments.Select(segment => segment.Length), Is.All.EqualTo(packet.Length - 4000));
        Assert.Multiple(() => Array.ForEach(segments, segment => Packet.AssertIsComplete(segment)));
        second.AcceptOffloads(NetOffloads.All);
        await Exchange.SendAsync(first, frame);
        Assert.That((await Exchange.ReceiveAsync(second, 1, room: 70_000))[0], Has.Length.EqualTo(packet.Length));
    });

    [Test]
    public void Vlan_tags_that_the_host_takes_off_are_put_back() => NetworkNamespace.Run(async () =>
    {
        await MakeCableAsync();
        await using INetTransport first = new RawOptions { Interface = "v8" }.Open(), second = new RawOptions { Interface = "v9" }.Open();
        foreach (NetOffloads accepted in new[] { NetOffloads.None, NetOffloads.All })
        {
            second.AcceptOffloads(accepted);
            byte[] once = Packet.Udp(isIp6: false, new byte[1001], tags: 1), twice = Packet.Udp(isIp6: false, new byte[1001], tags: 2);
            NetFrame left = new(once) { Offload = new NetOffload { Flags = NetOffload.NeedsChecksum, ChecksumStart = 38, ChecksumOffset = 6 } };
            await Exchange.SendAsync(first, left, new NetFrame(twice));
            byte[][] received = await Exchange.ReceiveAsync(second, 2);
            Assert.That(received[1], Is.EqualTo(twice));
            if (accepted == NetOffloads.None)
            {
                Packet.AssertIsComplete(received[0], tags: 1);
            }
            else
            {
                Assert.That(received[0], Is.EqualTo(once));
            }
        }
    });

    [Test]
    public void A_filter_decides_what_is_received() => NetworkNamespace.Run(async () =>
    {
        await MakeCableAsync();
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["none"], BpfTests.Program((0x06, 0, 0, 0)));
        await using INetTransport first = new RawOptions { Interface = "v8" }.Open(),
            second = new RawOptions { Interface = "v9", FilterFile = folder["none"], AllowsFilterLoading = true }.Open();
        await Exchange.SendAsync(first, Exchange.Frame(60, 1));
        Assert.That(second.Receive(Exchange.Rooms(1)), Is.Zero);
        INetFilterLoader loader = (INetFilterLoader)second;
        Assert.That(() => loader.LoadFilter(BpfTests.Program((0x00, 0, 0, 0))), Throws.TypeOf<NetTransportException>());

        // Frames whose byte 14 is 77 alone.
        loader.LoadFilter(BpfTests.Program((0x30, 0, 0, 14), (0x15, 0, 1, 77), (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0)));
        byte[] taken = Exchange.Frame(60, 2);
        taken[14] = 77;
        await Exchange.SendAsync(first, Exchange.Frame(60, 1), taken);
        await Exchange.AssertOnlyAsync(second, taken);
        loader.LoadFilter([]);
        await Exchange.SendAsync(first, Exchange.Frame(60, 3));
        await Exchange.AssertOnlyAsync(second, Exchange.Frame(60, 3));
        Assert.That(() => ((INetFilterLoader)first).LoadFilter([]), Throws.InvalidOperationException.With.Message.Contains("bpfflash=1"));
    });

    /// <summary>Two interfaces that are each other's other end, and carry frames: Linux says so some time after they were set up.</summary>
    private static async Task MakeCableAsync()
    {
        NetworkNamespace.Ip("link add v8 type veth peer name v9");
        NetworkNamespace.Ip("link set v8 up");
        NetworkNamespace.Ip("link set v9 up");
        foreach (string name in new[] { "v8", "v9" })
        {
            await Exchange.EventuallyAsync(
                () => PeerTool.Run("iproute2", "ip", "-oneline", "link", "show", "dev", name).Contains("state UP", StringComparison.Ordinal), $"{name} does not come up");
        }
    }

    private static void SetUp(string name)
    {
        NetworkNamespace.Ip($"link set {name} address 02:00:00:00:00:99 up");
        NetworkNamespace.Ip($"address add 10.9.9.1/24 dev {name}");
        NetworkNamespace.Ip($"neighbour add 10.9.9.2 lladdr 02:00:00:00:00:55 dev {name}");
    }

    /// <summary>The host answers echo requests (RFC 792) of ours.</summary>
    private static async Task AssertEchoAsync(INetTransport transport, params int[] lengths)
    {
        foreach (int length in lengths)
        {
            byte[] request = HostPacket.Echo(length, s_ours, [2, 0, 0, 0, 0, 0x99], IPAddress.Parse("10.9.9.2"), IPAddress.Parse("10.9.9.1"));
            Task<byte[]> receiving = ReceiveForUsAsync(transport, frame => frame.Length == request.Length && frame[23] == 1);
            while (!receiving.IsCompleted)
            {
                // Until its cable has a carrier the host loses what comes.
                await Exchange.SendAsync(transport, request);
                await Task.WhenAny(receiving, Task.Delay(500));
            }

            byte[] answer = await receiving;
            Assert.That(answer[34], Is.Zero, "an echo reply");
            Assert.That(answer[38..], Is.EqualTo(request[38..]));
        }
    }

    /// <summary>Of what comes, the next frame for us that is meant: the host says other things too.</summary>
    private static async Task<byte[]> ReceiveForUsAsync(INetTransport transport, Predicate<byte[]> isMeant, Action<NetOffload>? see = null)
    {
        using CancellationTokenSource patience = new(TimeSpan.FromSeconds(20));
        NetFrame[] room = [new NetFrame(new byte[70_000])];
        while (true)
        {
            if (transport.Receive(room) == 0)
            {
                Assert.That(await transport.WaitToReceiveAsync(patience.Token), Is.True);
                continue;
            }

            byte[] frame = Exchange.Content(room[0]);
            if (frame.AsSpan(0, 6).SequenceEqual(s_ours) && isMeant(frame))
            {
                see?.Invoke(room[0].Offload);
                return frame;
            }
        }
    }

    private static void Ask(int length, int port)
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.SendTo(new byte[length], new IPEndPoint(IPAddress.Parse("10.9.9.2"), port));
    }

    private static async Task AssertChecksumIsLeftAsync(INetTransport transport, NetOffloads accepted, bool isLeft)
    {
        transport.AcceptOffloads(accepted);
        Ask(333, 2000);
        NetOffload offload = default;
        byte[] frame = await ReceiveForUsAsync(transport, frame => frame.Length == 14 + 28 + 333, seen => offload = seen);
        Assert.That((offload.Flags & NetOffload.NeedsChecksum) != 0, Is.EqualTo(isLeft));
        if (!isLeft)
        {
            Packet.AssertIsComplete(frame);
        }
    }

    /// <summary>The host completes a checksum that we leave to it: it takes the datagram.</summary>
    private static async Task AssertSendOffloadAsync(INetTransport transport)
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Any, 0));
        byte[] packet = HostPacket.Udp(
            new byte[100], s_ours, [2, 0, 0, 0, 0, 0x99], IPAddress.Parse("10.9.9.2"), IPAddress.Parse("10.9.9.1"), ((IPEndPoint)socket.LocalEndPoint!).Port);
        NetFrame frame = new(packet) { Offload = new NetOffload { Flags = NetOffload.NeedsChecksum, ChecksumStart = 34, ChecksumOffset = 6 } };
        await Exchange.SendAsync(transport, frame);
        Assert.That(await Exchange.ReceiveAsync(socket), Has.Length.EqualTo(100));
    }

    private static unsafe void SetInterface(SafeHandle descriptor, string name, ushort flags)
    {
        InterfaceRequest request = new() { Flags = flags };
        InterfaceName.Write(name, new Span<byte>(request.Name, NetIf.NameSize));
        Assert.That(Ioctl.Control(descriptor, Ioctl.SetInterface, &request), Is.Zero);
    }
}
