using Uml.Storage.Blocks;

namespace Uml.Storage.Files;

/// <summary>
/// What a format needs of the file that an image is in. <see cref="HostFile"/> is one of the host; tests have one that loses what was not
/// flushed, and one that fails.
/// </summary>
internal interface IImageFile : IDisposable
{
    /// <summary>Where it is, for messages.</summary>
    string Path { get; }

    bool IsReadOnly { get; }

    /// <summary>Whether a write returns without waiting for the storage; reads always do.</summary>
    bool WritesNeverWait { get; }

    /// <summary>Bytes that the file has now.</summary>
    /// <exception cref="BlockIOException">The host does not say.</exception>
    long GetLength();

    /// <exception cref="BlockIOException">The host does not do it.</exception>
    void SetLength(long length);

    /// <summary>Reads; what lies behind the end of the file is an error.</summary>
    ValueTask ReadAsync(long offset, BlockBuffers buffers);

    /// <summary>Writes. A file that ends before grows.</summary>
    ValueTask WriteAsync(long offset, BlockBuffers buffers);

    /// <summary>Makes durable what was written by requests that have ended. Once it has failed it fails forever.</summary>
    ValueTask FlushAsync();

    /// <summary>Zeroes a range, and gives its room back if <paramref name="mayDiscard"/>.</summary>
    ValueTask ZeroAsync(long offset, long length, bool mayDiscard);

    /// <summary>Does a request to its end, on the calling thread, and waits for the storage if need be.</summary>
    /// <exception cref="BlockIOException">The host does not do it.</exception>
    void Run(HostFileOperation operation, long offset, BlockBuffers buffers, long length);
}
