namespace Uml.Net.Frames;

/// <summary>A transport cannot be made or has failed; the message says what to do.</summary>
public sealed class NetTransportException : IOException
{
    /// <summary>Creates the exception with a general message.</summary>
    public NetTransportException()
        : base("A network transport does not work.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong, and the way out.</param>
    public NetTransportException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What is wrong, and the way out.</param>
    /// <param name="innerException">The error below this one.</param>
    public NetTransportException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
