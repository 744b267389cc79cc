using Uml.Fuzz.Running;
using Uml.Storage.Blocks;

namespace Uml.Fuzz.Disks;

/// <summary>A disk in memory that takes its time, on other threads, and has sectors that can be neither read nor written.</summary>
/// <param name="length">Bytes.</param>
/// <param name="isSlow">Whether requests end on another thread, later.</param>
internal sealed class FuzzDisk(long length, bool isSlow) : IBlockDevice, IFlushable, IDiscardable, IZeroable
{
    private readonly MemoryBlockDevice _disk = new(length);

    /// <summary>The sectors that fail.</summary>
    public (long Offset, long Length) Bad { get; init; }

    public long Length => _disk.Length;

    public bool IsReadOnly => false;

    public BlockLimits Limits => _disk.Limits;

    /// <summary>Whether a request to a range fails.</summary>
    public bool IsBad(long offset, long count) => offset < Bad.Offset + Bad.Length && offset + count > Bad.Offset && count > 0;

    /// <summary>What the disk has.</summary>
    public byte[] Copy()
    {
        byte[] contents = new byte[Length];
        _disk.ReadAsync(0, contents).AsTask().Wait();
        return contents;
    }

    public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) =>
        RunAsync(offset, buffers.Length, () => _disk.ReadAsync(offset, buffers, cancellationToken));

    public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) =>
        RunAsync(offset, buffers.Length, () => _disk.WriteAsync(offset, buffers, cancellationToken));

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => RunAsync(0, 0, () => _disk.FlushAsync(cancellationToken));

    public ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        RunAsync(offset, length, () => _disk.DiscardAsync(offset, length, cancellationToken));

    public ValueTask WriteZeroesAsync(long offset, long length, bool mayDiscard, CancellationToken cancellationToken = default) =>
        RunAsync(offset, length, () => _disk.WriteZeroesAsync(offset, length, mayDiscard, cancellationToken));

    /// <summary>Gives the disk another size while it is used.</summary>
    public void Resize(FuzzRandom random) => _disk.ResizeAsync((random.Below(4) + 1) * (length / 4)).AsTask().Wait();

    public T? GetCapability<T>()
        where T : class => this as T ?? ((IBlockDevice)_disk).GetCapability<T>();

    public ValueTask DisposeAsync() => _disk.DisposeAsync();

    private async ValueTask RunAsync(long offset, long count, Func<ValueTask> request)
    {
        if (isSlow)
        {
            await Task.Yield();
        }

        if (IsBad(offset, count))
        {
            throw new BlockIOException($"The {count} bytes at {offset} are bad.");
        }

        await request();
    }
}
