namespace Uml.Core.Boot;

/// <summary>A kernel, initrd or command line that cannot be booted; the message says why and what to do.</summary>
public sealed class KernelImageException : MachineConfigurationException
{
    /// <summary>Creates the exception with a general message.</summary>
    public KernelImageException()
        : base("The kernel image cannot be booted.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    public KernelImageException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    /// <param name="innerException">The error below this one.</param>
    public KernelImageException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
