using System.Buffers.Binary;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Devices.Board;
using Uml.Devices.Pci;
using Uml.Devices.Virtio;
using Uml.Devices.Virtio.Block;
using Uml.Devices.Virtio.Transport;
using Uml.Hosting.Testing;
using Uml.Storage.Blocks;

namespace Uml.Devices.Tests.Virtio;

/// <summary>A disk on a board, with the test as its driver.</summary>
internal sealed class DiskBench : IDisposable
{
    public const uint In = 0, Out = 1, Flush = 4, GetId = 8, Discard = 11, WriteZeroes = 13;
    public const ulong FlushFeature = 1UL << 9, IndirectFeature = 1UL << 28, EventIndexFeature = 1UL << 29, Version1 = 1UL << 32;
    public const ulong Headers = 0x10_0000, Data = 0x20_0000;
    private const ulong Rings = 0x4_0000;

    /// <summary>Longer than any request takes in virtual time.</summary>
    private const ulong Patience = 1_000_000;

    public DiskBench(IBlockDevice disk, ulong features = ulong.MaxValue, ushort? queueSize = null, BlockDeviceOptions? options = null, bool isVirtual = true)
        : this(builder => builder.AddBlockDevice(disk, options), features, queueSize, isVirtual)
    {
    }

    public DiskBench(VirtioBlock device, bool isVirtual = true)
        : this(
            builder => builder.Services.AddSingleton<IMachineDevice>(services =>
                new VirtioPciFunction(services.GetRequiredService<IPciBus>(), "disk0", device, NullLogger.Instance)),
            ulong.MaxValue,
            null,
            isVirtual)
    {
    }

    private DiskBench(Action<VirtualMachineBuilder> addDisk, ulong features, ushort? queueSize, bool isVirtual)
    {
        Sandbox = new DeviceSandbox(builder =>
        {
            builder
                .Configure(machine => (machine.MemorySize, machine.ClockMode) = (8 << 20, isVirtual ? ClockMode.Virtual : ClockMode.Real))
                .AddStandardBoard();
            addDisk(builder);
        });
        Driver = new VirtioPciDriver(Sandbox, 2);
        Start(features, queueSize);
    }

    public DeviceSandbox Sandbox { get; }

    public VirtioPciDriver Driver { get; }

    public VirtioDriverQueue Queue { get; private set; } = null!;

    public void Start(ulong features = ulong.MaxValue, ushort? queueSize = null)
    {
        Driver.Negotiate(features);
        Queue = Driver.SetUpQueue(0, Rings, queueSize);
        Driver.Start();
    }

    /// <summary>Writes a request's header, and the place for its result.</summary>
    /// <returns>Where the header is; the result is 16 bytes behind it.</returns>
    public ulong WriteHeader(uint type, ulong sector, int slot = 0)
    {
        byte[] header = new byte[17];
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), sector);
        header[16] = 0xEE;
        ulong address = Headers + ((ulong)slot * 64);
        Assert.That(Sandbox.Memory.TryWrite(new(address), header));
        return address;
    }

    /// <summary>Makes a request available.</summary>
    public ushort Submit(uint type, ulong sector, int slot = 0, bool isIndirect = false, params VirtioBuffer[] data)
    {
        ulong header = WriteHeader(type, sector, slot);
        return Queue.Add([new(header, 16, false), .. data, new(header + 16, 1, true)], isIndirect);
    }

    /// <summary>Makes requests available again and again, all at once, and waits for their results each time; without allocation.</summary>
    public void RunAgain(int times, params ReadOnlySpan<ushort> heads)
    {
        for (int i = 0; i < times; i++)
        {
            foreach (ushort head in heads)
            {
                Queue.Publish(head);
            }

            Driver.Notify(0);
            for (int turn = 0; Queue.UsedIndex != Queue.AvailableIndex; turn++)
            {
                if (turn == 1_000_000)
                {
                    Assert.Fail("the requests do not end");
                }

                Thread.Yield();
                Sandbox.Advance(0);
            }
        }
    }

    public byte Result(int slot = 0)
    {
        byte[] result = new byte[1];
        Assert.That(Sandbox.Memory.TryRead(new(Headers + ((ulong)slot * 64) + 16), result));
        return result[0];
    }

    /// <summary>Makes a request and waits for its result.</summary>
    public byte Run(uint type, ulong sector, params VirtioBuffer[] data)
    {
        ushort head = Submit(type, sector, 0, false, data);
        Driver.Notify(0);
        Sandbox.Advance(Patience);
        Assert.That(Queue.TryTakeUsed(out ushort used, out _));
        Assert.That(used, Is.EqualTo(head));
        return Result();
    }

    /// <summary>Lets time pass until something has come to pass, in real time on another thread perhaps.</summary>
    public void WaitFor(Func<bool> isDone)
    {
        var watch = Stopwatch.StartNew();
        while (!isDone())
        {
            Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(20)), "it does not come to pass");
            Sandbox.Advance(Patience);
            Thread.Yield();
        }
    }

    public byte[] Read(ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Assert.That(Sandbox.Memory.TryRead(new(address), bytes));
        return bytes;
    }

    public void Write(ulong address, byte[] bytes) => Assert.That(Sandbox.Memory.TryWrite(new(address), bytes));

    public void Dispose() => Sandbox.Dispose();
}
