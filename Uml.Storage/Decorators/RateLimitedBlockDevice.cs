using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>How much a device may do in a second.</summary>
public sealed record BlockRateOptions
{
    /// <summary>Bytes of reads and writes in a second; null for no limit.</summary>
    public long? BytesPerSecond { get; init; }

    /// <summary>Requests in a second; null for no limit.</summary>
    public long? RequestsPerSecond { get; init; }

    /// <summary>What may be done at once after a rest, in time at the rate: a second of it unless set.</summary>
    public TimeSpan Burst { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>
/// A device that does no more in a second than it may: token buckets for bytes and for requests. A request that is larger than the burst is
/// let through and paid for by those after it.
/// </summary>
public sealed class RateLimitedBlockDevice : BlockDeviceDecorator
{
    private readonly DelayPool _delays;
    private readonly TokenBucket? _bytes, _requests;

    /// <summary>Makes a device with limits.</summary>
    /// <param name="inner">The device inside.</param>
    /// <param name="options">The limits.</param>
    /// <exception cref="ArgumentOutOfRangeException">A rate is not at least 1, or the burst negative.</exception>
    public RateLimitedBlockDevice(IBlockDevice inner, BlockRateOptions options)
        : base(inner)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Burst, TimeSpan.Zero, nameof(options));
        _delays = new DelayPool(options.Time);
        _bytes = MakeBucket(options.BytesPerSecond, options);
        _requests = MakeBucket(options.RequestsPerSecond, options);
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        _delays.Dispose();
        return base.DisposeAsync();
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    protected override async ValueTask SendAsync(BlockRequest request, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        TimeSpan forRequests = _requests?.Take(1) ?? TimeSpan.Zero;
        TimeSpan forBytes = _bytes?.Take(request.Buffers.Length) ?? TimeSpan.Zero;
        await _delays.WaitAsync(forRequests > forBytes ? forRequests : forBytes).ConfigureAwait(false);
        await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
    }

    private static TokenBucket? MakeBucket(long? rate, BlockRateOptions options)
    {
        if (rate is not { } perSecond)
        {
            return null;
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(perSecond, 1, nameof(options));
        return new TokenBucket(perSecond, options.Burst, options.Time);
    }

    /// <summary>
    /// A token bucket as the time at which it will be full again: taking tokens moves that on, and who takes more than there are waits until
    /// they are there. Those who wait have their places in the order in which they came.
    /// </summary>
    private sealed class TokenBucket(long perSecond, TimeSpan burst, TimeProvider time)
    {
        private readonly Lock _lock = new();
        private readonly long _start = time.GetTimestamp();
        private double _full;

        /// <summary>Takes tokens.</summary>
        /// <returns>How long to wait for them.</returns>
        public TimeSpan Take(long tokens)
        {
            lock (_lock)
            {
                double now = time.GetElapsedTime(_start).TotalSeconds;
                _full = Math.Max(_full, now);

                // What was taken before has to fit into the burst; this request's own tokens may be owed.
                double wait = Math.Max(_full + Math.Min(tokens / (double)perSecond, burst.TotalSeconds) - burst.TotalSeconds - now, 0);
                _full += tokens / (double)perSecond;
                return TimeSpan.FromSeconds(wait);
            }
        }
    }
}
