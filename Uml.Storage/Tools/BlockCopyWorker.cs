using Uml.Storage.Blocks;

namespace Uml.Storage.Tools;

/// <summary>Part of a copy.</summary>
internal readonly record struct CopyPart(long Offset, long Length, bool IsZero);

/// <summary>Deals the parts of a copy out to those who do it, in order. Parts that need nothing done are passed over.</summary>
internal sealed class ExtentCursor(IBlockDevice source, IBlockDevice destination, BlockCopyOptions options, IProgress<DiskCopyProgress>? progress) : IDisposable
{
    /// <summary>What is zeroed at once. A limit of ours, so that cancellation does not wait for long.</summary>
    private const long LargestZeroes = 1L << 30;

    // Extents of a source with smaller blocks may not fit the destination's.
    private readonly IExtentMap? _map =
        source.Limits.LogicalBlockSize >= destination.Limits.LogicalBlockSize || options.IsOwnOnly ? source.GetCapability<IExtentMap>() : null;

    private readonly SemaphoreSlim _lock = new(1);
    private BlockExtent _extent;
    private long _offset, _done;

    /// <returns>The next part; one of no length behind the last.</returns>
    public async ValueTask<CopyPart> NextAsync(CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            while (_offset < source.Length)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (_extent.Length == 0)
                {
                    long rest = source.Length - _offset;
                    _extent = _map is null ? new BlockExtent(rest) : await _map.FindExtentAsync(_offset, rest, cancellationToken).ConfigureAwait(false);
                }

                bool isNothing = (_extent.IsZero && options.IsDestinationZero) || (_extent.IsBelow && options.IsOwnOnly);
                long length = isNothing ? _extent.Length : Math.Min(_extent.Length, _extent.IsZero ? LargestZeroes : options.RequestSize);
                CopyPart part = new(_offset, length, _extent.IsZero);
                _offset += length;
                _extent = _extent with { Length = _extent.Length - length };
                if (!isNothing)
                {
                    return part;
                }

                Report(length);
            }

            return default;
        }
        finally
        {
            _lock.Release();
        }
    }

    public void Report(long length)
    {
        long done = Interlocked.Add(ref _done, length);
        progress?.Report(new DiskCopyProgress(done, source.Length));
    }

    public void Dispose() => _lock.Dispose();
}

/// <summary>Copies one part after another.</summary>
internal sealed class BlockCopyWorker(IBlockDevice source, IBlockDevice destination, BlockCopyOptions options)
{
    private const int ZeroBlock = 4096;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(options.RequestSize);

    public async ValueTask CopyAsync(CopyPart part, CancellationToken cancellationToken)
    {
        if (part.IsZero)
        {
            await CapabilityFallback.ZeroAsync(destination, part.Offset, part.Length, cancellationToken).ConfigureAwait(false);
            return;
        }

        int length = (int)part.Length;
        await source.ReadAsync(part.Offset, _buffer.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        for (int done = 0; done < length;)
        {
            int run = FindRun(done, length, out bool isZero);
            if (!isZero)
            {
                await destination.WriteAsync(part.Offset + done, _buffer.AsMemory(done, run), cancellationToken).ConfigureAwait(false);
            }
            else if (!options.IsDestinationZero)
            {
                await CapabilityFallback.ZeroAsync(destination, part.Offset + done, run, cancellationToken).ConfigureAwait(false);
            }

            done += run;
        }
    }

    /// <summary>How many bytes from a place on are alike: zeroes, or blocks that are not.</summary>
    private int FindRun(int start, int length, out bool isZero)
    {
        if (!options.FindsZeroes)
        {
            isZero = false;
            return length - start;
        }

        isZero = IsZero(start, length);
        int end = Math.Min(start + ZeroBlock, length);
        while (end < length && IsZero(end, length) == isZero)
        {
            end = Math.Min(end + ZeroBlock, length);
        }

        return end - start;
    }

    private bool IsZero(int start, int length) => _buffer.AsSpan(start, Math.Min(ZeroBlock, length - start)).IndexOfAnyExcept((byte)0) < 0;
}
