namespace Uml.Storage.Tools;

/// <summary>How images are converted and merged.</summary>
public sealed record DiskCopyOptions
{
    /// <summary>Whether the images are locked meanwhile.</summary>
    public bool Locks { get; init; } = true;

    /// <summary>
    /// Whether an image that is made may take the place of a file of its name. That is kept until the new one is complete, and locked: one that is in
    /// use is not replaced, nor is what the new image is made of.
    /// </summary>
    public bool Overwrites { get; init; }

    /// <summary>Where the image below the source is, if not where the source says.</summary>
    public string? BackingPath { get; init; }

    /// <summary>The format of the image below a qcow2 image, if the source does not say.</summary>
    public DiskImageFormat? BackingFormat { get; init; }

    /// <summary>
    /// Whether the image below a copy-on-write file of User Mode Linux may have been changed at another time than the file says: after a merge
    /// into it that the host's end cut off, or a copy that lost its date.
    /// </summary>
    public bool AcceptsChangedTime { get; init; }

    /// <summary>Requests at once, 1 to 64.</summary>
    public int ParallelRequests { get; init; } = 4;

    /// <summary>Whether zeroes that are stored as data become holes.</summary>
    public bool FindsZeroes { get; init; } = true;

    /// <summary>The same without those of files.</summary>
    internal BlockCopyOptions ForBlocks => new() { ParallelRequests = ParallelRequests, FindsZeroes = FindsZeroes };
}

/// <summary>How much is done.</summary>
/// <param name="Done">Bytes of the disk that are dealt with, those that needed no copying among them.</param>
/// <param name="Total">Bytes of the disk.</param>
public readonly record struct DiskCopyProgress(long Done, long Total);
