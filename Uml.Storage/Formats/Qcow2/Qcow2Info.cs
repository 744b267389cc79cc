namespace Uml.Storage.Formats.Qcow2;

/// <summary>What a qcow2 image says of itself.</summary>
public sealed record Qcow2Info
{
    /// <summary>Bytes of the disk.</summary>
    public required long Length { get; init; }

    /// <summary>2, or 3 (since QEMU 1.1).</summary>
    public required int Version { get; init; }

    /// <summary>Bytes that are allocated at once: 512 to 2 MiB.</summary>
    public required int ClusterSize { get; init; }

    /// <summary>Bits of a reference count: 1 to 64.</summary>
    public required int RefcountBits { get; init; }

    /// <summary>How clusters are compressed that are.</summary>
    public required Qcow2Compression Compression { get; init; }

    /// <summary>The image below, as the file names it, or null.</summary>
    public required string? BackingPath { get; init; }

    /// <summary>Its format, as the file names it (raw, qcow2, or another), or null.</summary>
    public required string? BackingFormat { get; init; }

    /// <summary>Whether reference counts may be out of date: whoever wrote the image did not close it. Opening it to be written puts them right.</summary>
    public required bool IsDirty { get; init; }

    /// <summary>Whether somebody found the image damaged and marked it: it has to be repaired before it can be written.</summary>
    public required bool IsCorrupt { get; init; }

    /// <summary>Whether a writer may leave reference counts for later (which this one never does).</summary>
    public required bool HasLazyRefcounts { get; init; }

    /// <summary>Internal snapshots, oldest first.</summary>
    public required IReadOnlyList<Qcow2SnapshotInfo> Snapshots { get; init; }
}
