namespace Uml.Storage.Tools;

/// <summary>What an image is.</summary>
public sealed record DiskImageInfo
{
    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>Its format, as it was stated.</summary>
    public required DiskImageFormat Format { get; init; }

    /// <summary>Bytes of the disk, as a guest has them.</summary>
    public required long VirtualSize { get; init; }

    /// <summary>Bytes of the file, holes included.</summary>
    public required long FileLength { get; init; }

    /// <summary>Bytes that the file takes on the host.</summary>
    public required long SizeOnDisk { get; init; }

    /// <summary>The version of the format; null when it has none.</summary>
    public int? Version { get; init; }

    /// <summary>Bytes that are copied or had as a whole: a sector, or a cluster; null of a raw image.</summary>
    public int? ClusterSize { get; init; }

    /// <summary>Bytes of the disk that the file has itself; null when it does not say.</summary>
    public long? OwnBytes { get; init; }

    /// <summary>Whether the file was not closed properly and has to be checked.</summary>
    public bool IsDirty { get; init; }

    /// <summary>The image below, as the file names it; null when there is none.</summary>
    public string? BackingPath { get; init; }

    /// <summary>The image below; null when there is none, or it cannot be looked at.</summary>
    public DiskImageInfo? Backing { get; init; }

    /// <summary>Names of the snapshots in the file.</summary>
    public IReadOnlyList<string> Snapshots { get; init; } = [];

    /// <summary>What else is to be said, as sentences: an image below that does not fit, a format that the file seems to have.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>What a check found.</summary>
/// <param name="Problems">What is wrong; nothing if the list is empty.</param>
public sealed record DiskImageCheckResult(IReadOnlyList<DiskImageProblem> Problems)
{
    /// <summary>Whether nothing is wrong, or not any more.</summary>
    public bool IsSound => Problems.All(problem => problem.IsRepaired);
}

/// <summary>Something that is wrong with an image.</summary>
/// <param name="Message">What it is, with numbers, and what to do about it.</param>
/// <param name="CanRepair">Whether a check that repairs repairs it.</param>
/// <param name="IsRepaired">Whether it was repaired.</param>
public sealed record DiskImageProblem(string Message, bool CanRepair, bool IsRepaired);
