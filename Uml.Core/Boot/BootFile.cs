using Uml.Core.Boot.Payload;
using Uml.Core.Interop;

namespace Uml.Core.Boot;

/// <summary>A kernel or initrd: a file of the host or bytes at hand.</summary>
public sealed class BootFile
{
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly string? _path;

    private BootFile(string name, string? path, ReadOnlyMemory<byte> bytes)
    {
        Name = name;
        _path = path;
        _bytes = bytes;
    }

    /// <summary>What messages call the file.</summary>
    public string Name { get; }

    /// <summary>A file of the host, read when the machine boots.</summary>
    /// <param name="path">The file's path.</param>
    /// <returns>The file.</returns>
    public static BootFile FromPath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new BootFile(path, path, default);
    }

    /// <summary>Bytes in memory; they are not copied and must not change while they are in use.</summary>
    /// <param name="bytes">The contents.</param>
    /// <param name="name">What messages call them.</param>
    /// <returns>The file.</returns>
    public static BootFile FromBytes(ReadOnlyMemory<byte> bytes, string name = "(bytes)")
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return new BootFile(name, null, bytes);
    }

    /// <summary>Reads the whole file, unless it is larger than it may be.</summary>
    /// <param name="role">What the file is for, as messages say it: "kernel", "initrd".</param>
    /// <param name="maximumBytes">The most bytes that the file may have.</param>
    /// <param name="tooLarge">Makes the error for a file of the given size that is larger.</param>
    /// <param name="cancellationToken">Ends the reading, also of a pipe that nobody writes to.</param>
    /// <returns>The contents.</returns>
    /// <exception cref="KernelImageException">The file is missing, unreadable or too large.</exception>
    internal ReadOnlyMemory<byte> Read(
        string role, long maximumBytes, Func<long, KernelImageException> tooLarge, CancellationToken cancellationToken)
    {
        if (_path is null)
        {
            return _bytes.Length > maximumBytes ? throw tooLarge(_bytes.Length) : _bytes;
        }

        if (Directory.Exists(_path))
        {
            throw new KernelImageException($"The {role} '{_path}' is a directory; name the {role} file itself.");
        }

        try
        {
            using Stream file = HostFileStream.Open(_path, cancellationToken);
            return ReadAll(file, maximumBytes, tooLarge, cancellationToken);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new KernelImageException($"The {role} '{_path}' does not exist; check the path.", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new KernelImageException(
                $"The {role} '{_path}' may not be read by this user; copy it or change its permissions.", e);
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException)
        {
            throw new KernelImageException($"The {role} '{_path}' cannot be read: {e.Message}", e);
        }
    }

    private static ReadOnlyMemory<byte> ReadAll(
        Stream file, long maximumBytes, Func<long, KernelImageException> tooLarge, CancellationToken cancellationToken)
    {
        // Pipes and /proc files do not tell their length, so the length is only a hint here.
        long length = file.Length;
        int limit = (int)Math.Min(maximumBytes, Array.MaxLength);
        if (length > limit)
        {
            throw tooLarge(length);
        }

        return BoundedReader.TryReadAll(file, limit, length, cancellationToken, out ReadOnlyMemory<byte> bytes)
            ? bytes
            : throw tooLarge((long)limit + 1);
    }
}
