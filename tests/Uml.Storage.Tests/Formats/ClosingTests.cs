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
    public async Task Requests_to_a_closed_image_fail_as_gone([Values] DiskImageFormat format)
    {
        IBlockDevice device = Open(format);
        await device.WriteAsync(0, new byte[512]);
        await device.DisposeAsync();

        Assert.That((await Failure.OfAsync(() => device.ReadAsync(0, new byte[512]))).Error, Is.EqualTo(BlockError.Gone));
        Assert.That((await Failure.OfAsync(() => device.WriteAsync(0, new byte[512]))).Error, Is.EqualTo(BlockError.Gone));
    }

    private IBlockDevice Open(DiskImageFormat format) => TestImages.OpenNew(_folder, format);
}
