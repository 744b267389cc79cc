namespace Uml.Storage.Blocks;

/// <summary>What is done where a device may lack a capability.</summary>
internal static class CapabilityFallback
{
    /// <summary>A multiple of every block size.</summary>
    private static readonly byte[] Zeroes = new byte[256 << 10];

    /// <summary>Flushes a device; one that has nothing to flush is durable as it is.</summary>
    /// <exception cref="IOException">Some writes may be lost.</exception>
    public static ValueTask FlushAsync(IBlockDevice device, CancellationToken cancellationToken) =>
        device.GetCapability<IFlushable>()?.FlushAsync(cancellationToken) ?? ValueTask.CompletedTask;

    /// <summary>Zeroes a range, and may give its room back; a device that needs the zeroes gets them in writes.</summary>
    /// <param name="device">The device.</param>
    /// <param name="offset">The first byte, aligned as for a write.</param>
    /// <param name="length">Bytes, aligned likewise.</param>
    /// <param name="cancellationToken">Looked at before each write.</param>
    /// <exception cref="IOException">It could not be done, or not all of it.</exception>
    public static async ValueTask ZeroAsync(IBlockDevice device, long offset, long length, CancellationToken cancellationToken)
    {
        if (device.GetCapability<IZeroable>() is { } zeroable)
        {
            await zeroable.WriteZeroesAsync(offset, length, mayDiscard: true, cancellationToken).ConfigureAwait(false);
            return;
        }

        for (long done = 0; done < length;)
        {
            int part = (int)Math.Min(length - done, Zeroes.Length);
            await device.WriteAsync(offset + done, BlockBuffers.OfReadOnly(Zeroes.AsMemory(0, part)), cancellationToken).ConfigureAwait(false);
            done += part;
        }
    }
}
