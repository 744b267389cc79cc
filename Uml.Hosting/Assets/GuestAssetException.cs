using Uml.Core;

namespace Uml.Hosting.Assets;

/// <summary>A kernel or tool for the guest that cannot be fetched; the message says why and what to do.</summary>
public sealed class GuestAssetException : MachineConfigurationException
{
    /// <summary>Creates the exception with a general message.</summary>
    public GuestAssetException()
        : base("A guest asset cannot be fetched.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    public GuestAssetException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    /// <param name="innerException">The error below this one.</param>
    public GuestAssetException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
