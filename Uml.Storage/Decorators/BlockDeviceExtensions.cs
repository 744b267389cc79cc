using System.Diagnostics.Metrics;
using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>Devices around devices, one behind another: <c>device.WithFaults(...).WithLatency(...)</c>. The outermost closes all.</summary>
public static class BlockDeviceExtensions
{
    /// <summary>Has some requests fail.</summary>
    /// <param name="device">The device.</param>
    /// <param name="faults">Which.</param>
    public static FaultyBlockDevice WithFaults(this IBlockDevice device, params BlockFault[] faults) => new(device, faults);

    /// <summary>Has some requests fail, by a seed.</summary>
    /// <param name="device">The device.</param>
    /// <param name="seed">What probabilities and random lengths follow from.</param>
    /// <param name="faults">Which.</param>
    public static FaultyBlockDevice WithFaults(this IBlockDevice device, int seed, params BlockFault[] faults) => new(device, faults, seed);

    /// <summary>Has the device lose what is not flushed when the power is cut.</summary>
    /// <param name="device">The device.</param>
    /// <param name="seed">What is kept follows from it.</param>
    public static VolatileCacheBlockDevice WithVolatileCache(this IBlockDevice device, int seed = 0) => new(device, seed);

    /// <summary>Has every change be durable when it has ended.</summary>
    /// <param name="device">The device.</param>
    public static WriteThroughBlockDevice WithWriteThrough(this IBlockDevice device) => new(device);

    /// <summary>Has requests take longer.</summary>
    /// <param name="device">The device.</param>
    /// <param name="latency">How much.</param>
    /// <param name="jitter">What may be added to it, at random.</param>
    /// <param name="time">The clock; the host's when it is null.</param>
    /// <exception cref="ArgumentOutOfRangeException">A time is negative.</exception>
    public static DelayedBlockDevice WithLatency(this IBlockDevice device, TimeSpan latency, TimeSpan jitter = default, TimeProvider? time = null) =>
        new(device, new BlockLatencyOptions { Latency = latency, Jitter = jitter, Time = time ?? TimeProvider.System });

    /// <summary>Limits what is done in a second.</summary>
    /// <param name="device">The device.</param>
    /// <param name="options">The limits.</param>
    /// <exception cref="ArgumentOutOfRangeException">A rate is not at least 1, or the burst negative.</exception>
    public static RateLimitedBlockDevice WithRateLimit(this IBlockDevice device, BlockRateOptions options) => new(device, options);

    /// <summary>Counts requests.</summary>
    /// <param name="device">The device.</param>
    /// <param name="name">What its measurements are tagged with.</param>
    /// <param name="factory">Who makes the meter; one of the device's own when it is null.</param>
    public static MeteredBlockDevice WithCounters(this IBlockDevice device, string name, IMeterFactory? factory = null) => new(device, name, factory);

    /// <summary>Shows each request to a sink.</summary>
    /// <param name="device">The device.</param>
    /// <param name="sink">Who is shown them.</param>
    public static TracedBlockDevice WithTrace(this IBlockDevice device, IBlockTraceSink sink) => new(device, sink);
}
