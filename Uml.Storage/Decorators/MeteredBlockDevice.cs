using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>
/// A device that counts its requests: in properties, and in instruments of the meter <c>Uml.Storage</c>, <c>uml.disk.operations</c>,
/// <c>uml.disk.io</c>, <c>uml.disk.errors</c> and <c>uml.disk.operation.duration</c>, with the tags <c>uml.disk.name</c> and
/// <c>uml.disk.operation</c>.
/// </summary>
public sealed class MeteredBlockDevice : BlockDeviceDecorator
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Uml.Storage";

    private readonly TimeProvider _time;
    private readonly Meter? _owned;

    /// <summary>Makes a device that counts.</summary>
    /// <param name="inner">The device inside.</param>
    /// <param name="name">What its measurements are tagged with.</param>
    /// <param name="factory">Who makes the meter; one of the device's own when it is null.</param>
    /// <param name="time">The clock; the host's when it is null.</param>
    public MeteredBlockDevice(IBlockDevice inner, string name, IMeterFactory? factory = null, TimeProvider? time = null)
        : base(inner)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        _time = time ?? TimeProvider.System;
        Meter meter = factory?.Create(MeterName) ?? (_owned = new Meter(MeterName));
        BlockInstruments instruments = new(meter, new("uml.disk.name", name));
        Reads = new BlockCounters(instruments, "read");
        Writes = new BlockCounters(instruments, "write");
        Flushes = new BlockCounters(instruments, "flush");
        Discards = new BlockCounters(instruments, "discard");
        Zeroes = new BlockCounters(instruments, "write_zeroes");
        Resizes = new BlockCounters(instruments, "resize");
    }

    /// <summary>Of reads.</summary>
    public BlockCounters Reads { get; }

    /// <summary>Of writes.</summary>
    public BlockCounters Writes { get; }

    /// <summary>Of flushes.</summary>
    public BlockCounters Flushes { get; }

    /// <summary>Of discards.</summary>
    public BlockCounters Discards { get; }

    /// <summary>Of zeroes without data.</summary>
    public BlockCounters Zeroes { get; }

    /// <summary>Of new sizes, which have no bytes.</summary>
    public BlockCounters Resizes { get; }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        _owned?.Dispose();
        return base.DisposeAsync();
    }

    /// <inheritdoc/>
    protected override ValueTask SendAsync(BlockRequest request, CancellationToken cancellationToken)
    {
        long start = _time.GetTimestamp();
        ValueTask task;
        try
        {
            task = base.SendAsync(request, cancellationToken);
        }
        catch
        {
            // Refused before it began: a range that is not within the device, say.
            Count(in request, isError: true, start);
            throw;
        }

        if (!task.IsCompletedSuccessfully)
        {
            return WaitAsync(task, request, start);
        }

        Count(in request, isError: false, start);
        return task;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitAsync(ValueTask task, BlockRequest request, long start)
    {
        bool isError = true;
        try
        {
            await task.ConfigureAwait(false);
            isError = false;
        }
        finally
        {
            Count(in request, isError, start);
        }
    }

    private void Count(in BlockRequest request, bool isError, long start) =>
        Find(request.Kind).Count(request.Kind == BlockRequestKind.Resize ? 0 : request.Length, isError, _time.GetElapsedTime(start));

    private BlockCounters Find(BlockRequestKind kind) => kind switch
    {
        BlockRequestKind.Read => Reads,
        BlockRequestKind.Write => Writes,
        BlockRequestKind.Flush => Flushes,
        BlockRequestKind.Discard => Discards,
        BlockRequestKind.Resize => Resizes,
        _ => Zeroes,
    };
}

/// <summary>What was counted of one kind of requests. May be read from any thread; each number by itself is as of some moment.</summary>
public sealed class BlockCounters
{
    private readonly BlockInstruments _instruments;
    private readonly KeyValuePair<string, object?> _operation;
    private long _requests, _bytes, _errors, _ticks;

    internal BlockCounters(BlockInstruments instruments, string operation) =>
        (_instruments, _operation) = (instruments, new KeyValuePair<string, object?>("uml.disk.operation", operation));

    /// <summary>Requests that have ended, whatever has become of them.</summary>
    public long Requests => Interlocked.Read(ref _requests);

    /// <summary>Bytes of requests that have succeeded.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Requests that have failed.</summary>
    public long Errors => Interlocked.Read(ref _errors);

    /// <summary>What requests took together; more than the time that has passed where several were under way at once.</summary>
    public TimeSpan Time => TimeSpan.FromTicks(Interlocked.Read(ref _ticks));

    internal void Count(long bytes, bool isError, TimeSpan time)
    {
        Interlocked.Increment(ref _requests);
        Interlocked.Add(ref _ticks, time.Ticks);
        if (isError)
        {
            Interlocked.Increment(ref _errors);
        }
        else
        {
            Interlocked.Add(ref _bytes, bytes);
        }

        _instruments.Record(bytes, isError, time, _operation);
    }
}

/// <summary>The instruments of a device.</summary>
internal sealed class BlockInstruments(Meter meter, KeyValuePair<string, object?> name)
{
    private readonly Counter<long> _operations = meter.CreateCounter<long>("uml.disk.operations", "{operation}", "Requests that have ended.");
    private readonly Counter<long> _bytes = meter.CreateCounter<long>("uml.disk.io", "By", "Bytes of requests that have succeeded.");
    private readonly Counter<long> _errors = meter.CreateCounter<long>("uml.disk.errors", "{error}", "Requests that have failed.");
    private readonly Histogram<double> _duration = meter.CreateHistogram<double>("uml.disk.operation.duration", "s", "What a request took.");

    public void Record(long bytes, bool isError, TimeSpan time, KeyValuePair<string, object?> operation)
    {
        _operations.Add(1, name, operation);
        _duration.Record(time.TotalSeconds, name, operation);
        if (isError)
        {
            _errors.Add(1, name, operation);
        }
        else if (bytes != 0)
        {
            _bytes.Add(bytes, name, operation);
        }
    }
}
