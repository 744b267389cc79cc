using System.Formats.Tar;
using System.Text;
using Uml.Storage.Interop;

namespace Uml.Storage.Images;

/// <summary>Writes tar entries below one directory and nowhere else.</summary>
internal sealed class TarExtraction
{
    private const UnixFileMode PermissionBits = (UnixFileMode)0x1ff; // 0777: no set-user-ID, set-group-ID or sticky bit
    private const UnixFileMode OwnerWrites = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly string _root;
    private readonly string _archive;
    private readonly long _maximumBytes;
    private readonly Func<ImageContentException> _tooLarge;
    private readonly List<(string Path, string Target)> _hardLinks = [];
    private readonly List<(string Path, string Target)> _symbolicLinks = [];
    private long _copiedBytes;

    /// <summary>Starts an extraction.</summary>
    /// <param name="directory">Where to; created if missing.</param>
    /// <param name="archive">What messages call the archive.</param>
    /// <param name="maximumBytes">The most bytes that hard links are copied to; the archive itself is bounded by its reader.</param>
    /// <param name="tooLarge">Makes the error for more.</param>
    public TarExtraction(string directory, string archive, long maximumBytes, Func<ImageContentException> tooLarge)
    {
        _root = Path.GetFullPath(directory);
        _archive = archive;
        _maximumBytes = maximumBytes;
        _tooLarge = tooLarge;
        Directory.CreateDirectory(_root);
    }

    /// <summary>Writes one entry, or remembers it when it is a link.</summary>
    /// <param name="path">Its normalized path, not empty.</param>
    /// <param name="entry">The entry.</param>
    public void Add(string path, TarEntry entry)
    {
        switch (entry.EntryType)
        {
            case TarEntryType.Directory:
                string directory = PrepareParents(path + "/.");
                if (!OperatingSystem.IsWindows())
                {
                    File.SetUnixFileMode(directory, (entry.Mode & PermissionBits) | OwnerWrites);
                }

                break;
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                WriteFile(path, entry);
                break;
            case TarEntryType.HardLink:
                _hardLinks.Add((path, TarPath.Normalize(entry.LinkName, _archive)));
                break;
            case TarEntryType.SymbolicLink:
                _symbolicLinks.Add((path, entry.LinkName));
                break;
        }
    }

    /// <summary>Makes the links.</summary>
    /// <param name="cancellationToken">Ends the work.</param>
    public void Finish(CancellationToken cancellationToken)
    {
        foreach ((string path, string target) in _hardLinks)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Copy(path, target);
        }

        foreach ((string path, string target) in _symbolicLinks)
        {
            cancellationToken.ThrowIfCancellationRequested();
            string link = PrepareTarget(path);
            if (target.Length == 0 || target.Contains('\0', StringComparison.Ordinal) || Encoding.UTF8.GetByteCount(target) > Limits.PathBytes)
            {
                throw new ImageContentException(
                    $"The archive '{_archive}' has a link '{path}' whose target is empty or no path; it is hostile or damaged: do not use it.");
            }

            if (Directory.Exists(link))
            {
                throw new ImageContentException($"The archive '{_archive}' has '{path}' both as a directory and as a link.");
            }

            File.Delete(link);
            File.CreateSymbolicLink(link, target);
        }
    }

    private void Copy(string path, string target)
    {
        string source = target.Length == 0 ? _root : PrepareTarget(target);
        if (!File.Exists(source))
        {
            throw new ImageContentException(
                $"The archive '{_archive}' links '{path}' to '{target}', which is not a file that was unpacked.");
        }

        string copy = PrepareTarget(path);
        if (copy == source)
        {
            throw new ImageContentException($"The archive '{_archive}' links '{path}' to itself; it is hostile or damaged: do not use it.");
        }

        // One file and many links to it are a small archive and a full disk.
        _copiedBytes += new FileInfo(source).Length;
        if (_copiedBytes > _maximumBytes)
        {
            throw _tooLarge();
        }

        File.Copy(source, copy, overwrite: true);
    }

    private static bool IsLink(string path) => new FileInfo(path).LinkTarget is not null;

    private void WriteFile(string path, TarEntry entry)
    {
        string target = PrepareTarget(path);
        FileStreamOptions options = new() { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = (entry.Mode & PermissionBits) | UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (FileStream file = new(target, options))
        {
            entry.DataStream?.CopyTo(file);
            if (file.Length != entry.Length)
            {
                throw new EndOfStreamException($"'{path}' ends in the middle.");
            }
        }

        File.SetLastWriteTimeUtc(target, entry.ModificationTime.UtcDateTime);
    }

    /// <summary>Creates the directories above a path and returns its place, which is no link.</summary>
    private string PrepareTarget(string path)
    {
        string place = PrepareParents(path);
        if (Directory.Exists(place) && !IsLink(place))
        {
            throw new ImageContentException($"The archive '{_archive}' has '{path}' as a file where there is a directory.");
        }

        if (IsLink(place))
        {
            File.Delete(place);
        }

        return place;
    }

    private string PrepareParents(string path)
    {
        string place = _root;
        string[] parts = path.Split('/');
        if (Encoding.UTF8.GetByteCount(_root) + 1 + Encoding.UTF8.GetByteCount(path) > Limits.PathBytes
            || Array.Exists(parts, part => Encoding.UTF8.GetByteCount(part) > Limits.NameBytes))
        {
            throw new ImageContentException(
                $"The archive '{_archive}' has an entry whose name is too long for a file ({path.Length} characters, starting with '{path[..Math.Min(64, path.Length)]}'); "
                + "it is hostile or damaged: do not use it.");
        }

        for (int i = 0; i < parts.Length - 1; i++)
        {
            place = Path.Combine(place, parts[i]);
            if (IsLink(place) || File.Exists(place))
            {
                throw new ImageContentException(
                    $"The archive '{_archive}' has '{path}' below '{parts[i]}', which is not a directory; unpack into an empty directory.");
            }

            Directory.CreateDirectory(place);
        }

        return parts[^1] == "." ? place : Path.Combine(place, parts[^1]);
    }
}
