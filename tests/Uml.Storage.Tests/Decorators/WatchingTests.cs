using System.Diagnostics.Metrics;
using Microsoft.Extensions.Time.Testing;
using Uml.Storage.Blocks;
using Uml.Storage.Decorators;

namespace Uml.Storage.Tests.Decorators;

/// <summary>Counters, traces and leases.</summary>
public sealed class WatchingTests
{
    [Test]
    public async Task Counters_have_requests_bytes_errors_and_time()
    {
        FakeTimeProvider time = new();
        await using MeteredBlockDevice device = new(
            new DelayedBlockDevice(
                new MemoryBlockDevice(4096).WithFaults(new BlockFault { Kinds = BlockRequestKind.Write, Nth = 2 }),
                new BlockLatencyOptions { Latency = TimeSpan.FromMilliseconds(3), Time = time }),
            "disk",
            time: time);

        Task write = device.WriteAsync(0, new byte[1024]).AsTask();
        time.Advance(TimeSpan.FromMilliseconds(3));
        await write;
        Task failing = device.WriteAsync(0, new byte[1024]).AsTask();
        time.Advance(TimeSpan.FromMilliseconds(3));
        await Assert.ThrowsAsync<BlockIOException>(async () => await failing);

        Assert.That(
            (device.Writes.Requests, device.Writes.Bytes, device.Writes.Errors, device.Writes.Time),
            Is.EqualTo((2L, 1024L, 1L, TimeSpan.FromMilliseconds(6))));
        Assert.That((device.Reads.Requests, device.Flushes.Requests, device.Zeroes.Requests, device.Discards.Requests), Is.EqualTo((0L, 0L, 0L, 0L)));
    }

    [Test]
    public async Task New_sizes_are_counted_and_traced_by_themselves()
    {
        using StringWriter lines = new();
        using CsvBlockTrace trace = new(lines);
        await using MeteredBlockDevice device = new TracedBlockDevice(new MemoryBlockDevice(4096), trace).WithCounters("disk");

        await device.ResizeAsync(8192);

        Assert.That((device.Resizes.Requests, device.Resizes.Bytes, device.Zeroes.Requests), Is.EqualTo((1L, 0L, 0L)));
        Assert.That(lines.ToString(), Does.EndWith(",resize,0,8192,\n"));
    }

    [Test]
    public async Task A_request_that_is_refused_before_it_begins_counts_as_failed()
    {
        await using MeteredBlockDevice device = new MemoryBlockDevice(4096, isReadOnly: true).WithCounters("disk");
        Assert.That((await Failure.OfAsync(() => device.WriteAsync(0, new byte[512]))).Error, Is.EqualTo(BlockError.ReadOnly));
        Assert.That((device.Writes.Requests, device.Writes.Errors, device.Writes.Bytes), Is.EqualTo((1L, 1L, 0L)));
    }

    [Test]
    public async Task Instruments_have_the_same_with_the_name_of_the_disk()
    {
        Dictionary<string, long> sums = [];
        string name = Guid.NewGuid().ToString();
        using MeterListener listener = new();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == MeteredBlockDevice.MeterName)
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            if (tags[0].Value as string == name)
            {
                string key = $"{instrument.Name} {tags[1].Value}";
                sums[key] = sums.GetValueOrDefault(key) + value;
            }
        });
        listener.Start();
        await using MeteredBlockDevice device = new MemoryBlockDevice(4096).WithCounters(name);

        await device.WriteAsync(0, new byte[512]);
        await device.ReadAsync(0, new byte[1024]);
        await device.FlushAsync();

        Assert.That(sums, Is.EquivalentTo(new Dictionary<string, long>
        {
            ["uml.disk.operations write"] = 1, ["uml.disk.io write"] = 512, ["uml.disk.operations read"] = 1, ["uml.disk.io read"] = 1024,
            ["uml.disk.operations flush"] = 1,
        }));
    }

    [Test]
    public async Task A_trace_has_each_request_as_a_line()
    {
        FakeTimeProvider time = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
        using StringWriter text = new();
        using CsvBlockTrace csv = new(text, leavesOpen: true);
        await using TracedBlockDevice device = new(
            new MemoryBlockDevice(4096).WithFaults(new BlockFault { Kinds = BlockRequestKind.Discard, Error = BlockError.NoSpace }), csv, time);

        await device.WriteAsync(512, new byte[1024]);
        await device.FlushAsync();
        await Assert.ThrowsAsync<BlockIOException>(async () => await device.DiscardAsync(0, 512));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await device.ReadAsync(8192, new byte[512]));
        csv.Dispose();
        await device.WriteAsync(0, new byte[512]);

        Assert.That(text.ToString(), Is.EqualTo("""
            start,duration_us,kind,offset,length,error
            2026-01-02T03:04:05.0000000Z,0,write,512,1024,
            2026-01-02T03:04:05.0000000Z,0,flush,0,0,
            2026-01-02T03:04:05.0000000Z,0,discard,0,512,no_space
            2026-01-02T03:04:05.0000000Z,0,read,8192,512,ArgumentOutOfRangeException

            """.ReplaceLineEndings("\n")));
    }

    [Test]
    public async Task Requests_through_what_watches_and_limits_allocate_nothing()
    {
        await using FaultyBlockDevice device = new MemoryBlockDevice(1 << 20).WithCounters("disk").WithTrace(new Idle())
            .WithRateLimit(new BlockRateOptions { BytesPerSecond = 1L << 40 }).WithFaults(new BlockFault { Kinds = BlockRequestKind.Flush });
        byte[] buffer = new byte[4096];
        await RunAsync(1000);
        long before = GC.GetAllocatedBytesForCurrentThread();
        await RunAsync(1000);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1000));

        async Task RunAsync(int count)
        {
            for (int i = 0; i < count; i++)
            {
                await device.WriteAsync(4096, buffer);
            }
        }
    }

    [Test]
    public async Task Requests_that_wait_allocate_nothing_once_there_are_enough_of_them()
    {
        await using MeteredBlockDevice device = new MemoryBlockDevice(1 << 20).WithLatency(TimeSpan.FromMilliseconds(1)).WithCounters("slow");
        byte[] buffer = new byte[512];
        await OutsideOfTheTestAsync(500);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        await OutsideOfTheTestAsync(500);

        // Less than the smallest object for each, with room for the runtime's own.
        Assert.That(GC.GetTotalAllocatedBytes(precise: true) - before, Is.LessThan(500 * 24));

        // The contexts of a test would be captured at every wait.
        Task OutsideOfTheTestAsync(int count)
        {
            using (ExecutionContext.SuppressFlow())
            {
                return Task.Run(() => RunAsync(count));
            }
        }

        async Task RunAsync(int count)
        {
            for (int i = 0; i < count; i++)
            {
                await device.ReadAsync(0, buffer);
            }
        }
    }

    [Test]
    public async Task With_write_through_each_change_is_flushed()
    {
        await using MeteredBlockDevice inside = new MemoryBlockDevice(4096).WithCounters("inside");
        WriteThroughBlockDevice device = inside.WithWriteThrough();
        await device.WriteAsync(0, new byte[512]);
        await device.WriteZeroesAsync(0, 512, mayDiscard: false);
        await device.ReadAsync(0, new byte[512]);
        Assert.That(inside.Flushes.Requests, Is.EqualTo(2));
    }

    [Test]
    public async Task A_decorator_has_the_capabilities_of_the_device_inside()
    {
        await using IBlockDevice device = new PlainDevice(new MemoryBlockDevice(4096)).WithCounters("plain").WithTrace(new Idle());
        Assert.That(device.GetCapability<IFlushable>(), Is.Null);
        Assert.That(device.GetCapability<IResizable>(), Is.Null);
        Assert.That(device.GetCapability<IComparable>(), Is.InstanceOf<PlainDevice>());

        await using IBlockDevice full = new MemoryBlockDevice(512).WithLatency(TimeSpan.Zero);
        Assert.That(full.GetCapability<IFlushable>(), Is.SameAs(full));
        int resized = 0;
        full.GetCapability<IResizable>()!.Resized += (_, _) => resized++;
        await full.GetCapability<IResizable>()!.ResizeAsync(1024);
        Assert.That((full.Length, resized), Is.EqualTo((1024L, 1)));
    }

    [Test]
    public async Task A_decorator_that_may_wait_does_not_promise_otherwise()
    {
        await using IBlockDevice counted = new MemoryBlockDevice(4096).WithCounters("disk");
        Assert.That(NeverWaits(counted), Is.EqualTo((true, true)));

        // A flush follows the write, and flushes wait.
        await using IBlockDevice durable = new MemoryBlockDevice(4096).WithWriteThrough();
        Assert.That(NeverWaits(durable), Is.EqualTo((true, false)));

        // A sink writes to a file perhaps.
        await using IBlockDevice idle = new MemoryBlockDevice(4096).WithTrace(new Idle());
        Assert.That(NeverWaits(idle), Is.EqualTo((true, true)));
        using CsvBlockTrace csv = new(new StringWriter());
        await using IBlockDevice traced = new MemoryBlockDevice(4096).WithTrace(csv);
        Assert.That(NeverWaits(traced), Is.EqualTo((false, false)));

        await using SharedBlockDevice shared = new(new MemoryBlockDevice(4096));
        await using IBlockDevice lease = shared.Lease();
        Assert.That(NeverWaits(lease), Is.EqualTo((true, true)));

        await using IBlockDevice plain = new PlainDevice(new MemoryBlockDevice(4096)).WithCounters("plain");
        Assert.That(plain.GetCapability<INonBlocking>(), Is.Null);

        static (bool Read, bool Write) NeverWaits(IBlockDevice device)
        {
            INonBlocking capability = device.GetCapability<INonBlocking>()!;
            return (capability.ReadNeverWaits(0, 512), capability.WriteNeverWaits(0, 512));
        }
    }

    [Test]
    public async Task A_shared_image_is_closed_by_the_last_of_its_holders()
    {
        PlainDevice inside = new(new MemoryBlockDevice(4096));
        SharedBlockDevice shared = new(inside);
        IBlockDevice first = shared.Lease(), second = shared.Lease();
        Assert.That(shared.Leases, Is.EqualTo(2));
        await shared.DisposeAsync();
        await first.DisposeAsync();
        await first.DisposeAsync();
        Assert.That((shared.Leases, inside.Disposals), Is.EqualTo((1, 0)));

        await second.ReadAsync(0, new byte[512]);
        Assert.That((await Failure.OfAsync(() => first.ReadAsync(0, new byte[512]))).Error, Is.EqualTo(BlockError.Gone));
        Assert.That((await Failure.OfAsync(() => second.WriteAsync(0, new byte[512]))).Error, Is.EqualTo(BlockError.ReadOnly));
        Assert.That(second.IsReadOnly);
        Assert.That(() => shared.Lease(), Throws.TypeOf<ObjectDisposedException>());
        await second.DisposeAsync();
        Assert.That(inside.Disposals, Is.EqualTo(1));
    }

    private sealed class Idle : IBlockTraceSink
    {
        public bool IsEnabled => false;

        public void Write(in BlockTraceEntry entry) => Assert.Fail("it is not enabled");
    }
}
