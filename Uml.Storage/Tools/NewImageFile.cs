using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Tools;

/// <summary>
/// A file that is made beside the one that it will be, and takes its name when it is complete: whatever happens before, nobody sees half of it.
/// </summary>
internal sealed class NewImageFile : IDisposable
{
    private readonly string _path;
    private readonly bool _overwrites;
    private readonly HostFile? _former;
    private bool _isComplete;

    /// <param name="path">The name that it gets.</param>
    /// <param name="options">Whether it may take the place of another file, which is locked until then: whoever uses that would go on with what nobody sees.</param>
    /// <exception cref="DiskImageException">There is such a file, and it is not to be overwritten, is in use, or is none that may be replaced.</exception>
    public NewImageFile(string path, DiskCopyOptions options)
    {
        (_path, _overwrites) = (Path.GetFullPath(path), options.Overwrites);
        if (Path.Exists(_path))
        {
            _former = OpenFormer(path, options);
        }

        // Without the file's own name, which may be the longest that there can be.
        TemporaryPath = Path.Combine(Path.GetDirectoryName(_path)!, $".{Path.GetRandomFileName()}.part");
    }

    /// <summary>Where it is until it is complete.</summary>
    public string TemporaryPath { get; }

    /// <summary>Gives the file its name, for good. It was flushed and closed before.</summary>
    /// <exception cref="DiskImageException">It cannot have that name.</exception>
    public void Complete()
    {
        try
        {
            File.Move(TemporaryPath, _path, _overwrites);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DiskImageException($"The new image cannot be named '{_path}': {e.Message}", e);
        }

        _isComplete = true;
        HostFolder.Flush(Path.GetDirectoryName(_path)!);
    }

    /// <summary>Deletes the file, unless it is complete.</summary>
    public void Dispose()
    {
        if (!_isComplete)
        {
            File.Delete(TemporaryPath);
        }

        _former?.Dispose();
    }

    private static HostFile OpenFormer(string path, DiskCopyOptions options)
    {
        if (!options.Overwrites)
        {
            throw new DiskImageException($"'{path}' is there already and would be overwritten. Name another file, or delete this one.");
        }

        HostFile former = HostFile.Open(path, default);
        try
        {
            if (former.IsBlockDevice)
            {
                throw new DiskImageException($"'{path}' is a block device, and no file that can be replaced. Name a file.");
            }

            if (options.Locks)
            {
                FileLock.Take(former);
            }

            return former;
        }
        catch
        {
            former.Dispose();
            throw;
        }
    }
}
