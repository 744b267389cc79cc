using System.Diagnostics;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Devices.Board;
using Uml.Devices.Virtio;
using Uml.Hosting.Testing;
using Uml.Net.Frames;
using Uml.Net.InProcess;

namespace Uml.Devices.Tests.Virtio;

/// <summary>A network card on a board, with the test as its driver, and as what is at the other end of its cable.</summary>
internal sealed class NetBench : IDisposable
{
    public const int HeaderLength = 12;
    public const ulong Mergeable = 1UL << 15, GuestChecksum = 1UL << 1, GuestTcp4 = 1UL << 7;
    public const ulong Data = 0x20_0000;
    private const ulong Rings = 0x4_0000, RingSpace = 0x2_0000;

    public NetBench(ulong features = ulong.MaxValue, NetworkCardOptions? options = null, NetLinkOptions? link = null)
    {
        Link = new NetLink(link);
        Link.First.AcceptOffloads(NetOffloads.All);
        Sandbox = new DeviceSandbox(builder => builder
            .Configure(machine => (machine.MemorySize, machine.ClockMode, machine.Name) = (8 << 20, ClockMode.Virtual, "bench"))
            .AddStandardBoard()
            .AddNetworkCard(Link.Second, options));
        Driver = new VirtioPciDriver(Sandbox, 1);
        Start(features);
    }

    public NetLink Link { get; }

    public DeviceSandbox Sandbox { get; }

    public VirtioPciDriver Driver { get; }

    public VirtioDriverQueue Receive { get; private set; } = null!;

    public VirtioDriverQueue Transmit { get; private set; } = null!;

    public VirtioDriverQueue Control { get; private set; } = null!;

    public void Start(ulong features = ulong.MaxValue)
    {
        Driver.Negotiate(features);
        Receive = Driver.SetUpQueue(0, Rings, 256);
        Transmit = Driver.SetUpQueue(1, Rings + RingSpace, 256);
        Control = Driver.SetUpQueue(2, Rings + (2 * RingSpace));
        Driver.Start();
    }

    /// <summary>Sends a frame with this before it, in pieces of these lengths.</summary>
    public void Send(byte[] frame, NetOffload offload = default, params int[] pieces)
    {
        byte[] bytes = new byte[HeaderLength + frame.Length];
        offload.Write(bytes);
        frame.CopyTo(bytes, HeaderLength);
        Write(Data, bytes);
        List<VirtioBuffer> buffers = [];
        ulong at = Data;
        foreach (int length in (int[])[.. pieces, bytes.Length - pieces.Sum()])
        {
            buffers.Add(new(at, (uint)length, false));
            at += (uint)length;
        }

        Transmit.Add([.. buffers]);
        Driver.Notify(1);
    }

    /// <summary>Makes room for frames available.</summary>
    public void AddBuffers(int count, int length)
    {
        for (int i = 0; i < count; i++)
        {
            Receive.Add([new(BufferAt(i, length), (uint)length, true)]);
        }

        Driver.Notify(0);
    }

    /// <summary>What came in the buffers that were given back, one after the other.</summary>
    public List<byte[]> TakeBuffers(int length)
    {
        List<byte[]> buffers = [];
        while (Receive.TryTakeUsed(out ushort head, out uint written))
        {
            byte[] bytes = new byte[written];
            Assert.That(Sandbox.Memory.TryRead(new(BufferAt(head, length)), bytes));
            buffers.Add(bytes);
        }

        return buffers;
    }

    /// <summary>Gives the card a command.</summary>
    /// <returns>Its result: 0 when it was carried out.</returns>
    public byte Command(byte kind, byte command, params byte[] data)
    {
        Write(Data, [kind, command, .. data, 0xEE]);
        Control.Add([new(Data, 2, false), new(Data + 2, (uint)data.Length, false), new(Data + 2 + (ulong)data.Length, 1, true)]);
        Driver.Notify(2);
        Assert.That(Control.TryTakeUsed(out _, out uint written));
        Assert.That(written, Is.EqualTo(1));
        byte[] result = new byte[1];
        Assert.That(Sandbox.Memory.TryRead(new(Data + 2 + (ulong)data.Length), result));
        return result[0];
    }

    /// <summary>Lets the machine's thread run until something has come to pass.</summary>
    public void WaitFor(Func<bool> isDone)
    {
        var watch = Stopwatch.StartNew();
        while (!isDone())
        {
            Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(20)), "it does not come to pass");
            Sandbox.Advance(1000);
            Thread.Yield();
        }
    }

    public void Write(ulong address, byte[] bytes) => Assert.That(Sandbox.Memory.TryWrite(new(address), bytes));

    public void Dispose()
    {
        Sandbox.Dispose();
        Link.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private static ulong BufferAt(int index, int length) => Data + 0x10_0000 + ((ulong)index * (ulong)length);
}
