using Uml.Storage.Blocks;
using Uml.Storage.Decorators;

namespace Uml.Storage.Tests.Decorators;

public sealed class VolatileCacheBlockDeviceTests
{
    private const int Length = 1 << 20;

    [Test]
    public async Task It_reads_what_was_written_like_any_device()
    {
        await using VolatileCacheBlockDevice device = new MemoryBlockDevice(Length).WithVolatileCache();
        BlockModel model = new(device, new byte[Length], 4);
        await model.RunAsync(300);
        await model.CheckAsync();
    }

    [Test]
    public async Task Nothing_reaches_the_device_inside_before_a_flush_and_all_of_it_after()
    {
        MemoryBlockDevice memory = new(Length);
        VolatileCacheBlockDevice device = memory.WithVolatileCache();
        await device.WriteAsync(512, Fill(1, 1024));
        Assert.That(await ReadAsync(memory, 512, 1024), Is.All.Zero);

        await device.FlushAsync();
        Assert.That(await ReadAsync(memory, 512, 1024), Is.All.EqualTo(1));
    }

    [Test]
    public async Task A_cut_that_keeps_nothing_leaves_what_was_flushed()
    {
        MemoryBlockDevice memory = new(Length);
        VolatileCacheBlockDevice device = memory.WithVolatileCache();
        await device.WriteAsync(0, Fill(1, 4096));
        await device.FlushAsync();
        await device.WriteAsync(0, Fill(2, 4096));
        await device.WriteZeroesAsync(4096, 4096, mayDiscard: true);

        Assert.That(await device.CutPowerAsync(keep: 0), Is.EqualTo(16));
        Assert.That(await ReadAsync(memory, 0, 4096), Is.All.EqualTo(1));
        Assert.That(
            (await Failure.OfAsync(() => device.ReadAsync(0, new byte[512]))).Error, Is.EqualTo(BlockError.Gone));
    }

    [Test]
    public async Task A_cut_keeps_some_version_of_each_block_by_the_seed()
    {
        byte[] first = await CutAsync(1);
        Assert.That(await CutAsync(1), Is.EqualTo(first));
        Assert.That(await CutAsync(2), Is.Not.EqualTo(first));
        byte[] versions = [.. Enumerable.Range(0, 64).Select(block => first[block * 512])];
        Assert.That(versions.Distinct().Order(), Is.EqualTo(new byte[] { 1, 2, 3 }));
        Assert.That(Enumerable.Range(0, 64).All(block => first.AsSpan(block * 512, 512).IndexOfAnyExcept(versions[block]) < 0), "no block is torn");

        static async Task<byte[]> CutAsync(int seed)
        {
            MemoryBlockDevice memory = new(Length);
            VolatileCacheBlockDevice device = memory.WithVolatileCache(seed);
            await device.WriteAsync(0, Fill(1, 32768));
            await device.FlushAsync();
            await device.WriteAsync(0, Fill(2, 32768));
            await device.WriteAsync(0, Fill(3, 32768));
            await device.CutPowerAsync();
            return await ReadAsync(memory, 0, 32768);
        }
    }

    [Test]
    public async Task Closing_flushes_unless_the_power_is_gone()
    {
        MemoryBlockDevice memory = new(Length);
        await using (VolatileCacheBlockDevice device = new(memory, leavesOpen: true))
        {
            await device.WriteAsync(0, Fill(7, 512));
        }

        Assert.That(await ReadAsync(memory, 0, 512), Is.All.EqualTo(7));
    }

    [Test]
    public async Task A_new_size_behind_a_cut_of_power_fails_as_gone_and_changes_nothing()
    {
        MemoryBlockDevice memory = new(Length);
        await using VolatileCacheBlockDevice device = new(memory, leavesOpen: true);
        await device.CutPowerAsync();

        Assert.That((await Failure.OfAsync(() => device.ResizeAsync(2 * Length))).Error, Is.EqualTo(BlockError.Gone));
        Assert.That(memory.Length, Is.EqualTo(Length));
    }

    [Test]
    public async Task A_smaller_size_forgets_what_was_not_flushed_behind_it()
    {
        MemoryBlockDevice memory = new(Length);
        await using VolatileCacheBlockDevice device = memory.WithVolatileCache();
        await device.WriteAsync(0, Fill(1, 8192));
        await device.ResizeAsync(4096);
        await device.ResizeAsync(Length);

        Assert.That(await ReadAsync(device, 0, 4096), Is.All.EqualTo(1));
        Assert.That(await ReadAsync(device, 4096, 4096), Is.All.Zero);
    }

    [Test]
    public async Task A_flush_that_fails_keeps_what_it_did_not_write()
    {
        MemoryBlockDevice memory = new(Length);
        VolatileCacheBlockDevice device = memory
            .WithFaults(new BlockFault { Kinds = BlockRequestKind.Write, Nth = 2, Repeat = BlockFaultRepeat.Once }).WithVolatileCache();
        await device.WriteAsync(0, Fill(7, 4096));
        await Assert.ThrowsAsync<BlockIOException>(async () => await device.FlushAsync());
        Assert.That(await ReadAsync(device, 0, 4096), Is.All.EqualTo(7));
        await device.FlushAsync();
        Assert.That(await ReadAsync(memory, 0, 4096), Is.All.EqualTo(7));
    }

    private static byte[] Fill(byte value, int length) => [.. Enumerable.Repeat(value, length)];

    private static async Task<byte[]> ReadAsync(IBlockDevice device, long offset, int length)
    {
        byte[] bytes = new byte[length];
        await device.ReadAsync(offset, bytes);
        return bytes;
    }
}
