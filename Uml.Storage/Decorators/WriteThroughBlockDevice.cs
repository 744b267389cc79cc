using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>A device whose every change is durable when it has ended: each is followed by a flush.</summary>
/// <param name="inner">The device inside.</param>
public sealed class WriteThroughBlockDevice(IBlockDevice inner) : BlockDeviceDecorator(inner)
{
    private readonly IFlushable? _flushable = inner.GetCapability<IFlushable>();

    /// <inheritdoc/>
    /// <remarks>A flush may wait, so a write that one follows may as well.</remarks>
    public override bool WriteNeverWaits(long offset, int length) => _flushable is null && base.WriteNeverWaits(offset, length);

    /// <inheritdoc/>
    protected override ValueTask SendAsync(BlockRequest request, CancellationToken cancellationToken) =>
        request.IsChange && _flushable is not null
            ? WriteThrough.FlushBehindAsync(base.SendAsync(request, cancellationToken), _flushable)
            : base.SendAsync(request, cancellationToken);
}
