namespace Uml.Net.Specs;

/// <summary>A network is spelled wrongly; the message names the option, and what it may be.</summary>
public sealed class NetSpecException : FormatException
{
    /// <summary>Creates the exception with a general message.</summary>
    public NetSpecException()
        : base("A network is spelled wrongly.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong, and what is allowed.</param>
    public NetSpecException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What is wrong, and what is allowed.</param>
    /// <param name="innerException">The error below this one.</param>
    public NetSpecException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Creates the exception for one option.</summary>
    /// <param name="option">The option.</param>
    /// <param name="message">What is wrong, and what is allowed.</param>
    internal NetSpecException(string option, string message)
        : base(message)
    {
        Option = option;
    }

    /// <summary>The option that is meant; null for the text as a whole.</summary>
    public string? Option { get; }
}
