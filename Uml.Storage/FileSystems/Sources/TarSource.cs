using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>
/// A tar archive, plain or packed by gzip, xz, zstd or bzip2, with owners, modes, times, hard links, devices and extended attributes (pax records
/// <c>SCHILY.xattr.*</c>). Plain ones are read in place when the image is written; others are unpacked to a temporary file first.
/// </summary>
public sealed class TarSource : IFileTreeSource
{
    private readonly string _path;
    private readonly TarSourceOptions _options;

    /// <summary>Names an archive.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">How it is read; defaults when null.</param>
    public TarSource(string path, TarSourceOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        (_path, _options) = (path, options ?? new TarSourceOptions());
    }

    /// <inheritdoc/>
    public void AddTo(FileTree tree, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tree);
        ArchiveLimits limits = new(_options);
        ArchiveFile file = ArchiveFile.Open(File.OpenRead(_path), Path.GetFileName(_path), _path, limits, cancellationToken);
        tree.Own(file);
        new TarLayer(tree, file, _options, limits).Add(cancellationToken);
    }
}

/// <summary>How tar archives are read.</summary>
public sealed record TarSourceOptions
{
    /// <summary>Whether all files are root's, whoever owns them in the archive.</summary>
    public bool IsOwnedByRoot { get; init; }

    /// <summary>
    /// Whether a symbolic link to a directory stays where the archive has a directory, as <c>tar --keep-directory-symlink</c> and dpkg have it: files of
    /// <c>/bin</c> get to <c>/usr/bin</c> where that is merged. No unless set.
    /// </summary>
    public bool KeepsDirectoryLinks { get; init; }

    /// <summary>The most bytes that an archive, or all layers of an image together, may unpack to: a limit against hostile ones; 64 GiB unless set.</summary>
    public long MaximumBytes { get; init; } = 64L << 30;

    /// <summary>
    /// The most entries that an archive, or all layers of an image together, may have: a limit against hostile ones; 5 million unless set. Directories
    /// that it only implies count as entries too, and so do every 4096 bytes of extended attributes.
    /// </summary>
    public int MaximumEntries { get; init; } = 5_000_000;
}
