using System.Collections.Immutable;
using System.Text;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>
/// A directory of the host (Linux), with all that is in it: owners, modes, times, extended attributes, hard links, holes and devices. Mount points
/// below it are entered. Contents are read when the image is written, and the files must stay as they are until then.
/// </summary>
public sealed class DirectorySource : IFileTreeSource
{
    private readonly byte[] _path;
    private readonly DirectorySourceOptions _options;

    /// <summary>Names a directory.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="options">How it is read; defaults when null.</param>
    public DirectorySource(string path, DirectorySourceOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        _path = Encoding.UTF8.GetBytes(Path.GetFullPath(path));
        _options = options ?? new DirectorySourceOptions();
    }

    /// <inheritdoc/>
    public void AddTo(FileTree tree, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tree);
        HostStatus status = HostPath.Status(_path, follow: true);
        if (status.Kind != FileKind.Directory)
        {
            throw new ImageContentException($"'{HostPath.Show(_path)}' is not a directory: name the root of the files.");
        }

        Dictionary<HostFileId, FileNode> linked = [];
        tree.Root.Metadata = Metadata(_path, status);
        Stack<(byte[] Path, FileNode Node)> pending = new([(_path, tree.Root)]);
        while (pending.TryPop(out (byte[] Path, FileNode Node) directory))
        {
            // The root alone may be a link, which is followed on the way to what is in it.
            foreach (byte[] name in HostPath.List(directory.Node == tree.Root ? HostPath.Join(_path, [(byte)'.']) : directory.Path))
            {
                cancellationToken.ThrowIfCancellationRequested();
                byte[] path = HostPath.Join(directory.Path, name);
                status = HostPath.Status(path, follow: false);
                FileNode node = status.Links > 1 && linked.TryGetValue(status.Id, out FileNode? known) ? known : Make(path, status);
                if (status.Links > 1 && status.Kind != FileKind.Directory)
                {
                    linked[status.Id] = node;
                }

                node = Put(directory.Node, name, node);
                if (node.Kind == FileKind.Directory)
                {
                    pending.Push((path, node));
                }
            }
        }
    }

    private static FileNode Put(FileNode parent, byte[] bytes, FileNode node)
    {
        if (!FileName.TryCreate(bytes, out FileName name))
        {
            throw new ImageContentException($"The host has a file with a name of {bytes.Length} bytes; a file has 1 to {FileName.MaximumBytes}.");
        }

        if (node.Kind == FileKind.Directory && parent.Entries.TryGetValue(name, out FileNode? former) && former.Kind == FileKind.Directory)
        {
            former.Metadata = node.Metadata;
            return former;
        }

        return parent.Entries[name] = node;
    }

    private FileNode Make(byte[] path, in HostStatus status)
    {
        FileMetadata metadata = Metadata(path, status);
        return status.Kind switch
        {
            FileKind.Directory => FileNode.CreateDirectory(metadata),
            FileKind.Regular => FileNode.CreateFile(metadata, HostFileContent.Of(path, status)),
            FileKind.SymbolicLink => FileNode.CreateSymbolicLink(metadata, HostPath.ReadLink(path)),
            FileKind.CharacterDevice or FileKind.BlockDevice => FileNode.CreateDevice(status.Kind, metadata, status.Major, status.Minor),
            _ => FileNode.CreateSpecial(status.Kind, metadata),
        };
    }

    private FileMetadata Metadata(byte[] path, in HostStatus status)
    {
        FileMetadata metadata = new(status.Mode)
        {
            UserId = _options.IsOwnedByRoot ? 0 : status.UserId,
            GroupId = _options.IsOwnedByRoot ? 0 : status.GroupId,
            ModificationTime = status.ModificationTime,
        };
        ImmutableSortedDictionary<string, ReadOnlyMemory<byte>>.Builder? attributes = null;
        foreach (string name in _options.ReadsExtendedAttributes ? ExtendedAttributes.List(path) : [])
        {
            // Others are the host's own: of its network file systems, of overlays, of its security modules.
            if (name.StartsWith("user.", StringComparison.Ordinal) || name is "security.capability" or "system.posix_acl_access" or "system.posix_acl_default")
            {
                attributes ??= metadata.ExtendedAttributes.ToBuilder();
                attributes[name] = ExtendedAttributes.Get(path, name);
            }
        }

        return attributes is null ? metadata : metadata with { ExtendedAttributes = attributes.ToImmutable() };
    }
}

/// <summary>How a directory of the host is read.</summary>
public sealed record DirectorySourceOptions
{
    /// <summary>
    /// Whether all files are root's, whoever owns them on the host: for trees that a user made without privileges. Off, as is right for trees of
    /// debootstrap run by root, and under fakeroot when this program runs under the same fakeroot.
    /// </summary>
    public bool IsOwnedByRoot { get; init; }

    /// <summary>Whether extended attributes are read: <c>user.*</c>, capabilities, and access control lists.</summary>
    public bool ReadsExtendedAttributes { get; init; } = true;
}
