namespace Uml.Core.Machine;

/// <summary>
/// A service of the program that hosts the machine, such as a console channel, threw or broke its contract. It ends the machine with
/// <see cref="MachineExitReason.ServiceFailure"/>: the message becomes the exit's, and what was thrown its exception.
/// </summary>
public sealed class HostServiceException : Exception
{
    /// <summary>Creates the exception with a general message.</summary>
    public HostServiceException()
        : base("A service of the program failed.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which service did what, and what it has to do instead.</param>
    public HostServiceException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with what the service threw.</summary>
    /// <param name="message">Which service did what.</param>
    /// <param name="innerException">What it threw.</param>
    public HostServiceException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
