using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>A request that has ended.</summary>
/// <param name="Kind">What it did.</param>
/// <param name="Offset">The first byte; 0 for a flush and a new size.</param>
/// <param name="Length">Bytes; 0 for a flush; of a new size, that.</param>
/// <param name="Start">When it was made.</param>
/// <param name="Duration">How long it took.</param>
/// <param name="Error">What it failed with; null when it succeeded.</param>
public readonly record struct BlockTraceEntry(
    BlockRequestKind Kind, long Offset, long Length, DateTimeOffset Start, TimeSpan Duration, Exception? Error);

/// <summary>Takes what a <see cref="TracedBlockDevice"/> sees.</summary>
public interface IBlockTraceSink
{
    /// <summary>Whether requests are wanted now. While not, they are passed on as if there were no trace.</summary>
    bool IsEnabled { get; }

    /// <summary>Takes a request. Called from any thread, several at once; what it throws becomes the request's error.</summary>
    /// <param name="entry">The request.</param>
    void Write(in BlockTraceEntry entry);
}

/// <summary>A device that shows each request, once it has ended, to a sink.</summary>
public sealed class TracedBlockDevice : BlockDeviceDecorator
{
    private readonly IBlockTraceSink _sink;
    private readonly TimeProvider _time;

    /// <summary>Makes a device with a trace.</summary>
    /// <param name="inner">The device inside.</param>
    /// <param name="sink">Who is shown the requests; it stays the caller's.</param>
    /// <param name="time">The clock; the host's when it is null.</param>
    public TracedBlockDevice(IBlockDevice inner, IBlockTraceSink sink, TimeProvider? time = null)
        : base(inner)
    {
        ArgumentNullException.ThrowIfNull(sink);
        (_sink, _time) = (sink, time ?? TimeProvider.System);
    }

    /// <inheritdoc/>
    /// <remarks>A sink that is enabled may wait, for a file perhaps.</remarks>
    public override bool ReadNeverWaits(long offset, int length) => !_sink.IsEnabled && base.ReadNeverWaits(offset, length);

    /// <inheritdoc/>
    /// <remarks>As for reads.</remarks>
    public override bool WriteNeverWaits(long offset, int length) => !_sink.IsEnabled && base.WriteNeverWaits(offset, length);

    /// <inheritdoc/>
    protected override ValueTask SendAsync(BlockRequest request, CancellationToken cancellationToken) =>
        _sink.IsEnabled ? TraceAsync(request, cancellationToken) : base.SendAsync(request, cancellationToken);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask TraceAsync(BlockRequest request, CancellationToken cancellationToken)
    {
        DateTimeOffset start = _time.GetUtcNow();
        long timestamp = _time.GetTimestamp();
        Exception? error = null;
        try
        {
            await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            error = e;
            throw;
        }
        finally
        {
            _sink.Write(new BlockTraceEntry(request.Kind, request.Offset, request.Length, start, _time.GetElapsedTime(timestamp), error));
        }
    }
}
