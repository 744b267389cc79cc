namespace Uml.Storage.Tools;

/// <summary>The format of a disk image. It is stated, never guessed: a guest could write the header of another format into a raw disk.</summary>
public enum DiskImageFormat
{
    /// <summary>The bytes of the disk at their places.</summary>
    Raw,

    /// <summary>A copy-on-write file of User Mode Linux, over a raw image.</summary>
    UmlCow,

    /// <summary>An image of QEMU, by itself or over a raw or another such image.</summary>
    Qcow2,
}

/// <summary>How an image is opened, whatever its format.</summary>
public sealed record DiskImageOptions
{
    /// <summary>Whether it is opened to be read only.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Whether every write is durable when it has ended.</summary>
    public bool IsSynchronous { get; init; }

    /// <summary>Whether the image is locked against a second writer, and one below it against any.</summary>
    public bool Locks { get; init; } = true;

    /// <summary>Whether a discard gives room back to the host.</summary>
    public bool Discards { get; init; } = true;

    /// <summary>Where the image below is, if not where the file says.</summary>
    public string? BackingPath { get; init; }

    /// <summary>The format of the image below a qcow2 image, if the file does not say.</summary>
    public DiskImageFormat? BackingFormat { get; init; }

    /// <summary>Whether the image below a copy-on-write file of User Mode Linux may have been changed at another time than the file says.</summary>
    public bool AcceptsChangedTime { get; init; }
}
