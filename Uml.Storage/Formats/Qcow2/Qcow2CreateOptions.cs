using System.Numerics;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>How a qcow2 image is made.</summary>
public sealed record Qcow2CreateOptions
{
    /// <summary>Bytes that are allocated at once: a power of two from 512 to 2 MiB.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none.</exception>
    public int ClusterSize
    {
        get;
        init => field = value is >= 512 and <= 2 << 20 && BitOperations.IsPow2(value) ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "The size of a cluster has to be a power of two from 512 to 2 MiB.");
    } = 64 << 10;

    /// <summary>3, or 2 for programs from before 2012.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is neither.</exception>
    public int Version
    {
        get;
        init => field = value is 2 or 3 ? value : throw new ArgumentOutOfRangeException(nameof(value), value, "The version has to be 2 or 3.");
    } = 3;

    /// <summary>Bits of a reference count: a power of two from 1 to 64; 16 in version 2. One bit is enough without snapshots.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none.</exception>
    public int RefcountBits
    {
        get;
        init => field = value is >= 1 and <= 64 && BitOperations.IsPow2(value) ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "The bits of a reference count have to be a power of two from 1 to 64.");
    } = 16;

    /// <summary>The image below, as the file is to name it: relative to where the file is, or absolute. Null for none.</summary>
    public string? BackingPath { get; init; }

    /// <summary>The format of the image below.</summary>
    public Qcow2BackingFormat BackingFormat { get; init; } = Qcow2BackingFormat.Raw;

    /// <summary>What is allocated at once.</summary>
    public Qcow2Preallocation Preallocation { get; init; }

    /// <summary>Whether writers may leave reference counts for later (version 3): others do, and this one, which need not, never does.</summary>
    public bool HasLazyRefcounts { get; init; }
}

/// <summary>What of a new qcow2 image is allocated at once.</summary>
public enum Qcow2Preallocation
{
    /// <summary>Nothing.</summary>
    Off,

    /// <summary>Every cluster has its place, and all tables are there; the file is sparse.</summary>
    Metadata,
}
