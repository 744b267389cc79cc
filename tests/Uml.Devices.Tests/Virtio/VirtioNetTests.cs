using System.Net.NetworkInformation;
using Uml.Core;
using Uml.Core.Machine;
using Uml.Devices.Board;
using Uml.Devices.Virtio;
using Uml.Hosting.Testing;
using Uml.Net.Frames;
using Uml.Net.InProcess;

namespace Uml.Devices.Tests.Virtio;

internal sealed class VirtioNetTests
{
    private const byte NeedsReset = 64, LinkUp = 1;

    [Test]
    public void A_frame_is_sent_from_its_pieces_with_what_is_left_to_do()
    {
        using NetBench bench = new();
        byte[] frame = Frame(200);
        NetOffload offload = new() { Flags = NetOffload.NeedsChecksum, ChecksumStart = 34, ChecksumOffset = 6 };
        bench.Send(frame, offload, 5, 7, 30);
        NetFrame received = ReceiveAtOtherEnd(bench).Single();
        Assert.Multiple(() =>
        {
            Assert.That(Bytes(received), Is.EqualTo(frame));
            Assert.That(received.Offload, Is.EqualTo(offload));
            Assert.That(bench.Transmit.TryTakeUsed(out _, out uint written) && written == 0);
        });
    }

    [Test]
    public void Sending_waits_for_room_and_goes_on()
    {
        using NetBench bench = new(link: new NetLinkOptions { BufferSize = 512 << 10 });
        for (int i = 0; i < 20; i++)
        {
            bench.Send(Frame(60_000, i), new NetOffload { Segmentation = NetSegmentation.Tcp4, Flags = NetOffload.NeedsChecksum, SegmentSize = 1000 });
        }

        List<byte[]> received = [];
        bench.WaitFor(() =>
        {
            received.AddRange(ReceiveAtOtherEnd(bench).Select(Bytes));
            return received.Count == 20;
        });
        Assert.That(bench.Transmit.UsedIndex, Is.EqualTo(20));
    }

    [Test]
    public void A_frame_fills_one_buffer_and_a_long_one_several()
    {
        using NetBench bench = new();
        byte[][] frames = [Frame(60, 1), Frame(3000, 2), Frame(61, 3)];
        bench.AddBuffers(200, 1000);
        SendAtOtherEnd(bench, frames);
        bench.WaitFor(() => bench.Receive.UsedIndex == 6);

        List<byte[]> buffers = bench.TakeBuffers(1000);
        Assert.Multiple(() =>
        {
            Assert.That(buffers.Select(buffer => buffer.Length), Is.EqualTo(new[] { 72, 1000, 1000, 1000, 12, 73 }));
            Assert.That(buffers[0][NetBench.HeaderLength..], Is.EqualTo(frames[0]));
            Assert.That(buffers[1..5].SelectMany(buffer => buffer).Skip(NetBench.HeaderLength), Is.EqualTo(frames[1]));
            Assert.That(buffers[5][NetBench.HeaderLength..], Is.EqualTo(frames[2]));
            Assert.That((buffers[0][10], buffers[1][10], buffers[5][10]), Is.EqualTo((1, 4, 1)), "buffers of a frame");
        });
    }

    [Test]
    public void Frames_stay_with_the_transport_until_the_driver_has_buffers()
    {
        using NetBench bench = new();
        SendAtOtherEnd(bench, [.. Enumerable.Range(0, 100).Select(i => Frame(500, i))]);
        bench.Sandbox.Advance(1000);
        bench.AddBuffers(30, 1000);
        bench.WaitFor(() => bench.Receive.UsedIndex == 30);
        bench.TakeBuffers(1000);
        bench.AddBuffers(128, 1000);
        bench.WaitFor(() => bench.Receive.UsedIndex == 100);
        Assert.That(bench.TakeBuffers(1000)[^1][NetBench.HeaderLength..], Is.EqualTo(Frame(500, 99)));
    }

    [Test]
    public void Work_that_the_driver_does_not_accept_is_done_for_it()
    {
        using NetBench bench = new(features: ~(NetBench.GuestChecksum | NetBench.GuestTcp4 | (1UL << 8) | (1UL << 9) | (3UL << 54)));
        NetFrame frame = new(Frame(100)) { Offload = new() { Flags = NetOffload.NeedsChecksum, ChecksumStart = 34, ChecksumOffset = 16 } };
        bench.AddBuffers(4, 2000);
        bench.Link.First.Send([frame]);
        bench.WaitFor(() => bench.Receive.UsedIndex == 1);
        Assert.That(bench.TakeBuffers(2000)[0][0] & NetOffload.NeedsChecksum, Is.Zero);
    }

    [Test]
    public void The_address_follows_from_names_unless_it_is_given()
    {
        ulong first, again, given;
        using (NetBench bench = new())
        {
            first = bench.Driver.ReadDevice(0, 4);
        }

        using (NetBench bench = new())
        {
            again = bench.Driver.ReadDevice(0, 4);
        }

        using (NetBench bench = new(options: new NetworkCardOptions { Mac = PhysicalAddress.Parse("02-00-00-00-00-07") }))
        {
            given = bench.Driver.ReadDevice(0, 4);
        }

        Assert.Multiple(() =>
        {
            Assert.That(again, Is.EqualTo(first));
            Assert.That(first & 3, Is.EqualTo(2), "locally administered, of one station");
            Assert.That(given, Is.EqualTo(2));
        });
    }

    [Test]
    public void Only_frames_that_the_driver_wants_reach_it()
    {
        using NetBench bench = new(options: new NetworkCardOptions { Mac = PhysicalAddress.Parse("02-00-00-00-00-07") });
        byte[] own = Frame(60, to: [2, 0, 0, 0, 0, 7]), other = Frame(60, to: [2, 0, 0, 0, 0, 8]), group = Frame(60, to: [1, 0, 0x5E, 0, 0, 1]), all = Frame(60, to: [255, 255, 255, 255, 255, 255]);
        bench.AddBuffers(200, 1600);
        Assert.That(Received(bench, own, other, group, all), Is.EqualTo(new[] { own, other, group, all }));
        Assert.That(bench.Command(0, 0, 0), Is.Zero);
        Assert.That(Received(bench, own, other, group, all), Is.EqualTo(new[] { own, all }));
        Assert.That(bench.Command(1, 0, [1, 0, 0, 0, 2, 0, 0, 0, 0, 8, 1, 0, 0, 0, 1, 0, 0x5E, 0, 0, 1]), Is.Zero);
        Assert.That(Received(bench, own, other, group, all), Is.EqualTo(new[] { own, other, group, all }));
        Assert.That(bench.Command(0, 5, 1), Is.Zero);
        Assert.That(Received(bench, own, all), Is.EqualTo(new[] { own }));
        Assert.That(bench.Command(1, 1, 2, 0, 0, 0, 0, 9), Is.Zero);
        Assert.That(Received(bench, own, other), Is.EqualTo(new[] { other }));
        Assert.That(bench.Driver.ReadDevice(4, 2), Is.EqualTo(0x0900));
    }

    [Test]
    public void VLANs_are_filtered_once_one_is_wanted()
    {
        using NetBench bench = new();
        byte[] five = Frame(60), six = Frame(60);
        (five[12], five[13], five[14], five[15]) = (0x81, 0, 0, 5);
        (six[12], six[13], six[14], six[15]) = (0x81, 0, 0, 6);
        bench.AddBuffers(100, 1600);
        Assert.That(Received(bench, five, six), Is.EqualTo(new[] { five, six }));
        Assert.That(bench.Command(2, 0, 5, 0), Is.Zero);
        Assert.That(Received(bench, five, six), Is.EqualTo(new[] { five }));
        Assert.That(bench.Command(2, 1, 5, 0), Is.Zero);
        Assert.That(bench.Command(2, 0, 6, 0), Is.Zero);
        Assert.That(Received(bench, five, six), Is.EqualTo(new[] { six }));
    }

    [TestCase(0, 0, 2)]
    [TestCase(0, 9, 1)]
    [TestCase(1, 0, 3)]
    [TestCase(1, 1, 5)]
    [TestCase(2, 0, 1)]
    [TestCase(4, 0, 2)]
    [TestCase(5, 0, 7)]
    [TestCase(200, 200, 0)]
    public void A_command_that_is_none_fails(byte kind, byte command, int length)
    {
        using NetBench bench = new();
        byte[] data = new byte[length];
        data.AsSpan().Fill(0xFF);
        Assert.That(bench.Command(kind, command, data), Is.EqualTo(1));
        Assert.That(bench.Driver.Status & NeedsReset, Is.Zero);
    }

    [Test]
    public async Task The_link_goes_down_with_the_other_end()
    {
        using NetBench bench = new();
        Assert.That(bench.Driver.ReadDevice(6, 2) & LinkUp, Is.EqualTo(LinkUp));
        await bench.Link.First.DisposeAsync();
        bench.Sandbox.Advance(1000);
        Assert.That(bench.Driver.ReadDevice(6, 2) & LinkUp, Is.Zero);
        bench.Send(Frame(60));
        Assert.That(bench.Transmit.UsedIndex, Is.EqualTo(1), "what is sent is lost");
    }

    [Test]
    public void A_card_that_is_reset_works_again()
    {
        using NetBench bench = new();
        for (int i = 0; i < 3; i++)
        {
            bench.AddBuffers(100, 1000);
            SendAtOtherEnd(bench, Frame(100, i));
            bench.WaitFor(() => bench.Receive.UsedIndex == 1);
            bench.Driver.Reset();
            SendAtOtherEnd(bench, Frame(100, 7));
            bench.Sandbox.Advance(1000);
            bench.Start();
            bench.AddBuffers(100, 1000);
            bench.WaitFor(() => bench.Receive.UsedIndex == 1);
            Assert.That(bench.TakeBuffers(1000)[0][NetBench.HeaderLength..], Is.EqualTo(Frame(100, 7)));
            bench.Send(Frame(80));
            Assert.That(ReceiveAtOtherEnd(bench), Has.Count.EqualTo(1));
            bench.Driver.Reset();
            bench.Start();
        }
    }

    private static readonly Dictionary<string, Action<NetBench>> s_breaks = new()
    {
        ["a frame without a header"] = bench => Add(bench, bench.Transmit, 1, new VirtioBuffer(NetBench.Data, 11, false)),
        ["a frame outside RAM"] = bench => Add(bench, bench.Transmit, 1, new VirtioBuffer(NetBench.Data, 12, false), new VirtioBuffer(0xC000_0000, 100, false)),
        ["a header outside RAM"] = bench => Add(bench, bench.Transmit, 1, new VirtioBuffer(0xC000_0000, 100, false)),
        ["a good frame and one outside RAM"] = bench =>
        {
            bench.Transmit.Add([new VirtioBuffer(NetBench.Data, 100, false)]);
            Add(bench, bench.Transmit, 1, new VirtioBuffer(NetBench.Data, 12, false), new VirtioBuffer(0xC000_0000, 100, false));
        },
        ["room for no frame"] = bench => Add(bench, bench.Receive, 0, new VirtioBuffer(NetBench.Data, 12, true)),
        ["room to be read"] = bench => Add(bench, bench.Receive, 0, new VirtioBuffer(NetBench.Data, 2000, false)),
        ["room outside RAM"] = bench => Add(bench, bench.Receive, 0, new VirtioBuffer(0xC000_0000, 2000, true)),
        ["room behind which there is none"] = bench =>
        {
            bench.Receive.Add([new VirtioBuffer(NetBench.Data, 2000, true)]);
            Add(bench, bench.Receive, 0, new VirtioBuffer(0xC000_0000, 2000, true));
        },
        ["a command without a place for its result"] = bench => Add(bench, bench.Control, 2, new VirtioBuffer(NetBench.Data, 100, false)),
        ["a command of one byte"] = bench => Add(bench, bench.Control, 2, new VirtioBuffer(NetBench.Data, 1, false), new VirtioBuffer(NetBench.Data, 1, true)),
        ["a result outside RAM"] = bench => Add(bench, bench.Control, 2, new VirtioBuffer(NetBench.Data, 3, false), new VirtioBuffer(0xC000_0000, 1, true)),
    };

    [TestCaseSource(nameof(BreakNames))]
    public void A_driver_that_breaks_the_rules_needs_a_reset_and_then_works(string name)
    {
        using NetBench bench = new();
        SendAtOtherEnd(bench, Frame(100));
        s_breaks[name](bench);
        bench.WaitFor(() => (bench.Driver.Status & NeedsReset) != 0);
        bench.Driver.Reset();
        bench.Start();
        bench.Send(Frame(70));
        Assert.That(ReceiveAtOtherEnd(bench).Last().Length, Is.EqualTo(70));
    }

    private static string[] BreakNames() => [.. s_breaks.Keys];

    [Test]
    public void Frames_that_are_no_frames_go_nowhere_and_break_nothing()
    {
        using NetBench bench = new();
        bench.Send([]);
        bench.Send(Frame(65_558));
        bench.Send(Frame(1000), new NetOffload { Segmentation = (NetSegmentation)77, SegmentSize = 1, Flags = 255, ChecksumStart = 65535, ChecksumOffset = 65535 });
        bench.Send(Frame(60));
        Assert.That(bench.Transmit.UsedIndex, Is.EqualTo(4));
        Assert.That(bench.Driver.Status & NeedsReset, Is.Zero);
        Assert.That(ReceiveAtOtherEnd(bench).Last().Length, Is.EqualTo(60));
    }

    [Test]
    public void Options_that_make_no_card_are_refused()
    {
        VirtualMachineBuilder builder = new VirtualMachineBuilder().AddStandardBoard();
        Assert.Multiple(() =>
        {
            Assert.That(() => Add(builder, new NetworkCardOptions { Mac = PhysicalAddress.Parse("01-00-00-00-00-07") }), Throws.ArgumentException);
            Assert.That(() => Add(builder, new NetworkCardOptions { Mac = new PhysicalAddress([2, 0, 0]) }), Throws.ArgumentException);
            Assert.That(() => Add(builder, new NetworkCardOptions { Depth = 0 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Add(builder, new NetworkCardOptions { Depth = 257 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }

    [Test]
    public void A_transport_that_cannot_be_opened_is_a_machine_that_cannot_be_built()
    {
        VirtualMachineBuilder builder = new VirtualMachineBuilder().AddStandardBoard().AddNetworkCard(_ => throw new NetTransportException("tap0 is busy: take another."));
        Assert.That(() => builder.Build(), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("net0: tap0 is busy"));
    }

    private static void Add(VirtualMachineBuilder builder, NetworkCardOptions options) => builder.AddNetworkCard(_ => new NetLink().First, options);

    private static void Add(NetBench bench, VirtioDriverQueue queue, int number, params VirtioBuffer[] buffers)
    {
        queue.Add(buffers);
        bench.Driver.Notify(number);
    }

    private static byte[] Frame(int length, int number = 0, byte[]? to = null)
    {
        byte[] frame = new byte[length];
        new Random(number).NextBytes(frame);
        (to ?? [2, 0, 0, 0, 0, 1]).AsSpan(0, Math.Min(6, length)).CopyTo(frame);
        return frame;
    }

    private static byte[] Bytes(NetFrame frame)
    {
        byte[] bytes = new byte[frame.Length];
        frame.CopyTo(bytes);
        return bytes;
    }

    private static List<NetFrame> ReceiveAtOtherEnd(NetBench bench)
    {
        List<NetFrame> received = [];
        NetFrame room = Room();
        while (bench.Link.First.Receive([room]) == 1)
        {
            received.Add(room);
            room = Room();
        }

        return received;
    }

    private static NetFrame Room()
    {
        NetFrame room = new();
        room.Add(new byte[70_000]);
        return room;
    }

    private static void SendAtOtherEnd(NetBench bench, params byte[][] frames) =>
        Assert.That(bench.Link.First.Send([.. frames.Select(frame => new NetFrame(frame))]), Is.EqualTo(frames.Length));

    private static byte[][] Received(NetBench bench, params byte[][] frames)
    {
        SendAtOtherEnd(bench, frames);

        // The last of all is wanted by every filter: an own address may have changed, a VLAN may not.
        List<byte[]> received = [];
        for (int turn = 0; turn < 200; turn++)
        {
            bench.Sandbox.Advance(1000);
            received.AddRange(bench.TakeBuffers(1600).Select(buffer => buffer[NetBench.HeaderLength..]));
            Thread.Sleep(received.Count == 0 ? 1 : 0);
        }

        return [.. received];
    }
}
