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
    private bool _isComplete;

    /// <exception cref="DiskImageException">There is such a file, and it is not to be overwritten.</exception>
    public NewImageFile(string path, bool overwrites)
    {
        (_path, _overwrites) = (Path.GetFullPath(path), overwrites);
        if (!overwrites && Path.Exists(_path))
        {
            throw new DiskImageException($"'{path}' is there already and would be overwritten. Name another file, or delete this one.");
        }

        TemporaryPath = Path.Combine(Path.GetDirectoryName(_path)!, $".{Path.GetFileName(_path)}.{Path.GetRandomFileName()}.part");
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
    }
}
