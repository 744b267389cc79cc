namespace Uml.Core.Snapshots;

/// <summary>A saved state cannot be restored: it is truncated, damaged, or of a version that is not known. The message tells where and which.</summary>
public sealed class StateFormatException : Exception
{
    /// <summary>Creates the exception with a general message.</summary>
    public StateFormatException()
        : base("The saved state is not valid.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong, where, with the numbers.</param>
    public StateFormatException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What is wrong, where, with the numbers.</param>
    /// <param name="innerException">The error below this one.</param>
    public StateFormatException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
