namespace Uml.Storage.Images;

/// <summary>A package, module or archive whose contents are damaged or cannot be used; the message says what to do.</summary>
public sealed class ImageContentException : Exception
{
    /// <summary>Creates the exception with a general message.</summary>
    public ImageContentException()
        : base("The contents of an image cannot be used.")
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    public ImageContentException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with the error that led to it.</summary>
    /// <param name="message">What is wrong and what to do about it.</param>
    /// <param name="innerException">The error below this one.</param>
    public ImageContentException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
