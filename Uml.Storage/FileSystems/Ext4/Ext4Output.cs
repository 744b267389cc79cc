using Uml.Storage.Blocks;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>The device that a file system is written to, in its blocks.</summary>
/// <param name="device">The device.</param>
/// <param name="isZeroed">Whether it reads as zeroes where nothing was written.</param>
internal sealed class Ext4Output(IBlockDevice device, bool isZeroed)
{
    private static readonly byte[] Zeroes = new byte[256 << 10];

    private readonly IZeroable? _zeroable = device.GetCapability<IZeroable>();

    public ValueTask WriteAsync(long block, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        device.WriteAsync(block * Ext4Format.BlockBytes, BlockBuffers.OfReadOnly(bytes), cancellationToken);

    /// <summary>Sees to it that blocks which are not written read as zeroes.</summary>
    public async ValueTask ZeroAsync(long block, long count, CancellationToken cancellationToken)
    {
        (long offset, long length) = (block * Ext4Format.BlockBytes, count * Ext4Format.BlockBytes);
        if (isZeroed || length <= 0)
        {
            return;
        }

        if (_zeroable is not null)
        {
            await _zeroable.WriteZeroesAsync(offset, length, mayDiscard: true, cancellationToken).ConfigureAwait(false);
            return;
        }

        while (length > 0)
        {
            int part = (int)Math.Min(length, Zeroes.Length);
            await device.WriteAsync(offset, BlockBuffers.OfReadOnly(Zeroes.AsMemory(0, part)), cancellationToken).ConfigureAwait(false);
            offset += part;
            length -= part;
        }
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) =>
        device.GetCapability<IFlushable>()?.FlushAsync(cancellationToken) ?? ValueTask.CompletedTask;
}
