using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Runtime.Versioning;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Client;
using Uml.Storage.Nbd.Server;

namespace Uml.Storage.Tests.Nbd;

public sealed class NbdTransferTests
{
    private NbdRig _rig = null!;

    [SetUp]
    public void MakeRig() => _rig = new NbdRig();

    [TearDown]
    public async Task DisposeRig() => await _rig.DisposeAsync();

    [Test, CancelAfter(60_000)]
    public async Task Random_requests_read_what_was_written([Values(1, 2)] int seed, [Values] bool isTcp)
    {
        MemoryBlockDevice memory = new(4 << 20);
        _rig.Start(memory, options => isTcp ? options with { EndPoint = new IPEndPoint(IPAddress.Loopback, 0) } : options);
        NbdEndPoint end = isTcp
            ? NbdEndPoint.Tcp("127.0.0.1", ((IPEndPoint)_rig.Server!.EndPoint).Port, "disk")
            : NbdEndPoint.Unix(_rig.Socket, "disk");
        await using NbdBlockDevice device = await NbdBlockDevice.ConnectAsync(end);
        BlockModel model = new(device, new byte[device.Length], seed);
        await model.RunAsync(1500);
        await model.CheckAsync();
        await model.CheckAsync(memory);
    }

    [Test, CancelAfter(60_000)]
    public async Task Many_requests_at_once_each_get_their_own_data()
    {
        const int Workers = 64, Area = 256 << 10;
        _rig.Start(new MemoryBlockDevice(Workers * Area), options => options with { MaximumRequests = 7 });
        await using NbdBlockDevice device = await _rig.ConnectAsync(new NbdClientOptions { MaximumRequests = 40 });
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(async worker =>
        {
            Random random = new(worker);
            byte[] contents = new byte[Area];
            for (int i = 0; i < 60; i++)
            {
                int start = random.Next(Area / 512), count = 1 + random.Next(Math.Min(Area / 512 - start, 100));
                Memory<byte> range = contents.AsMemory(start * 512, count * 512);
                random.NextBytes(range.Span);
                await device.WriteAsync((worker * Area) + (start * 512), range);
                byte[] read = new byte[Area];
                await device.ReadAsync(worker * Area, read);
                Assert.That(read.AsSpan().SequenceEqual(contents));
            }
        }));
    }

    [Test, CancelAfter(60_000)]
    public async Task Requests_larger_than_the_servers_largest_are_split()
    {
        MemoryBlockDevice memory = new(8 << 20);
        _rig.Start(memory, options => options with { MaximumRequestSize = 1 << 16 });
        await using NbdBlockDevice device = await _rig.ConnectAsync();
        byte[] data = new byte[3 << 20];
        Random.Shared.NextBytes(data);
        await device.WriteAsync(512, new BlockBuffers(new Memory<byte>[] { data.AsMemory(0, 1000), data.AsMemory(1000, 2_000_000), data.AsMemory(2_001_000) }));
        byte[] read = new byte[data.Length];
        await device.ReadAsync(512, read);
        Assert.That(read.AsSpan().SequenceEqual(data));
        await memory.ReadAsync(512, read);
        Assert.That(read.AsSpan().SequenceEqual(data));
    }

    [Test]
    public async Task A_device_has_the_capabilities_and_limits_that_the_server_offers()
    {
        VolatileDevice all = new(1 << 20) { Limits = new BlockLimits(4096, 8192, 8192) };
        _rig.Start(all, options => options with { Exports = [.. options.Exports, new NbdExport(new PlainDevice(all), "plain"), new NbdExport(all, "ro") { IsReadOnly = true }] });
        await using NbdBlockDevice full = await _rig.ConnectAsync();
        await using NbdBlockDevice plain = await NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(_rig.Socket, "plain"));
        await using NbdBlockDevice readOnly = await NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(_rig.Socket, "ro"));

        Assert.That((full.Length, full.IsReadOnly, full.Limits), Is.EqualTo((1L << 20, false, new BlockLimits(4096, 8192, 8192))));
        Assert.That(full.GetCapability<IFlushable>(), Is.Not.Null);
        Assert.That(full.GetCapability<IDiscardable>(), Is.Not.Null);
        Assert.That(full.GetCapability<IZeroable>(), Is.Not.Null);
        Assert.That(full.GetCapability<IResizable>(), Is.Null);
        Assert.That(plain.GetCapability<IFlushable>(), Is.Null);
        Assert.That(plain.GetCapability<IDiscardable>(), Is.Null);
        Assert.That(plain.GetCapability<IZeroable>(), Is.Null);
        Assert.That(async () => await plain.WriteZeroesAsync(0, 4096, true), Throws.InstanceOf<NotSupportedException>());
        Assert.That(readOnly.IsReadOnly);
        Assert.That(async () => await readOnly.WriteAsync(0, new byte[4096]), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.ReadOnly));
        Assert.That(async () => await full.ReadAsync(512, new byte[4096]), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public async Task A_synchronous_device_writes_through_the_servers_cache()
    {
        VolatileDevice disk = new(1 << 20);
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync(new NbdClientOptions { IsSynchronous = true });
        await device.WriteAsync(0, Filled(4096, 3));
        await device.WriteAsync(8192, Filled(4096, 4));
        await device.WriteZeroesAsync(0, 512, mayDiscard: false);
        disk.Crash();
        Assert.That(disk.Durable[..512], Has.All.Zero);
        Assert.That(disk.Durable[512..4096], Has.All.EqualTo(3));
        Assert.That(disk.Flushes, Is.EqualTo(3));
    }

    [Test]
    public async Task Errors_of_the_device_arrive_as_what_they_are()
    {
        VolatileDevice disk = new(1 << 20) { OnWrite = new BlockIOException("full", BlockError.NoSpace), OnRead = new InvalidOperationException("odd") };
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync();
        Assert.That(async () => await device.WriteAsync(512, new byte[1024]),
            Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.NoSpace).And.Message.Contains("1024 bytes at 512").And.Message.Contains("ENOSPC"));
        Assert.That(async () => await device.ReadAsync(0, new byte[512]),
            Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.Io).And.Message.Contains("EIO"));
        (disk.OnRead, disk.OnWrite) = (null, null);
        await device.WriteAsync(512, new byte[1024]);
        await device.ReadAsync(0, new byte[512]);
    }

    [Test]
    public async Task A_flush_that_failed_once_fails_always()
    {
        VolatileDevice disk = new(1 << 20) { OnFlush = new BlockIOException("lost") };
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync();
        await device.WriteAsync(0, new byte[512]);
        Assert.That(async () => await device.FlushAsync(), Throws.InstanceOf<BlockIOException>().With.Message.Contains("may be lost"));
        disk.OnFlush = null;
        Assert.That(async () => await device.FlushAsync(), Throws.InstanceOf<BlockIOException>());
        await device.WriteAsync(0, new byte[512]);
    }

    [Test, CancelAfter(60_000)]
    public async Task Writes_beyond_the_replay_buffer_are_flushed_by_the_device_itself()
    {
        VolatileDevice disk = new(4 << 20);
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync(new NbdClientOptions { ReplayBufferSize = 1 << 16 });
        await Task.WhenAll(Enumerable.Range(0, 512).Select(i => device.WriteAsync(i * 8192, Filled(8192, (byte)i)).AsTask()));
        Assert.That(disk.Flushes, Is.InRange(10, 512));
        byte[] read = new byte[8192];
        await device.ReadAsync(300 * 8192, read);
        Assert.That(read, Has.All.EqualTo((byte)(300 - 256)));
    }

    [Test]
    public async Task A_request_to_a_closed_device_fails_and_requests_under_way_are_waited_for()
    {
        TaskCompletionSource gate = new();
        VolatileDevice disk = new(1 << 20) { Gate = gate.Task };
        _rig.Start(disk);
        NbdBlockDevice device = await _rig.ConnectAsync();
        Task write = device.WriteAsync(0, new byte[512]).AsTask();
        Task close = device.DisposeAsync().AsTask();
        Assert.That(async () => await device.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.Gone));
        gate.SetResult();
        await write;
        await close;
        await device.DisposeAsync();
        Assert.That(disk.Writes, Is.EqualTo(1));
    }

    [Test, Platform("Linux"), UnsupportedOSPlatform("windows")]
    public async Task A_socket_is_private_and_gone_with_its_server()
    {
        _rig.Start(new MemoryBlockDevice(1 << 20));
        Assert.That(File.GetUnixFileMode(_rig.Socket), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        await using NbdRig second = new();
        Assert.That(() => second.Start(new MemoryBlockDevice(512), o => o with { EndPoint = _rig.Server!.EndPoint }), Throws.InstanceOf<DiskImageException>().With.Message.Contains(_rig.Socket));
        await _rig.StopAsync();
        Assert.That(File.Exists(_rig.Socket), Is.False);
    }

    [Test]
    public void What_is_not_there_is_said_so()
    {
        Assert.That(() => _rig.ConnectAsync(), Throws.InstanceOf<DiskImageException>().With.Message.Contains("cannot be reached"));
        _rig.Start(new MemoryBlockDevice(1 << 20));
        Assert.That(() => NbdBlockDevice.ConnectAsync(NbdEndPoint.Unix(_rig.Socket, "other")), Throws.InstanceOf<DiskImageException>().With.Message.Contains("'other'").And.Message.Contains("check the name"));
    }

    [Test, CancelAfter(60_000)]
    public async Task Requests_in_steady_state_allocate_nothing()
    {
        _rig.Start(new MemoryBlockDevice(1 << 20));
        await using NbdBlockDevice device = await _rig.ConnectAsync();
        byte[][] data = [.. Enumerable.Range(0, 8).Select(_ => new byte[4096])];
        ValueTask[] tasks = new ValueTask[8];
        await RunAsync(device, data, tasks, 1000);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        await RunAsync(device, data, tasks, 500);
        long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;

        // Of client and server together, in the whole process, where the runtime allocates a little now and then.
        Assert.That(allocated / 8000, Is.Zero, $"{allocated} bytes for 8000 requests");
    }

    [SuppressMessage("Reliability", "CA2012", Justification = "Each is awaited once.")]
    private static async Task RunAsync(NbdBlockDevice device, byte[][] data, ValueTask[] tasks, int count)
    {
        for (int i = 0; i < count * 2; i++)
        {
            for (int j = 0; j < tasks.Length; j++)
            {
                tasks[j] = i % 2 == 0 ? device.WriteAsync(j * 4096, data[j]) : device.ReadAsync(j * 4096, data[j]);
            }

            for (int j = 0; j < tasks.Length; j++)
            {
                await tasks[j].ConfigureAwait(false);
            }

            if (i % 100 == 0)
            {
                await device.FlushAsync().ConfigureAwait(false);
            }
        }
    }

    private static byte[] Filled(int length, byte value)
    {
        byte[] data = new byte[length];
        data.AsSpan().Fill(value);
        return data;
    }
}
