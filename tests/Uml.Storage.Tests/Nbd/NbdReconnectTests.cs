using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Client;
using Uml.Storage.Nbd.Server;

namespace Uml.Storage.Tests.Nbd;

/// <summary>Servers that go and come back, with and without what they have not flushed.</summary>
public sealed class NbdReconnectTests
{
    private NbdRig _rig = null!;

    [SetUp]
    public void MakeRig() => _rig = new NbdRig();

    [TearDown]
    public async Task DisposeRig() => await _rig.DisposeAsync();

    [Test, CancelAfter(60_000)]
    public async Task Writes_that_a_crashed_server_acknowledged_are_written_again()
    {
        VolatileDevice disk = new(1 << 20);
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync(Quick);
        await device.WriteAsync(0, Filled(4096, 1));
        await device.FlushAsync();
        await device.WriteAsync(4096, Filled(4096, 2));
        await device.WriteAsync(4096, Filled(512, 3));
        await device.WriteZeroesAsync(0, 512, mayDiscard: true);
        await CrashAsync(disk);

        byte[] read = new byte[8192];
        await device.ReadAsync(0, read);
        Assert.That(read[..512], Has.All.Zero);
        Assert.That(read[512..4096], Has.All.EqualTo(1));
        Assert.That(read[4096..4608], Has.All.EqualTo(3));
        Assert.That(read[4608..], Has.All.EqualTo(2));
        await device.FlushAsync();
        Assert.That(disk.Durable[..8192], Is.EqualTo(read));
    }

    [Test, CancelAfter(60_000)]
    public async Task Nothing_is_written_again_that_a_flush_covered()
    {
        VolatileDevice disk = new(1 << 20);
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync(Quick);
        await device.WriteAsync(0, Filled(4096, 1));
        await device.FlushAsync();
        await CrashAsync(disk);
        await device.ReadAsync(0, new byte[512]);
        Assert.That(disk.Writes, Is.EqualTo(1));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_server_that_crashes_under_load_loses_nothing_that_a_flush_acknowledged([Values(1, 2, 3)] int seed)
    {
        const int Workers = 8, Area = 128 << 10;
        VolatileDevice disk = new(Workers * Area);
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync(Quick with { ReplayBufferSize = 1 << 17, MaximumRequests = 6 });
        using CancellationTokenSource end = new();
        Task<byte[]>[] workers = [.. Enumerable.Range(0, Workers).Select(worker => Task.Run(() => WriteAsync(device, disk, worker, Area, seed, end.Token)))];
        for (int i = 0; i < 12; i++)
        {
            await Task.Delay(60);
            await CrashAsync(disk);
        }

        await end.CancelAsync();
        byte[][] contents = await Task.WhenAll(workers);
        await device.FlushAsync();
        byte[] durable = disk.Durable;
        for (int i = 0; i < Workers; i++)
        {
            Assert.That(durable.AsSpan(i * Area, Area).SequenceEqual(contents[i]), $"worker {i}");
        }
    }

    [Test, CancelAfter(60_000)]
    public async Task A_write_that_fails_when_it_is_done_again_makes_flushes_fail()
    {
        VolatileDevice disk = new(1 << 20);
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync(Quick);
        await device.WriteAsync(0, Filled(4096, 1));
        disk.OnWrite = new BlockIOException("full", BlockError.NoSpace);
        await CrashAsync(disk);
        await device.ReadAsync(0, new byte[512]);
        disk.OnWrite = null;
        Assert.That(async () => await device.FlushAsync(), Throws.InstanceOf<BlockIOException>().With.Message.Contains("may be lost").And.Message.Contains("ENOSPC"));
        Assert.That(async () => await device.FlushAsync(), Throws.InstanceOf<BlockIOException>());
    }

    [Test, CancelAfter(60_000)]
    public async Task Requests_fail_when_the_time_is_over_and_work_when_the_server_is_back()
    {
        VolatileDevice disk = new(1 << 20);
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync(Quick with { ReconnectTimeout = TimeSpan.FromMilliseconds(300) });
        await device.WriteAsync(512, Filled(512, 7));
        await _rig.StopAsync();
        disk.Crash();
        Assert.That(async () => await device.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.Gone).And.Message.Contains("0.3 s"));
        Assert.That(async () => await device.FlushAsync(), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.Gone));

        _rig.Start(disk);
        await UntilAsync(async () => await device.ReadAsync(0, new byte[512]));
        byte[] read = new byte[512];
        await device.ReadAsync(512, read);
        Assert.That(read, Has.All.EqualTo(7));
        await device.FlushAsync();
        Assert.That(disk.Durable[512..1024], Has.All.EqualTo(7));
    }

    [Test, CancelAfter(60_000)]
    public async Task Without_time_to_reconnect_the_first_loss_is_final()
    {
        VolatileDevice disk = new(1 << 20);
        _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync(new NbdClientOptions { ReconnectTimeout = TimeSpan.Zero });
        await device.WriteAsync(0, new byte[512]);
        await CrashAsync(disk);
        Assert.That(async () => await device.FlushAsync(), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.Gone));
        Assert.That(async () => await device.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>());
    }

    [Test, CancelAfter(60_000)]
    public async Task An_export_that_comes_back_with_another_size_is_refused()
    {
        _rig.Start(new MemoryBlockDevice(1 << 20));
        await using NbdBlockDevice device = await _rig.ConnectAsync(Quick);
        await _rig.StopAsync();
        _rig.Start(new MemoryBlockDevice(2 << 20));
        Assert.That(async () => await device.ReadAsync(0, new byte[512]),
            Throws.InstanceOf<BlockIOException>().With.Message.Contains("2097152 bytes").And.Message.Contains("1048576"));
    }

    [Test, CancelAfter(60_000)]
    public async Task An_export_that_does_not_come_back_is_named()
    {
        MemoryBlockDevice memory = new(1 << 20);
        _rig.Start(memory);
        await using NbdBlockDevice device = await _rig.ConnectAsync(Quick);
        await _rig.StopAsync();
        _rig.Start(memory, options => options with { Exports = [new NbdExport(memory, "other")] });
        Assert.That(async () => await device.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Message.Contains("'disk'").And.Message.Contains("not there"));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_device_can_be_closed_while_its_server_is_away()
    {
        _rig.Start(new MemoryBlockDevice(1 << 20));
        NbdBlockDevice device = await _rig.ConnectAsync(Quick);
        await _rig.StopAsync();
        Task read = device.ReadAsync(0, new byte[512]).AsTask();
        await device.DisposeAsync();
        Assert.That(async () => await read, Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.Gone));
    }

    [Test, CancelAfter(60_000)]
    public async Task Requests_that_a_server_has_begun_when_it_ends_are_carried_out_and_answered()
    {
        VolatileDevice disk = new(1 << 20);
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        NbdServer server = _rig.Start(disk);
        await using NbdBlockDevice device = await _rig.ConnectAsync(new NbdClientOptions { ReconnectTimeout = TimeSpan.Zero });
        await device.ReadAsync(0, new byte[512]);
        disk.Gate = gate.Task;
        Task[] requests = [device.WriteAsync(0, Filled(512, 5)).AsTask(), device.ReadAsync(512, new byte[512]).AsTask()];
        await UntilAsync(() => disk.Waiting == 2 ? Task.CompletedTask : throw new BlockIOException("the device has not got them yet"));
        Task end = _rig.StopAsync();
        gate.SetResult();

        await Task.WhenAll(requests);
        await end;
        Assert.That(disk.Writes, Is.EqualTo(1));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_device_that_is_gone_behind_its_server_is_waited_for_as_long_as_a_connection()
    {
        MemoryBlockDevice memory = new(1 << 20);
        _rig.Start(memory);
        await using NbdBlockDevice device = await _rig.ConnectAsync(Quick with { ReconnectTimeout = TimeSpan.FromMilliseconds(200) });
        await memory.DisposeAsync();

        Assert.That(
            (await Failure.OfAsync(() => device.ReadAsync(0, new byte[512]))).Message,
            Does.Contain("the server is shutting down"));
    }

    private static NbdClientOptions Quick => new() { ReconnectDelay = TimeSpan.FromMilliseconds(10), ReconnectTimeout = TimeSpan.FromSeconds(30) };

    /// <summary>The server ends, what its device has not flushed is lost, and another one starts.</summary>
    private async Task CrashAsync(VolatileDevice disk)
    {
        await _rig.StopAsync();
        disk.Crash();
        _rig.Start(disk);
    }

    /// <returns>What the worker's part of the disk has to have.</returns>
    private static async Task<byte[]> WriteAsync(NbdBlockDevice device, VolatileDevice disk, int worker, int area, int seed, CancellationToken end)
    {
        Random random = new(seed + (worker * 100));
        byte[] contents = new byte[area];
        while (!end.IsCancellationRequested)
        {
            int start = random.Next(area / 512), count = 1 + random.Next(Math.Min(area / 512 - start, 60));
            Memory<byte> range = contents.AsMemory(start * 512, count * 512);
            random.NextBytes(range.Span);
            await device.WriteAsync((worker * area) + (start * 512), range, CancellationToken.None);
            if (random.Next(8) == 0)
            {
                await device.FlushAsync(CancellationToken.None);

                // At no time since may the durable contents of this part, which nobody else writes, have been others.
                Assert.That(disk.Durable.AsSpan(worker * area, area).SequenceEqual(contents));
            }
            else if (random.Next(4) == 0)
            {
                byte[] read = new byte[area];
                await device.ReadAsync(worker * area, read, CancellationToken.None);
                Assert.That(read.AsSpan().SequenceEqual(contents));
            }
        }

        return contents;
    }

    private static byte[] Filled(int length, byte value)
    {
        byte[] data = new byte[length];
        data.AsSpan().Fill(value);
        return data;
    }

    private static async Task UntilAsync(Func<Task> attempt)
    {
        for (int i = 0; ; i++)
        {
            try
            {
                await attempt();
                return;
            }
            catch (BlockIOException) when (i < 500)
            {
                await Task.Delay(20);
            }
        }
    }
}
