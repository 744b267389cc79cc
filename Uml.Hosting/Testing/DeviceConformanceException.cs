namespace Uml.Hosting.Testing;

/// <summary>A device breaks the contract of <see cref="Uml.Core.Machine.IMachineDevice"/>; the message says which device, and how.</summary>
public sealed class DeviceConformanceException : Exception
{
    /// <summary>Creates the exception with a general message.</summary>
    public DeviceConformanceException()
        : base("A device breaks its contract.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which device does what.</param>
    public DeviceConformanceException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">Which device does what.</param>
    /// <param name="innerException">The error below this one.</param>
    public DeviceConformanceException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
