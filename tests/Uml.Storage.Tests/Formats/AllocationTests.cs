using Uml.Storage.Blocks;
using Uml.Storage.Tests.Tools;
using Uml.Storage.Tools;

namespace Uml.Storage.Tests.Formats;

/// <summary>What requests to images of all formats take of the heap when they wait for the storage.</summary>
public sealed class AllocationTests
{
    private const int Rounds = 300;

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task Writes_zeroes_and_flushes_allocate_nothing_once_there_were_some([Values] DiskImageFormat format)
    {
        await using IBlockDevice device = TestImages.OpenNew(_folder, format);
        IZeroable zeroable = device.GetCapability<IZeroable>()!;
        IFlushable flushable = device.GetCapability<IFlushable>()!;
        byte[] buffer = new byte[4096];
        await RunAsync();
        long before = GC.GetTotalAllocatedBytes(precise: true);
        await RunAsync();

        // Less than the smallest object for each, with room for the runtime's own.
        Assert.That(GC.GetTotalAllocatedBytes(precise: true) - before, Is.LessThan(Rounds * 32));

        // Without the test runner's synchronization context, which allocates for each wait that comes back to it.
        async Task RunAsync()
        {
            for (int i = 0; i < Rounds; i++)
            {
                await device.WriteAsync(4096, buffer).ConfigureAwait(false);
                await zeroable.WriteZeroesAsync(65536, 65536, mayDiscard: false).ConfigureAwait(false);
                await flushable.FlushAsync().ConfigureAwait(false);
            }
        }
    }
}
