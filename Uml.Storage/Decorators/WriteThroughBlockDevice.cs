using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>A device whose every change is durable when it has ended: each is followed by a flush.</summary>
/// <param name="inner">The device inside.</param>
public sealed class WriteThroughBlockDevice(IBlockDevice inner) : BlockDeviceDecorator(inner)
{
    private readonly bool _canFlush = inner.GetCapability<IFlushable>() is not null;

    /// <inheritdoc/>
    /// <remarks>A flush may wait, so a write that one follows may as well.</remarks>
    public override bool WriteNeverWaits(long offset, int length) => !_canFlush && base.WriteNeverWaits(offset, length);

    /// <inheritdoc/>
    protected override ValueTask SendAsync(BlockRequest request, CancellationToken cancellationToken) =>
        request.IsChange && _canFlush ? ChangeAsync(request, cancellationToken) : base.SendAsync(request, cancellationToken);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ChangeAsync(BlockRequest request, CancellationToken cancellationToken)
    {
        await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        await base.SendAsync(new BlockRequest(BlockRequestKind.Flush), CancellationToken.None).ConfigureAwait(false);
    }
}
