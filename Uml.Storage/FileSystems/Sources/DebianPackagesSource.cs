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

    /// <summary>The largest packages have some ten thousand entries; a limit of ours.</summary>
    private const int MaximumEntries = 1_000_000;

    private static readonly TarSourceOptions Options = new() { KeepsDirectoryLinks = true };

    private readonly IReadOnlyList<string> _packages;
    private readonly IProgress<int>? _progress;

    /// <summary>Names packages.</summary>
    /// <param name="packages">The package files (<c>.deb</c>), each behind those that its scripts need before it.</param>
    /// <param name="progress">Notified of how many are unpacked.</param>
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

        DpkgDatabase database = new();
        for (int i = 0; i < _packages.Count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            string name = Path.GetFileName(_packages[i]);
            using DebianPackage package = DebianPackage.Open(_packages[i]);
            ArchiveLimits limits = new(package.MaximumUnpackedBytes, MaximumEntries);
            ArchiveFile files = ArchiveFile.Open(package.ReadDataArchive(), name, path: null, limits, cancellationToken);
            tree.Own(files);
            new TarLayer(tree, files, Options, limits).Add(cancellationToken);
            database.Add(name, package.ReadControlFiles(), files, tree);
            _progress?.Report(i + 1);
        }

        database.WriteTo(tree);
    }
}
