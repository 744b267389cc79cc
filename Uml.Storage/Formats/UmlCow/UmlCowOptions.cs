namespace Uml.Storage.Formats.UmlCow;

/// <summary>How a copy-on-write file of User Mode Linux is opened.</summary>
public sealed record UmlCowOptions
{
    /// <summary>Whether it is opened to be read only.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Whether every write is durable when it has ended, as with the flag <c>s</c> of User Mode Linux. Costs two flushes of the host for each.</summary>
    public bool IsSynchronous { get; init; }

    /// <summary>Whether the file is locked against a second writer, and the backing file against any. Off as with the flag <c>c</c>.</summary>
    public bool Locks { get; init; } = true;

    /// <summary>Whether a discard gives room back to the host. Off as with the flag <c>t</c>.</summary>
    public bool Discards { get; init; } = true;

    /// <summary>
    /// Where the backing file is, if not where the file says. It has to have the size and the time of change that the file says; the file
    /// names the new place from then on, if it is opened to be written and has version 3.
    /// </summary>
    public string? BackingPath { get; init; }

    /// <summary>
    /// Whether the backing file may have been changed at another time than the file says. For one that was copied without its date, and for a
    /// merge that was cut off; what was really changed in it may not fit what is in the file.
    /// </summary>
    public bool AcceptsChangedTime { get; init; }
}
