using System.Formats.Tar;
using System.Text;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>
/// Binary Debian packages, unpacked with their owners and modes, and the database of dpkg that says so: what <c>dpkg --unpack</c> leaves behind, but
/// without dpkg, root, or running anything. In the guest <c>dpkg --configure -a</c> completes the installation, once the packages' preinst scripts
/// have run.
/// </summary>
/// <remarks>
/// The tree is that of a system with merged /usr: <c>/bin</c>, <c>/sbin</c>, <c>/lib</c> and <c>/lib64</c> lead to <c>/usr</c>. A file in two packages
/// is the later one's. Diversions are made by scripts in the guest.
/// </remarks>
public sealed class DebianPackagesSource : IFileTreeSource
{
    private static readonly string[] MergedDirectories = ["bin", "sbin", "lib", "lib64"];

    private readonly IReadOnlyList<string> _packages;
    private readonly IProgress<int>? _progress;

    /// <summary>Names packages.</summary>
    /// <param name="packages">The package files (<c>.deb</c>), each behind those that its scripts need before it.</param>
    /// <param name="progress">Told how many are unpacked.</param>
    public DebianPackagesSource(IReadOnlyList<string> packages, IProgress<int>? progress = null)
    {
        ArgumentNullException.ThrowIfNull(packages);
        (_packages, _progress) = (packages, progress);
    }

    /// <inheritdoc/>
    public void AddTo(FileTree tree, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tree);
        foreach (string directory in MergedDirectories)
        {
            if (tree.Find(directory) is null)
            {
                tree.Set($"usr/{directory}", FileNode.CreateDirectory(new FileMetadata(FileMetadata.DefaultDirectoryMode)));
                tree.Set(directory, FileNode.CreateSymbolicLink(new FileMetadata(0x1FF), Encoding.UTF8.GetBytes($"usr/{directory}")));
            }
        }

        SpoolFile spool = new();
        tree.Own(spool);
        DpkgDatabase database = new();
        for (int i = 0; i < _packages.Count; i++)
        {
            using DebianPackage package = DebianPackage.Open(_packages[i]);
            List<string> paths = [];
            package.ForEachFile((path, entry) => Add(tree, spool, path, entry, paths), cancellationToken);
            database.Add(Path.GetFileName(_packages[i]), package.ReadControlFiles(), paths, tree);
            _progress?.Report(i + 1);
        }

        database.WriteTo(tree);
    }

    private static void Add(FileTree tree, SpoolFile spool, string path, TarEntry entry, List<string> paths)
    {
        paths.Add(path);
        FileMetadata metadata = new((int)entry.Mode & FileMetadata.ModeMask)
        {
            UserId = (uint)entry.Uid,
            GroupId = (uint)entry.Gid,
            ModificationTime = new FileTime(entry.ModificationTime.ToUnixTimeSeconds()),
        };
        switch (entry.EntryType)
        {
            // A directory that is a link to one by now stays so, as with dpkg.
            case TarEntryType.Directory when tree.Find(path, follow: false) is { Kind: FileKind.SymbolicLink } && tree.Find(path) is { Kind: FileKind.Directory }:
                break;
            case TarEntryType.Directory:
                tree.Set(path, FileNode.CreateDirectory(metadata));
                break;
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                tree.Set(path, FileNode.CreateFile(metadata, spool.Add(entry.DataStream ?? Stream.Null)));
                break;
            case TarEntryType.SymbolicLink when FileNode.IsTarget(Encoding.UTF8.GetBytes(entry.LinkName)):
                tree.Set(path, FileNode.CreateSymbolicLink(metadata, Encoding.UTF8.GetBytes(entry.LinkName)));
                break;
            case TarEntryType.HardLink when tree.Find(entry.LinkName, follow: false) is { Kind: not FileKind.Directory } file:
                tree.Set(path, file);
                break;
            default:
                throw new ImageContentException(
                    $"'{path}' in a package is an entry of type {entry.EntryType} to '{entry.LinkName}', which no package has; it is hostile or damaged: do not use it.");
        }
    }
}
