using Uml.Storage.Blocks;
using Uml.Storage.Decorators;
using Uml.Storage.Tests.Tools;
using Uml.Storage.Tools;

namespace Uml.Storage.Tests.Formats;

/// <summary>What images of all formats have in common when they are closed.</summary>
public sealed class ClosingTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task An_image_can_be_closed_twice([Values] DiskImageFormat format)
    {
        IBlockDevice device = Open(format);
        await device.WriteAsync(0, new byte[512]);
        await device.DisposeAsync();

        Assert.That(async () => await device.DisposeAsync(), Throws.Nothing);
    }

    [Test]
    public async Task A_device_with_a_volatile_cache_can_be_closed_twice()
    {
        VolatileCacheBlockDevice device = Open(DiskImageFormat.Raw).WithVolatileCache();
        await device.WriteAsync(0, new byte[512]);
        await device.DisposeAsync();

        Assert.That(async () => await device.DisposeAsync(), Throws.Nothing);
    }

    [Test]
    public async Task Every_request_to_a_closed_image_fails_as_gone([Values] DiskImageFormat format, [Values] bool isReadOnly)
    {
        IBlockDevice device = Open(format);
        await device.WriteAsync(0, new byte[512]);
        if (isReadOnly)
        {
            await device.DisposeAsync();
            device = DiskImage.Open(_folder["image"], format, new DiskImageOptions { IsReadOnly = true });
        }

        await device.DisposeAsync();

        await AssertIsGoneAsync(device);
    }

    [Test]
    public async Task A_closed_image_that_gives_nothing_back_to_the_host_fails_discards_as_gone([Values] DiskImageFormat format)
    {
        await Open(format).DisposeAsync();
        IBlockDevice device = DiskImage.Open(_folder["image"], format, new DiskImageOptions { Discards = false });
        await device.DisposeAsync();

        Assert.That((await Failure.OfAsync(() => ((IDiscardable)device).DiscardAsync(0, 512))).Error, Is.EqualTo(BlockError.Gone));
    }

    [Test]
    public async Task Every_request_to_a_closed_device_in_memory_fails_as_gone()
    {
        MemoryBlockDevice device = new(1 << 20);
        await device.DisposeAsync();
        await device.DisposeAsync();

        await AssertIsGoneAsync(device);
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_flush_that_meets_the_closing_of_the_image_succeeds_or_finds_it_gone([Values] DiskImageFormat format, CancellationToken cancellationToken)
    {
        IBlockDevice device = Open(format);
        byte[] data = new byte[512];
        for (int round = 1; round <= 50; round++)
        {
            Array.Fill(data, (byte)round);
            await device.WriteAsync(round * 4096, data, cancellationToken);
            using Barrier start = new(5);
            Task<BlockError?>[] flushes = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(() => FlushOnceAsync(device, start), cancellationToken))];
            start.SignalAndWait(cancellationToken);
            await device.DisposeAsync();
            BlockError?[] errors = await Task.WhenAll(flushes).WaitAsync(cancellationToken);
            device = DiskImage.Open(_folder["image"], format);
            byte[] read = new byte[512];
            await device.ReadAsync(round * 4096, read, cancellationToken);

            Assert.That(errors, Has.All.Null.Or.EqualTo(BlockError.Gone));
            Assert.That(read, Is.EqualTo(data), "what was written before the image was closed");
        }

        await device.DisposeAsync();
    }

    private static async Task<BlockError?> FlushOnceAsync(IBlockDevice device, Barrier start)
    {
        start.SignalAndWait();
        try
        {
            await device.GetCapability<IFlushable>()!.FlushAsync();
            return null;
        }
        catch (BlockIOException e)
        {
            return e.Error;
        }
    }

    private static async Task AssertIsGoneAsync(IBlockDevice device)
    {
        List<Func<ValueTask>> requests =
        [
            () => device.ReadAsync(0, new byte[512]),
            () => device.WriteAsync(0, new byte[512]),
            () => device.GetCapability<IFlushable>()!.FlushAsync(),
            () => device.GetCapability<IDiscardable>()!.DiscardAsync(0, 512),
            () => device.GetCapability<IZeroable>()!.WriteZeroesAsync(0, 512, mayDiscard: true),
            async () => await device.GetCapability<IExtentMap>()!.FindExtentAsync(0, 512),
        ];
        if (device.GetCapability<IResizable>() is { } resizable)
        {
            requests.Add(() => resizable.ResizeAsync(2 << 20));
        }

        foreach (Func<ValueTask> request in requests)
        {
            Assert.That((await Failure.OfAsync(request)).Error, Is.EqualTo(BlockError.Gone));
        }
    }

    private IBlockDevice Open(DiskImageFormat format) => TestImages.OpenNew(_folder, format);
}
