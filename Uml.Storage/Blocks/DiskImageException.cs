namespace Uml.Storage.Blocks;

/// <summary>
/// An image that cannot be opened or made as asked: missing, in use, damaged, changed, or of another format. The message names the file and
/// the values, and says what to do.
/// </summary>
public sealed class DiskImageException : IOException
{
    /// <summary>Creates the exception with a general message.</summary>
    public DiskImageException()
        : base("A disk image cannot be used.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    public DiskImageException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    /// <param name="innerException">The error below this one.</param>
    public DiskImageException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
