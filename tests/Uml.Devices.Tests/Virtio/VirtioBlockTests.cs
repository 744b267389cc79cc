using System.Buffers.Binary;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Devices.Pci;
using Uml.Devices.Virtio;
using Uml.Devices.Virtio.Block;
using Uml.Hosting.Testing;
using Uml.Storage.Blocks;

namespace Uml.Devices.Tests.Virtio;

/// <summary>A disk, driven as a driver drives it.</summary>
internal sealed class VirtioBlockTests
{
    [Test]
    public async Task What_is_written_is_on_the_disk_and_read_back_into_any_pieces([Values] bool isIndirect, [Values] bool hasEventIndex)
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk, hasEventIndex ? ulong.MaxValue : ~DiskBench.EventIndexFeature);
        byte[] data = RandomBytes(2048);
        bench.Write(DiskBench.Data, data);
        bench.Submit(DiskBench.Out, 5, 0, isIndirect, new(DiskBench.Data, 1000, false), new(DiskBench.Data + 1000, 1048, false));
        bench.Driver.Notify(0);
        bench.Sandbox.Advance(1_000_000);
        Assert.That(bench.Result(), Is.Zero);
        byte[] onDisk = new byte[2048];
        await disk.ReadAsync(5 * 512, onDisk);
        Assert.That(onDisk, Is.EqualTo(data));

        ulong other = DiskBench.Data + 0x8000;
        bench.Submit(DiskBench.In, 5, 1, isIndirect, new(other + 1, 1, true), new(other + 100, 2047, true));
        bench.Driver.Notify(0);
        bench.Sandbox.Advance(1_000_000);
        Assert.That(bench.Result(1), Is.Zero);
        Assert.That(bench.Read(other + 1, 1), Is.EqualTo(data[..1]));
        Assert.That(bench.Read(other + 100, 2047), Is.EqualTo(data[1..]));
        Assert.That(bench.Queue.TryTakeUsed(out _, out uint written) && written == 1);
        Assert.That(bench.Queue.TryTakeUsed(out _, out written) && written == 2049);
        Assert.That(bench.Driver.TakeInterrupt(), Is.Zero);
    }

    [Test]
    public async Task A_disk_that_is_cut_off_ends_what_is_under_way_and_fails_the_rest()
    {
        await using TestDisk disk = new() { Gate = new TaskCompletionSource() };
        VirtioBlock device = new(disk, "disk0", "disk0", NullLogger.Instance);
        using DiskBench bench = new(device, isVirtual: false);
        bench.Submit(DiskBench.Out, 0, 0, false, new VirtioBuffer(DiskBench.Data, 512, false));
        bench.Driver.Notify(0);
        device.CutOff();
        bench.Submit(DiskBench.Out, 1, 1, false, new VirtioBuffer(DiskBench.Data, 512, false));
        bench.Submit(DiskBench.In, 1, 2, false, new VirtioBuffer(DiskBench.Data, 512, true));
        bench.Submit(DiskBench.Flush, 0, 3);
        bench.Driver.Notify(0);
        bench.WaitFor(() => bench.Queue.UsedIndex == 3);
        Assert.That((bench.Result(), bench.Result(1), bench.Result(2), bench.Result(3)), Is.EqualTo((0xEE, 1, 1, 1)));
        disk.Gate.SetResult();
        bench.WaitFor(() => bench.Queue.UsedIndex == 4);
        Assert.That(bench.Result(), Is.Zero);
    }

    [Test]
    public async Task A_disk_that_goes_amid_a_request_waits_for_it()
    {
        await using TestDisk disk = new() { Gate = new TaskCompletionSource() };
        using DiskBench bench = new(disk, isVirtual: false);
        byte[] data = RandomBytes(512);
        bench.Write(DiskBench.Data, data);
        bench.Submit(DiskBench.Out, 0, 0, false, new VirtioBuffer(DiskBench.Data, 512, false));
        bench.Driver.Notify(0);

        // The guest says that it has let the disk go, and has not.
        PciFunction function = (PciFunction)bench.Sandbox.Devices.Find("disk0")!;
        Task letGo = bench.Sandbox.Services.GetRequiredService<IPciBus>().RequestEject(function);
        bench.Sandbox.WritePort(0x618, 4, (ulong)function.DeviceNumber);
        Assert.That(letGo.IsCompletedSuccessfully, Is.True);
        Task gone = Task.Run(() => bench.Sandbox.Devices.Detach(function));
        await Task.Delay(50);
        Assert.That(gone.IsCompleted, Is.False);
        disk.Gate.SetResult();
        await gone;
        byte[] onDisk = new byte[512];
        await disk.ReadAsync(0, onDisk);
        Assert.That(onDisk, Is.EqualTo(data));
    }

    [Test]
    public async Task Indices_wrap()
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk, queueSize: 8);
        for (int i = 0; i < 70_000; i++)
        {
            bench.Submit(DiskBench.In, (ulong)(i % 2000), 0, false, new VirtioBuffer(DiskBench.Data, 512, true));
            bench.Submit(DiskBench.Flush, 0, 1);
            bench.Driver.Notify(0);
            bench.Sandbox.Advance(100_000);
            bench.Driver.TakeInterrupt();
            Assert.That(bench.Queue.TryTakeUsed(out _, out _) && bench.Queue.TryTakeUsed(out _, out _) && bench.Result() == 0 && bench.Result(1) == 0, $"request {i}");
        }
    }

    [Test]
    public async Task A_batch_interrupts_once()
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk);
        for (int i = 0; i < 20; i++)
        {
            bench.Submit(DiskBench.In, (ulong)i, i, false, new VirtioBuffer(DiskBench.Data, 512, true));
        }

        bench.Driver.Notify(0);
        bench.Sandbox.Advance(1_000_000);
        Assert.That(bench.Driver.TakeInterrupt(), Is.Zero);
        Assert.That(bench.Driver.TakeInterrupt(), Is.EqualTo(-1));
        Assert.That(bench.Queue.UsedIndex, Is.EqualTo(20));
    }

    [Test]
    public async Task A_driver_that_wants_no_interrupt_gets_none([Values] bool hasEventIndex)
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk, hasEventIndex ? ulong.MaxValue : ~DiskBench.EventIndexFeature);
        bench.Queue.SetInterrupts(false);
        bench.Queue.SetUsedEvent(1);
        bench.Run(DiskBench.Flush, 0);
        Assert.That(bench.Driver.TakeInterrupt(), Is.EqualTo(-1));
        bench.Run(DiskBench.Flush, 0);
        Assert.That(bench.Driver.TakeInterrupt(), Is.EqualTo(hasEventIndex ? 0 : -1), "behind the index that was asked for");
    }

    [Test]
    public async Task The_configuration_says_what_the_disk_is()
    {
        await using MemoryBlockDevice disk = new(3 << 20);
        using DiskBench bench = new(disk);
        Assert.That(bench.Driver.ReadDevice(0, 8), Is.EqualTo(3 << 11));
        Assert.That(bench.Driver.ReadDevice(20, 4), Is.EqualTo(512));
        Assert.That(bench.Driver.ReadDevice(24, 1), Is.EqualTo(3));
        Assert.That(bench.Driver.ReadDevice(12, 4), Is.EqualTo(254));
        Assert.That(bench.Driver.ReadDevice(58, 8), Is.Zero, "behind its end");
    }

    [Test]
    public async Task A_new_size_is_told_of()
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk);
        byte generation = bench.Driver.ConfigurationGeneration;
        await disk.ResizeAsync(2 << 20);
        bench.Sandbox.Advance(1000);
        Assert.That(bench.Driver.TakeInterrupt(), Is.EqualTo(bench.Driver.QueueCount));
        Assert.That(bench.Driver.ReadDevice(0, 8), Is.EqualTo(4096));
        Assert.That(bench.Driver.ConfigurationGeneration, Is.Not.EqualTo(generation));
        Assert.That(bench.Run(DiskBench.In, 4095, new VirtioBuffer(DiskBench.Data, 512, true)), Is.Zero);
    }

    [Test]
    public async Task The_disk_says_its_name()
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk, options: new BlockDeviceOptions { Serial = "serial number 42" });
        Assert.That(bench.Run(DiskBench.GetId, 0, new VirtioBuffer(DiskBench.Data, 20, true)), Is.Zero);
        Assert.That(Encoding.ASCII.GetString(bench.Read(DiskBench.Data, 20)), Is.EqualTo("serial number 42\0\0\0\0"));
    }

    [TestCase(2048UL, 512U)]
    [TestCase(2047UL, 1024U)]
    [TestCase(ulong.MaxValue, 512U)]
    [TestCase(0UL, 100U)]
    public async Task A_request_outside_the_disk_is_an_error_of_that_request(ulong sector, uint length)
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk);
        Assert.That(bench.Run(DiskBench.In, sector, new VirtioBuffer(DiskBench.Data, length, true)), Is.EqualTo(1));
        Assert.That(bench.Run(DiskBench.Out, sector, new VirtioBuffer(DiskBench.Data, length, false)), Is.EqualTo(1));
        Assert.That(bench.Run(DiskBench.In, 0, new VirtioBuffer(DiskBench.Data, 512, true)), Is.Zero, "the disk goes on");
    }

    [Test]
    public async Task Ranges_are_discarded_and_zeroed()
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        byte[] ones = [.. Enumerable.Repeat((byte)1, 8192)];
        await disk.WriteAsync(0, ones);
        using DiskBench bench = new(disk);
        bench.Write(DiskBench.Data, Range(2, 2, 1));
        bench.Write(DiskBench.Data + 16, Range(8, 1, 0));
        Assert.That(bench.Run(DiskBench.WriteZeroes, 0, new VirtioBuffer(DiskBench.Data, 32, false)), Is.Zero);
        bench.Write(DiskBench.Data, Range(12, 1, 0));
        Assert.That(bench.Run(DiskBench.Discard, 0, new VirtioBuffer(DiskBench.Data, 16, false)), Is.Zero);

        byte[] read = new byte[8192];
        await disk.ReadAsync(0, read);
        Assert.That(Enumerable.Range(0, 16).Where(sector => read[sector * 512] == 0), Is.EqualTo(new[] { 2, 3, 8, 12 }));

        bench.Write(DiskBench.Data, Range(2047, 2, 0));
        Assert.That(bench.Run(DiskBench.Discard, 0, new VirtioBuffer(DiskBench.Data, 16, false)), Is.EqualTo(1));
    }

    [Test]
    public async Task A_read_only_disk_refuses_to_be_changed_and_an_unknown_request_is_unsupported()
    {
        await using MemoryBlockDevice disk = new(1 << 20, isReadOnly: true);
        using DiskBench bench = new(disk);
        Assert.That(bench.Run(DiskBench.Out, 0, new VirtioBuffer(DiskBench.Data, 512, false)), Is.EqualTo(1));
        Assert.That(bench.Run(DiskBench.Discard, 0, new VirtioBuffer(DiskBench.Data, 16, false)), Is.EqualTo(2));
        Assert.That(bench.Run(77, 0), Is.EqualTo(2));
        Assert.That(bench.Driver.DeviceFeatures & (1UL << 5), Is.Not.Zero);
    }

    [Test]
    public async Task Without_the_flush_feature_every_write_is_flushed([Values] bool flushes)
    {
        await using TestDisk disk = new();
        using DiskBench bench = new(disk, flushes ? ulong.MaxValue : ~DiskBench.FlushFeature);
        Assert.That(bench.Run(DiskBench.Out, 0, new VirtioBuffer(DiskBench.Data, 512, false)), Is.Zero);
        Assert.That(disk.Flushes, Is.EqualTo(flushes ? 0 : 1));
    }

    [Test]
    public async Task A_failure_of_the_disk_is_an_error_of_that_request([Values(typeof(BlockIOException), typeof(InvalidOperationException))] Type failure)
    {
        await using TestDisk disk = new();
        using DiskBench bench = new(disk);
        disk.Failure = (Exception)Activator.CreateInstance(failure)!;
        Assert.That(bench.Run(DiskBench.In, 0, new VirtioBuffer(DiskBench.Data, 512, true)), Is.EqualTo(1));
        Assert.That(bench.Run(DiskBench.Flush, 0), Is.EqualTo(1));
        disk.Failure = null;
        Assert.That(bench.Run(DiskBench.In, 0, new VirtioBuffer(DiskBench.Data, 512, true)), Is.Zero);
    }

    [Test]
    public async Task A_reset_waits_for_what_writes_to_the_guest_s_memory()
    {
        await using TestDisk disk = new() { Gate = new TaskCompletionSource() };
        using DiskBench bench = new(disk);
        bench.Submit(DiskBench.In, 0, 0, false, new VirtioBuffer(DiskBench.Data, 512, true));
        bench.Driver.Notify(0);
        bench.Driver.Status = 0;
        Assert.That(bench.Driver.Status, Is.Not.Zero);
        disk.Gate.SetResult();
        bench.Driver.Reset();
        Assert.That(bench.Driver.Status, Is.Zero);
        Assert.That(bench.Result(), Is.EqualTo(0xEE), "nobody is told");
        bench.Start();
        Assert.That(bench.Run(DiskBench.In, 0, new VirtioBuffer(DiskBench.Data, 512, true)), Is.Zero);
    }

    [Test]
    public async Task A_disk_that_never_waits_is_read_and_written_by_the_machine_s_thread([Values] bool isVirtual)
    {
        await using TestDisk disk = new() { NeverWaits = true };
        using DiskBench bench = new(disk, isVirtual: isVirtual);
        bench.Submit(DiskBench.Out, 0, 0, false, new VirtioBuffer(DiskBench.Data, 512, false));
        bench.Submit(DiskBench.In, 0, 1, false, new VirtioBuffer(DiskBench.Data, 512, true));
        bench.Driver.Notify(0);
        Assert.That(disk.Threads, Is.EqualTo(new[] { Thread.CurrentThread, Thread.CurrentThread }));
        Assert.That(bench.Queue.UsedIndex, Is.EqualTo(isVirtual ? 0 : 2), "in virtual time a request takes its time");
        bench.Sandbox.Advance(1_000_000);
        Assert.That(bench.Queue.UsedIndex, Is.EqualTo(2));
        Assert.That((bench.Result(), bench.Result(1)), Is.EqualTo((0, 0)));
    }

    [Test]
    public async Task One_notification_keeps_the_machine_s_thread_for_no_more_than_a_mebibyte()
    {
        await using TestDisk disk = new() { NeverWaits = true };
        using DiskBench bench = new(disk);
        for (int i = 0; i < 3; i++)
        {
            bench.Submit(DiskBench.In, 0, i, false, new VirtioBuffer(DiskBench.Data, 512 << 10, true));
        }

        bench.Driver.Notify(0);
        bench.Sandbox.Advance(1_000_000);
        Assert.That((bench.Result(), bench.Result(1), bench.Result(2)), Is.EqualTo((0, 0, 0)));
        Assert.That(disk.Threads.Count(thread => thread == Thread.CurrentThread), Is.EqualTo(2));
        while (bench.Queue.TryTakeUsed(out _, out _))
        {
        }

        Assert.That(bench.Run(DiskBench.In, 0, new VirtioBuffer(DiskBench.Data, 512, true)), Is.Zero);
        Assert.That(disk.Threads[^1], Is.EqualTo(Thread.CurrentThread), "the next notification begins anew");
    }

    [Test]
    public async Task What_a_disk_that_never_waits_does_not_do_at_once_is_waited_for_elsewhere()
    {
        await using TestDisk disk = new() { NeverWaits = true, Gate = new TaskCompletionSource() };
        using DiskBench bench = new(disk);
        bench.Submit(DiskBench.In, 0, 0, false, new VirtioBuffer(DiskBench.Data, 512, true));
        bench.Driver.Notify(0);
        Assert.That(bench.Result(), Is.EqualTo(0xEE));
        disk.Gate.SetResult();
        bench.Sandbox.Advance(1_000_000);
        Assert.That(bench.Result(), Is.Zero);
    }

    [Test]
    public async Task Requests_in_steady_state_allocate_nothing([Values] bool isAtOnce)
    {
        await using IBlockDevice disk = isAtOnce ? new MemoryBlockDevice(1 << 20) : new LaterDisk(1 << 20);
        using DiskBench bench = new(disk, isVirtual: false);
        ushort write = bench.Submit(DiskBench.Out, 0, 0, false, new VirtioBuffer(DiskBench.Data, 4096, false));
        ushort read = bench.Submit(DiskBench.In, 8, 1, false, new VirtioBuffer(DiskBench.Data, 4096, true));
        bench.RunAgain(1000, write, read);
        long least = long.MaxValue;
        for (int turn = 0; turn < 5 && least > 4000; turn++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            bench.RunAgain(4000, write, read);
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        Assert.That(least, Is.LessThanOrEqualTo(4000), "bytes for 8000 requests: the runtime allocates now and then itself");
    }

    [Test]
    public async Task An_error_of_a_disk_that_never_waits_is_the_request_s()
    {
        await using TestDisk disk = new() { NeverWaits = true, Failure = new BlockIOException("gone") };
        using DiskBench bench = new(disk);
        Assert.That(bench.Run(DiskBench.In, 0, new VirtioBuffer(DiskBench.Data, 512, true)), Is.EqualTo(1));
    }

    [Test]
    public async Task A_driver_without_flushes_is_not_acknowledged_at_once()
    {
        await using TestDisk disk = new() { NeverWaits = true };
        using DiskBench bench = new(disk, ~DiskBench.FlushFeature);
        Assert.That(bench.Run(DiskBench.Out, 0, new VirtioBuffer(DiskBench.Data, 512, false)), Is.Zero);
        Assert.That(disk.Flushes, Is.EqualTo(1));
        Assert.That(disk.Threads[0], Is.Not.EqualTo(Thread.CurrentThread));
    }

    private static byte[] Range(ulong sector, uint sectors, uint flags)
    {
        byte[] range = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(range, sector);
        BinaryPrimitives.WriteUInt32LittleEndian(range.AsSpan(8), sectors);
        BinaryPrimitives.WriteUInt32LittleEndian(range.AsSpan(12), flags);
        return range;
    }

    private static byte[] RandomBytes(int length)
    {
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }
}
