using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>How long requests take.</summary>
public sealed record BlockLatencyOptions
{
    /// <summary>What every request takes more.</summary>
    public TimeSpan Latency { get; init; }

    /// <summary>What it takes on top of that at most: evenly from 0 to this, by <see cref="Seed"/>.</summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>What kinds of requests are delayed.</summary>
    public BlockRequestKind Kinds { get; init; } = BlockRequestKind.All;

    /// <summary>What the jitter follows from.</summary>
    public int Seed { get; init; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>A device whose requests take longer. They wait before they are passed on; so they may overtake each other, as on any device.</summary>
public sealed class DelayedBlockDevice : BlockDeviceDecorator
{
    private readonly BlockLatencyOptions _options;
    private readonly DelayPool _delays;
    private readonly Random _random;

    /// <summary>Makes a device that takes longer.</summary>
    /// <param name="inner">The device inside.</param>
    /// <param name="options">How long.</param>
    /// <exception cref="ArgumentOutOfRangeException">A time is negative.</exception>
    public DelayedBlockDevice(IBlockDevice inner, BlockLatencyOptions options)
        : base(inner)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Latency, TimeSpan.Zero, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Jitter, TimeSpan.Zero, nameof(options));
        _options = options;
        _delays = new DelayPool(options.Time);
        _random = new Random(options.Seed);
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
        if ((request.Kind & _options.Kinds) != 0)
        {
            await _delays.WaitAsync(_options.Latency + GetJitter()).ConfigureAwait(false);
        }

        await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
    }

    private TimeSpan GetJitter()
    {
        if (_options.Jitter == TimeSpan.Zero)
        {
            return TimeSpan.Zero;
        }

        lock (_random)
        {
            return _options.Jitter * _random.NextDouble();
        }
    }
}
