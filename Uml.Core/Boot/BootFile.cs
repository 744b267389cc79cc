using Uml.Core.Interop;

namespace Uml.Core.Boot;

/// <summary>A kernel or initrd: a file of the host, bytes in memory, or a file that is looked up when the machine starts.</summary>
public sealed class BootFile
{
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly string? _path;
    private readonly Func<CancellationToken, Task<BootFile>>? _find;

    private BootFile(string name, string? path = null, ReadOnlyMemory<byte> bytes = default, Func<CancellationToken, Task<BootFile>>? find = null)
    {
        Name = name;
        _path = path;
        _bytes = bytes;
        _find = find;
    }

    /// <summary>The file's name in messages.</summary>
    public string Name { get; }

    /// <summary>A file of the host, read when the machine boots.</summary>
    /// <param name="path">The file's path.</param>
    /// <returns>The file.</returns>
    public static BootFile FromPath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new BootFile(path, path);
    }

    /// <summary>Bytes in memory; they are not copied and must not change while they are in use.</summary>
    /// <param name="bytes">The contents.</param>
    /// <param name="name">Their name in messages.</param>
    /// <returns>The file.</returns>
    public static BootFile FromBytes(ReadOnlyMemory<byte> bytes, string name = "(bytes)")
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return new BootFile(name, bytes: bytes);
    }

    /// <summary>A file that is found, fetched or made each time a machine starts with it.</summary>
    /// <param name="name">Its name in messages until then.</param>
    /// <param name="find">
    /// Finds it. Its exceptions are those of the machine's start; its token is cancelled when the start is, or the machine is stopped.
    /// </param>
    /// <returns>The file.</returns>
    public static BootFile FromSource(string name, Func<CancellationToken, Task<BootFile>> find)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(find);
        return new BootFile(name, find: find);
    }

    /// <summary>Finds the file, if it is one of <see cref="FromSource"/>; others are at hand.</summary>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>A file that can be read.</returns>
    /// <exception cref="MachineConfigurationException">The source gave nothing that can be read. Its own exceptions are passed on.</exception>
    public async Task<BootFile> FindAsync(CancellationToken cancellationToken = default)
    {
        if (_find is null)
        {
            return this;
        }

        BootFile? found = await _find(cancellationToken).ConfigureAwait(false);
        return found is { _find: null }
            ? found
            : throw new MachineConfigurationException($"The source of '{Name}' gave no file of the host and no bytes; have it return BootFile.FromPath or FromBytes.");
    }

    /// <summary>Reads the whole file, unless it is larger than it may be.</summary>
    /// <param name="role">What the file is for, as messages say it: "kernel", "initrd".</param>
    /// <param name="maximumBytes">The most bytes that the file may have.</param>
    /// <param name="tooLarge">Makes the error for a file of the given size that is larger.</param>
    /// <param name="cancellationToken">Ends the reading, even of a pipe without a writer.</param>
    /// <returns>The contents.</returns>
    /// <exception cref="KernelImageException">The file is missing, unreadable or too large.</exception>
    internal ReadOnlyMemory<byte> Read(
        string role, long maximumBytes, Func<long, KernelImageException> tooLarge, CancellationToken cancellationToken)
    {
        if (_find is not null)
        {
            throw new InvalidOperationException($"The {role} '{Name}' has to be found before it is loaded: await {nameof(FindAsync)}.");
        }

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
        // The length is only a hint: it is not known for pipes and /proc files.
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
