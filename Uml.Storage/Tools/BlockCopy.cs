using Uml.Storage.Blocks;

namespace Uml.Storage.Tools;

/// <summary>How one device is copied to another.</summary>
public sealed record BlockCopyOptions
{
    /// <summary>Requests at once, 1 to 64.</summary>
    public int ParallelRequests { get; init; } = 4;

    /// <summary>Bytes of a request, a multiple of 65536 up to 16 MiB.</summary>
    public int RequestSize { get; init; } = 1 << 20;

    /// <summary>Whether zeroes that the source stores as data are looked for, in blocks of 4096 bytes, and not written as data.</summary>
    public bool FindsZeroes { get; init; } = true;

    /// <summary>Whether the destination reads as zeroes already, so that none are written.</summary>
    public bool IsDestinationZero { get; init; }

    /// <summary>Whether only that is copied which is in the source's own file, and nothing of an image below it.</summary>
    public bool IsOwnOnly { get; init; }
}

/// <summary>Copies a device to another: several requests at once, and nothing read or written where the source has none but zeroes.</summary>
public static class BlockCopy
{
    /// <summary>Copies, and flushes the destination.</summary>
    /// <param name="source">What is read. Nobody may write to it meanwhile.</param>
    /// <param name="destination">What is written, at least as long. What is behind the source's length stays as it is.</param>
    /// <param name="options">How; as a new object of it says when null.</param>
    /// <param name="progress">Notified of what is done, from any thread.</param>
    /// <param name="cancellationToken">Ends the copy between requests; the destination has part of it then.</param>
    /// <exception cref="ArgumentException">The destination is shorter, or a number is out of range.</exception>
    /// <exception cref="IOException">A request failed; those that were under way have ended.</exception>
    public static async Task CopyAsync(
        IBlockDevice source,
        IBlockDevice destination,
        BlockCopyOptions? options = null,
        IProgress<DiskCopyProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(destination);
        options ??= new BlockCopyOptions();
        Check(source, destination, options);
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using ExtentCursor cursor = new(source, destination, options, progress);
        Task[] workers = [.. Enumerable.Range(0, options.ParallelRequests).Select(_ => Task.Run(WorkAsync, CancellationToken.None))];

        // An error of one cancels the others, and goes before their cancellation.
        await Task.WhenAll(workers).ConfigureAwait(false);
        await CapabilityFallback.FlushAsync(destination, cancellationToken).ConfigureAwait(false);

        async Task WorkAsync()
        {
            try
            {
                BlockCopyWorker worker = new(source, destination, options);
                while (await cursor.NextAsync(ending.Token).ConfigureAwait(false) is { Length: > 0 } part)
                {
                    await worker.CopyAsync(part, ending.Token).ConfigureAwait(false);
                    cursor.Report(part.Length);
                }
            }
            catch
            {
                await ending.CancelAsync().ConfigureAwait(false);
                throw;
            }
        }
    }

    private static void Check(IBlockDevice source, IBlockDevice destination, BlockCopyOptions options)
    {
        if (destination.Length < source.Length)
        {
            throw new ArgumentException($"The destination has {destination.Length} bytes, and the source {source.Length}: make it as long.", nameof(destination));
        }

        if (options.ParallelRequests is < 1 or > 64)
        {
            throw new ArgumentException($"{options.ParallelRequests} requests at once are not within 1 and 64.", nameof(options));
        }

        if (options.RequestSize is < 65536 or > 16 << 20 || options.RequestSize % 65536 != 0)
        {
            throw new ArgumentException($"Requests of {options.RequestSize} bytes are no multiple of 65536 up to {16 << 20}.", nameof(options));
        }
    }
}
