using Uml.Storage.Blocks;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>The device that a file system is written to, in its blocks.</summary>
/// <param name="device">The device.</param>
/// <param name="isZeroed">Whether it reads as zeroes where nothing was written.</param>
internal sealed class Ext4Output(IBlockDevice device, bool isZeroed)
{
    public ValueTask WriteAsync(long block, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        device.WriteAsync(block * Ext4Format.BlockBytes, BlockBuffers.OfReadOnly(bytes), cancellationToken);

    /// <summary>Sees to it that blocks which are not written read as zeroes.</summary>
    public ValueTask ZeroAsync(long block, long count, CancellationToken cancellationToken) => isZeroed || count <= 0
        ? ValueTask.CompletedTask
        : CapabilityFallback.ZeroAsync(device, block * Ext4Format.BlockBytes, count * Ext4Format.BlockBytes, cancellationToken);

    public ValueTask FlushAsync(CancellationToken cancellationToken) => CapabilityFallback.FlushAsync(device, cancellationToken);
}
