using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>What archives may have that are read one after another: one, or all layers of an image together.</summary>
/// <param name="maximumBytes">Without compression.</param>
/// <param name="maximumEntries">Directories that archives only imply count too, and extended attributes by their size.</param>
internal sealed class ArchiveLimits(long maximumBytes, int maximumEntries)
{
    private long _bytes, _entries;

    public ArchiveLimits(TarSourceOptions options)
        : this(options.MaximumBytes, options.MaximumEntries)
    {
    }

    /// <summary>What the next archive may unpack to.</summary>
    public long BytesLeft => maximumBytes - _bytes;

    /// <summary>An archive was unpacked.</summary>
    /// <param name="bytes">At most <see cref="BytesLeft"/>.</param>
    public void CountBytes(long bytes) => _bytes += bytes;

    /// <summary>Entries of an archive are taken.</summary>
    /// <exception cref="ImageContentException">There are more than there may be.</exception>
    public void CountEntries(string archive, long count)
    {
        _entries += count;
        if (_entries > maximumEntries)
        {
            throw new ImageContentException(
                $"With '{archive}' there are more than {maximumEntries} entries, directories that are only implied and extended attributes counted: the limit against hostile "
                + $"archives. Raise {nameof(TarSourceOptions.MaximumEntries)} if there are really so many.");
        }
    }

    /// <summary>The error of an archive that unpacks to more than is left.</summary>
    public ImageContentException TooLarge(string archive) => new(
        $"'{archive}' unpacks to more than {BytesLeft} bytes, what is left of the limit of {maximumBytes} against hostile archives. "
        + $"Raise {nameof(TarSourceOptions.MaximumBytes)} if it is really that large.");
}
