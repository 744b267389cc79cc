using Microsoft.Win32.SafeHandles;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>An archive without compression, that contents are read from where they are: the file itself, or a temporary one that it is unpacked to.</summary>
internal sealed class ArchiveFile : IDisposable
{
    private const int CopyBytes = 1 << 20;

    private readonly SafeFileHandle _handle;

    private ArchiveFile(SafeFileHandle handle, string name) => (_handle, Name, Length) = (handle, name, RandomAccess.GetLength(handle));

    /// <summary>What messages call it.</summary>
    public string Name { get; }

    public long Length { get; }

    /// <summary>Opens an archive.</summary>
    /// <param name="stream">Its bytes, which can be read more than once; disposed.</param>
    /// <param name="name">What messages call it.</param>
    /// <param name="path">The file that the bytes are in, if it is one.</param>
    /// <param name="limits">What is left for it. One that is read in place takes nothing.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="ImageContentException">It is damaged, or larger than that.</exception>
    public static ArchiveFile Open(Stream stream, string name, string? path, ArchiveLimits limits, CancellationToken cancellationToken)
    {
        using (stream)
        {
            try
            {
                string? ending = CompressedStream.EndingOf(stream);
                if (ending is null && path is not null)
                {
                    return new ArchiveFile(File.OpenHandle(path), name);
                }

                using Stream plain = CompressedStream.OpenByName(ending ?? "", stream);
                using BoundedStream bounded = new(plain, limits.BytesLeft, () => limits.TooLarge(name), leaveOpen: true, cancellationToken);
                ArchiveFile file = new(Unpack(bounded), name);
                limits.CountBytes(file.Length);
                return file;
            }
            catch (Exception e) when (CompressedStream.IsComplaint(e))
            {
                throw new ImageContentException($"'{name}' is damaged or cut off: {e.Message} Get it again.", e);
            }
        }
    }

    /// <summary>Reads.</summary>
    /// <exception cref="ImageContentException">The archive ends before that.</exception>
    public void Read(long offset, Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int read = RandomAccess.Read(_handle, buffer, offset);
            if (read == 0)
            {
                throw new ImageContentException($"The archive '{Name}' of {Length} bytes ends in the middle: {buffer.Length} bytes at {offset} are missing. Get it again.");
            }

            offset += read;
            buffer = buffer[read..];
        }
    }

    public void Dispose() => _handle.Dispose();

    private static SafeFileHandle Unpack(Stream plain)
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        SafeFileHandle handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, FileOptions.DeleteOnClose);
        try
        {
            if (!OperatingSystem.IsWindows())
            {
                // Without a name, nothing is left behind whatever happens to the process.
                File.Delete(path);
            }

            byte[] buffer = new byte[CopyBytes];
            long length = 0;
            for (int read = plain.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false); read > 0;
                read = plain.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false))
            {
                RandomAccess.Write(handle, buffer.AsSpan(0, read), length);
                length += read;
            }

            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }
}

/// <summary>Contents that lie in an archive.</summary>
/// <param name="file">The archive.</param>
/// <param name="start">The first byte in it.</param>
/// <param name="length">Bytes.</param>
internal sealed class ArchiveFileContent(ArchiveFile file, long start, long length) : FileContent(length)
{
    public override void Read(long offset, Span<byte> buffer) => file.Read(start + offset, buffer);
}
