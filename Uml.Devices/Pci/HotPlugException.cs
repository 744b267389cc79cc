using Uml.Core;

namespace Uml.Devices.Pci;

/// <summary>A device cannot be plugged in or unplugged; the message says why, and what to do.</summary>
public sealed class HotPlugException : MachineConfigurationException
{
    /// <summary>Creates the exception with a general message.</summary>
    public HotPlugException()
        : base("A device could not be plugged in or unplugged.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which device, why not, and what to do.</param>
    public HotPlugException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">Which device, why not, and what to do.</param>
    /// <param name="innerException">The error below this one.</param>
    public HotPlugException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which device, why not, and what to do.</param>
    /// <param name="error">Why not.</param>
    public HotPlugException(string message, HotPlugError error)
        : base(message) => Error = error;

    /// <summary>Why not.</summary>
    public HotPlugError Error { get; }
}

/// <summary>Why a device cannot be plugged in or unplugged.</summary>
public enum HotPlugError
{
    /// <summary>The guest has not done what it was asked for.</summary>
    NoAnswer,

    /// <summary>The device is no PCI function, which alone can be hot-plugged, or the machine has no PCI bus.</summary>
    NotPluggable,

    /// <summary>No slot of the bus is free.</summary>
    BusFull,

    /// <summary>The machine has ended.</summary>
    MachineEnded,
}
