using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>
/// A device with a write cache that is lost when the power goes: what was written reaches the device inside with a flush, and not before. A
/// test of what survives: <see cref="CutPowerAsync"/> keeps some of what was not flushed, block by block, as a disk might have.
/// </summary>
/// <remarks>
/// One request is carried out at a time, and blocks that are not flushed are kept in memory in each version: it is meant for tests. A discard,
/// zeroes of more than a mebibyte, and a new size reach the device inside at once, as they may on a disk.
/// </remarks>
public sealed class VolatileCacheBlockDevice : BlockDeviceDecorator
{
    private const int LargestCachedZeroes = 1 << 20;

    /// <summary>Of blocks that are not flushed, each version, of which the last is read. Null for zeroes.</summary>
    private readonly SortedDictionary<long, List<byte[]?>> _versions = [];
    private readonly SemaphoreSlim _lock = new(1);
    private readonly Random _random;
    private bool _hasPower = true;
    private int _isDisposed;

    /// <summary>Makes a device with a volatile cache.</summary>
    /// <param name="inner">The device inside, which has what survives.</param>
    /// <param name="seed">What is kept by <see cref="CutPowerAsync"/> follows from it, and from the requests.</param>
    /// <param name="leavesOpen">Whether the device inside stays open, to be looked at when the power is gone.</param>
    public VolatileCacheBlockDevice(IBlockDevice inner, int seed = 0, bool leavesOpen = false)
        : base(inner, leavesOpen) => _random = new Random(seed);

    private int BlockSize => Limits.LogicalBlockSize;

    /// <inheritdoc/>
    /// <remarks>It can always be flushed. Where data is on the device inside says nothing of the cache, and is not passed on.</remarks>
    public override T? GetCapability<T>()
        where T : class => typeof(T) == typeof(IFlushable) ? this as T : typeof(T) == typeof(IExtentMap) ? null : base.GetCapability<T>();

    /// <summary>
    /// Cuts the power: of each block that was not flushed the device inside has one of its versions afterwards, or the one from before, and
    /// every later request fails with <see cref="BlockError.Gone"/>.
    /// </summary>
    /// <param name="keep">How likely it is that a block is in a version that was not flushed, 0 to 1. Which of several is chosen evenly.</param>
    /// <returns>Blocks whose last version was lost.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The probability is not within 0 and 1.</exception>
    public async ValueTask<long> CutPowerAsync(double keep = 0.5)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keep, 1);
        await _lock.WaitAsync().ConfigureAwait(false);
        try
        {
            long lost = 0;
            foreach ((long block, List<byte[]?> versions) in _versions)
            {
                int kept = _random.NextDouble() < keep ? _random.Next(versions.Count) : -1;
                lost += kept == versions.Count - 1 ? 0 : 1;
                if (kept >= 0)
                {
                    await WriteAsync(block, versions[kept]).ConfigureAwait(false);
                }
            }

            _versions.Clear();
            _hasPower = false;
            return lost;
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Flushes what is in the cache, unless the power is gone, and closes the device.</summary>
    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        try
        {
            if (_hasPower)
            {
                await FlushAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            await base.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask SendAsync(BlockRequest request, CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (!_hasPower)
            {
                throw new BlockIOException($"{request.Kind} of {request.Length} bytes at {request.Offset}: the power of the device was cut.", BlockError.Gone);
            }

            await RunAsync(request, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _lock.Release();
        }
    }

    private ValueTask RunAsync(BlockRequest request, CancellationToken cancellationToken)
    {
        switch (request.Kind)
        {
            case BlockRequestKind.Read:
                return ReadAsync(request, cancellationToken);
            case BlockRequestKind.Flush:
                return FlushCacheAsync(cancellationToken);
            case BlockRequestKind.WriteZeroes when request.Length <= LargestCachedZeroes:
            case BlockRequestKind.Write:
                BlockRange.CheckWrite(this, request.Offset, request.Length);
                Keep(in request);
                return ValueTask.CompletedTask;
            default:
                return PassAsync(request, cancellationToken);
        }
    }

    private async ValueTask PassAsync(BlockRequest request, CancellationToken cancellationToken)
    {
        await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        (long first, long end) = request.Kind == BlockRequestKind.Resize ? (request.Length, long.MaxValue) : (request.Offset, request.Offset + request.Length);
        Forget(first, end);
    }

    private async ValueTask ReadAsync(BlockRequest request, CancellationToken cancellationToken)
    {
        await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        for (int done = 0; done < request.Buffers.Length; done += BlockSize)
        {
            if (_versions.TryGetValue((request.Offset + done) / BlockSize, out List<byte[]?>? versions))
            {
                BlockBuffers block = request.Buffers.Slice(done, BlockSize);
                if (versions[^1] is { } data)
                {
                    block.CopyFrom(data);
                }
                else
                {
                    block.Clear();
                }
            }
        }
    }

    private async ValueTask FlushCacheAsync(CancellationToken cancellationToken)
    {
        foreach ((long block, List<byte[]?> versions) in _versions)
        {
            await WriteAsync(block, versions[^1]).ConfigureAwait(false);
        }

        await CapabilityFallback.FlushAsync(Inner, cancellationToken).ConfigureAwait(false);
        _versions.Clear();
    }

    private ValueTask WriteAsync(long block, byte[]? data) => Inner.WriteAsync(block * BlockSize, data ?? new byte[BlockSize], CancellationToken.None);

    private void Keep(in BlockRequest request)
    {
        for (int done = 0; done < request.Length; done += BlockSize)
        {
            byte[]? data = null;
            if (request.Kind == BlockRequestKind.Write)
            {
                data = new byte[BlockSize];
                request.Buffers.Slice(done, BlockSize).CopyTo(data);
            }

            long block = (request.Offset + done) / BlockSize;
            if (!_versions.TryGetValue(block, out List<byte[]?>? versions))
            {
                _versions[block] = versions = [];
            }

            versions.Add(data);
        }
    }

    private void Forget(long offset, long end)
    {
        foreach (long block in _versions.Keys.Where(block => block * BlockSize >= offset && block * BlockSize < end).ToArray())
        {
            _versions.Remove(block);
        }
    }
}
