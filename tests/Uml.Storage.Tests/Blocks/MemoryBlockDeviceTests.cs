using Uml.Storage.Blocks;

namespace Uml.Storage.Tests.Blocks;

public sealed class MemoryBlockDeviceTests
{
    [Test]
    public async Task Random_requests_read_what_was_written([Values(1, 2, 3)] int seed)
    {
        await using MemoryBlockDevice device = new((3 << 20) + 1024);
        BlockModel model = new(device, new byte[device.Length], seed);
        await model.RunAsync(500);
        await model.CheckAsync();
    }

    [Test]
    public async Task What_is_cut_off_is_zeroes_when_the_device_grows_again()
    {
        await using MemoryBlockDevice device = new(2 << 20);
        byte[] data = [.. Enumerable.Repeat((byte)7, 1024)];
        await device.WriteAsync(1 << 20, data);
        int changes = 0;
        device.Resized += (_, _) => changes++;

        await device.ResizeAsync((1 << 20) + 512);
        Assert.That(async () => await device.ReadAsync(1 << 20, new byte[1024]), Throws.InstanceOf<ArgumentOutOfRangeException>());
        await device.ResizeAsync(2 << 20);
        await device.ReadAsync(1 << 20, data);

        Assert.That(data[..512], Has.All.EqualTo(7));
        Assert.That(data[512..], Has.All.Zero);
        Assert.That(changes, Is.EqualTo(2));
    }

    [Test]
    public async Task A_device_to_be_read_only_refuses_writes()
    {
        await using MemoryBlockDevice device = new(1024, isReadOnly: true);
        Assert.That(async () => await device.WriteAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.ReadOnly));
    }

    [TestCase(1, 512)]
    [TestCase(0, 100)]
    [TestCase(-512, 512)]
    [TestCase(512, 1024)]
    [TestCase(long.MaxValue - 511, 512)]
    public async Task Requests_that_are_no_whole_blocks_of_the_device_are_refused(long offset, int length)
    {
        await using MemoryBlockDevice device = new(1024);
        Assert.That(async () => await device.ReadAsync(offset, new byte[length]), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(async () => await device.WriteAsync(offset, new byte[length]), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(async () => await device.WriteZeroesAsync(offset, length, mayDiscard: true), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }
}
