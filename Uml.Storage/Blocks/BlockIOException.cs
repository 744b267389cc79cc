namespace Uml.Storage.Blocks;

/// <summary>A request to a block device that has failed: what was asked for, where, and why.</summary>
public sealed class BlockIOException : IOException
{
    /// <summary>Creates the exception with a general message.</summary>
    public BlockIOException()
        : base("A block device could not carry out a request.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What failed.</param>
    public BlockIOException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What failed.</param>
    /// <param name="innerException">The error below this one.</param>
    public BlockIOException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What failed.</param>
    /// <param name="error">Why.</param>
    public BlockIOException(string message, BlockError error)
        : base(message) => Error = error;

    /// <summary>Why.</summary>
    public BlockError Error { get; } = BlockError.Io;
}

/// <summary>Why a request to a block device failed.</summary>
public enum BlockError
{
    /// <summary>The storage did not do it.</summary>
    Io,

    /// <summary>There is no room: the host's file system is full, or a quota or limit of file sizes is reached.</summary>
    NoSpace,

    /// <summary>The device may only be read.</summary>
    ReadOnly,

    /// <summary>The device is disposed, or its server is gone.</summary>
    Gone,
}
