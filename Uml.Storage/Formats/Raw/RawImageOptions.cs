namespace Uml.Storage.Formats.Raw;

/// <summary>How a raw image is opened.</summary>
public sealed record RawImageOptions
{
    /// <summary>Whether it is opened to be read only.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Whether requests go past the host's page cache (O_DIRECT). The file system has to support it; requests are in blocks of 4096 bytes then.</summary>
    public bool IsDirect { get; init; }

    /// <summary>Whether every write is durable when it has ended (O_DSYNC), as with the flag <c>s</c> of User Mode Linux.</summary>
    public bool IsSynchronous { get; init; }

    /// <summary>
    /// Whether the file is locked against a second user: to write when it can be written, else to read. Off, as with the flag <c>c</c> of User
    /// Mode Linux, for file systems that know how to share a disk.
    /// </summary>
    public bool Locks { get; init; } = true;

    /// <summary>Whether a discard gives room back to the host. Off as with the flag <c>t</c> of User Mode Linux.</summary>
    public bool Discards { get; init; } = true;
}
