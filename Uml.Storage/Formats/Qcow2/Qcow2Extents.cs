using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Where an image has data, by its tables.</summary>
internal sealed class Qcow2Extents(Qcow2Mapping mapping, IBlockDevice? backing)
{
    /// <summary>What is looked at by one call: a limit of ours, of the time that it takes.</summary>
    private const int LargestLook = 1 << 30;

    private readonly IExtentMap? _below = backing?.GetCapability<IExtentMap>();

    /// <summary>As <see cref="IExtentMap.FindExtentAsync"/>, of a range that was checked.</summary>
    public ValueTask<BlockExtent> FindAsync(long offset, long length, CancellationToken cancellationToken)
    {
        Qcow2Run run = mapping.Find(offset, (int)Math.Min(length, LargestLook));
        return run.Kind != Qcow2ClusterKind.Unallocated ? ValueTask.FromResult(new BlockExtent(run.Length, IsZero: run.Kind == Qcow2ClusterKind.Zero))
            : backing is null ? ValueTask.FromResult(new BlockExtent(run.Length, IsZero: true))
            : FindBelowAsync(offset, run.Length, cancellationToken);
    }

    private async ValueTask<BlockExtent> FindBelowAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (offset >= backing!.Length)
        {
            return new BlockExtent(length, IsZero: true, IsBelow: true);
        }

        length = Math.Min(length, backing.Length - offset);
        BlockExtent found = _below is null ? new BlockExtent(length) : await _below.FindExtentAsync(offset, length, cancellationToken).ConfigureAwait(false);
        return found with { IsBelow = true };
    }
}
