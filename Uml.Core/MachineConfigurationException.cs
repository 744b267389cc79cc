namespace Uml.Core;

/// <summary>
/// The base of all errors that the user of a machine can correct: a wrong option, file or size. The message says what is wrong, with the
/// numbers, and what to do about it.
/// </summary>
public class MachineConfigurationException : Exception
{
    /// <summary>Creates the exception with a general message.</summary>
    public MachineConfigurationException()
        : base("The machine's configuration is not valid.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    public MachineConfigurationException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    /// <param name="innerException">The error below this one.</param>
    public MachineConfigurationException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
