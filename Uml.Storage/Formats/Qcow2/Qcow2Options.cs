namespace Uml.Storage.Formats.Qcow2;

/// <summary>How a qcow2 image is opened.</summary>
public sealed record Qcow2Options
{
    /// <summary>Whether it is opened to be read only.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Whether the file is locked against a second writer, and the images below it against any.</summary>
    public bool Locks { get; init; } = true;

    /// <summary>Whether a discard gives room back, to the image and to the host.</summary>
    public bool Discards { get; init; } = true;

    /// <summary>The image below, if it is not where the file says. Relative to the current directory.</summary>
    public string? BackingPath { get; init; }

    /// <summary>
    /// The format of the image below, if the file does not say; it is never guessed, since a guest could write the header of another format into
    /// a raw disk. It must not differ from what the file says.
    /// </summary>
    public Qcow2BackingFormat? BackingFormat { get; init; }

    /// <summary>The name or id of an internal snapshot to open instead of what the disk has now, to be read only.</summary>
    public string? Snapshot { get; init; }

    /// <summary>
    /// Bytes of memory for L2 tables, 4 tables at least. 8 MiB are enough for 64 GiB of disk at clusters of 64 KiB; a disk that is used evenly and is
    /// larger reads tables again and again.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public long CacheBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            field = value;
        }
    } = 8 << 20;
}

/// <summary>The format of an image below a qcow2 image.</summary>
public enum Qcow2BackingFormat
{
    /// <summary>The bytes of the disk.</summary>
    Raw,

    /// <summary>Another qcow2 image.</summary>
    Qcow2,
}

/// <summary>How compressed clusters of a qcow2 image are compressed.</summary>
public enum Qcow2Compression
{
    /// <summary>Deflate (RFC 1951), without a header.</summary>
    Deflate,

    /// <summary>Zstandard (RFC 8878).</summary>
    Zstd,
}
