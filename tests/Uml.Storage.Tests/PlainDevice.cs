using Uml.Storage.Blocks;

namespace Uml.Storage.Tests;

/// <summary>Only the reads and writes of a device, none of its capabilities, and something that decorators do not know.</summary>
internal sealed class PlainDevice(IBlockDevice device) : IBlockDevice, IComparable
{
    public int Disposals { get; private set; }

    public long Length => device.Length;

    public bool IsReadOnly => device.IsReadOnly;

    public BlockLimits Limits => device.Limits;

    public int CompareTo(object? obj) => 0;

    public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) => device.ReadAsync(offset, buffers, cancellationToken);

    public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) => device.WriteAsync(offset, buffers, cancellationToken);

    public ValueTask DisposeAsync()
    {
        Disposals++;
        return ValueTask.CompletedTask;
    }
}
