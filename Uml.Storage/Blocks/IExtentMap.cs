namespace Uml.Storage.Blocks;

/// <summary>A block device that knows where it has data, so that what it has not need not be read.</summary>
public interface IExtentMap
{
    /// <summary>Says what a range begins with.</summary>
    /// <param name="offset">The first byte, within the device and aligned as for a read.</param>
    /// <param name="length">Bytes to look at, more than 0, aligned likewise and within the device.</param>
    /// <param name="cancellationToken">Looked at before the request begins.</param>
    /// <returns>An extent of at most <paramref name="length"/> bytes. What follows it may be alike.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range is not aligned, or not within the device.</exception>
    /// <exception cref="IOException">It could not be found out.</exception>
    ValueTask<BlockExtent> FindExtentAsync(long offset, long length, CancellationToken cancellationToken = default);
}

/// <summary>A range of a device that is alike.</summary>
/// <param name="Length">Bytes, a multiple of the device's block size.</param>
/// <param name="IsZero">Whether it is known to read as zeroes. It may do so as well when this is false.</param>
/// <param name="IsBelow">Whether it comes from an image below the device's own file.</param>
public readonly record struct BlockExtent(long Length, bool IsZero = false, bool IsBelow = false);
