namespace Uml.Devices.Consoles;

/// <summary>
/// Expected output did not appear on a console. The message shows the console's last lines and whether the guest panicked.
/// </summary>
public sealed class ConsoleExpectException : Exception
{
    /// <summary>Creates the exception with a general message.</summary>
    public ConsoleExpectException()
        : base("What was expected on the console did not come.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What was expected, and the output instead of it.</param>
    public ConsoleExpectException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What was expected, and the output instead of it.</param>
    /// <param name="innerException">The error below this one.</param>
    public ConsoleExpectException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
