using System.Runtime.CompilerServices;

namespace Uml.Storage.Blocks;

/// <summary>Changes that are durable when they have ended.</summary>
internal static class WriteThrough
{
    /// <summary>Waits for a change, and flushes the device behind it.</summary>
    /// <exception cref="IOException">The change or the flush failed; a change that failed is not flushed.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public static async ValueTask FlushBehindAsync(ValueTask change, IFlushable device)
    {
        await change.ConfigureAwait(false);
        await device.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }
}
