using System.Collections.Immutable;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>Puts the entries of a tar archive into a tree. Nothing in the archive reaches out of the tree.</summary>
/// <param name="tree">The tree.</param>
/// <param name="file">The archive, which the tree has to own.</param>
/// <param name="options">How it is read; their limits are in the other.</param>
/// <param name="limits">What is left for it.</param>
internal sealed class TarLayer(FileTree tree, ArchiveFile file, TarSourceOptions options, ArchiveLimits limits)
{
    private const string AttributePrefix = "SCHILY.xattr.";

    /// <summary>Of attributes, what counts as an entry: more than ext4 has room for.</summary>
    private const int AttributeUnit = 4096;

    private long _attributeBytes;

    /// <summary>Of containers' images (OCI image specification, "Layer Filesystem Changeset"): names that stand for what is removed.</summary>
    private static ReadOnlySpan<byte> Whiteout => ".wh."u8;

    private static ReadOnlySpan<byte> OpaqueWhiteout => ".wh..wh..opq"u8;

    /// <summary>Adds all entries.</summary>
    public void Add(CancellationToken cancellationToken)
    {
        foreach (TarArchiveEntry entry in new TarArchive(file).Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
            limits.CountEntries(file.Name, 1);
            PutAndCount(Check(entry.Path), entry);
        }
    }

    /// <summary>Adds all entries of a layer over others. What it removes are files of those below it, wherever it says so.</summary>
    public void AddOver(CancellationToken cancellationToken)
    {
        TarArchive archive = new(file);
        foreach (TarArchiveEntry entry in archive.Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
            limits.CountEntries(file.Name, 1);
            ReadOnlySpan<byte> path = Check(entry.Path), name = NameOf(path);
            if (name.StartsWith(Whiteout))
            {
                Remove(path[..^name.Length], name);
            }
        }

        foreach (TarArchiveEntry entry in archive.Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
            ReadOnlySpan<byte> path = Check(entry.Path);
            if (!NameOf(path).StartsWith(Whiteout))
            {
                PutAndCount(path, entry);
            }
        }
    }

    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> path) => path[(path.LastIndexOf((byte)'/') + 1)..];

    private void Remove(ReadOnlySpan<byte> directory, ReadOnlySpan<byte> name)
    {
        if (name.SequenceEqual(OpaqueWhiteout))
        {
            if (tree.Find(directory) is { Kind: FileKind.Directory } opaque)
            {
                opaque.Entries.Clear();
            }
        }
        else if (FileName.TryCreate(name[Whiteout.Length..], out FileName removed) && tree.Find(directory) is { Kind: FileKind.Directory } parent)
        {
            parent.Entries.Remove(removed);
        }
    }

    private ReadOnlySpan<byte> Check(ReadOnlySpan<byte> path) => TarPath.Check(path, file.Name);

    /// <summary>Puts an entry into the tree. What takes memory besides it counts like entries.</summary>
    private void PutAndCount(ReadOnlySpan<byte> path, TarArchiveEntry entry)
    {
        long impliedBefore = tree.ImpliedDirectories, unitsBefore = _attributeBytes / AttributeUnit;
        Put(path, entry);
        limits.CountEntries(file.Name, tree.ImpliedDirectories - impliedBefore + (_attributeBytes / AttributeUnit) - unitsBefore);
    }

    private void Put(ReadOnlySpan<byte> path, TarArchiveEntry entry)
    {
        FileMetadata metadata = Metadata(entry);
        switch (entry.Type)
        {
            case '0' or 'S':
                tree.Set(path, FileNode.CreateFile(metadata, entry.Content!));
                break;
            case '1':
                Link(path, entry);
                break;
            case '2':
                tree.Set(path, FileNode.IsTarget(entry.Target)
                    ? FileNode.CreateSymbolicLink(metadata, entry.Target) : throw Unusable(path, $"is a link with a target of {entry.Target.Length} bytes"));
                break;
            case '3' or '4':
                tree.Set(path, FileNode.IsDevice(entry.Major, entry.Minor)
                    ? FileNode.CreateDevice(entry.Type == '3' ? FileKind.CharacterDevice : FileKind.BlockDevice, metadata, entry.Major, entry.Minor)
                    : throw Unusable(path, $"is the device {entry.Major}:{entry.Minor}, which cannot be"));
                break;
            case '5' when options.KeepsDirectoryLinks && tree.Find(path, follow: false) is { Kind: FileKind.SymbolicLink }
                && tree.Find(path) is { Kind: FileKind.Directory }:
                break;
            case '5':
                tree.Set(path, FileNode.CreateDirectory(metadata));
                break;
            case '6':
                tree.Set(path, FileNode.CreateSpecial(FileKind.Fifo, metadata));
                break;
            default:
                throw Unusable(path, $"is of the unknown type '{entry.Type}'");
        }
    }

    private void Link(ReadOnlySpan<byte> path, TarArchiveEntry entry)
    {
        if (tree.Find(Check(entry.Target), follow: false) is not { Kind: not FileKind.Directory } node)
        {
            throw Unusable(path, $"is a hard link to '{HostPath.Show(entry.Target)}', which is no file before it");
        }

        tree.Set(path, node);
    }

    private FileMetadata Metadata(TarArchiveEntry entry)
    {
        FileMetadata metadata = new(entry.Mode)
        {
            UserId = options.IsOwnedByRoot ? 0 : entry.UserId,
            GroupId = options.IsOwnedByRoot ? 0 : entry.GroupId,
            ModificationTime = entry.Time,
        };
        ImmutableSortedDictionary<string, ReadOnlyMemory<byte>>.Builder? attributes = null;
        foreach ((string key, byte[] value) in entry.Records)
        {
            if (key.StartsWith(AttributePrefix, StringComparison.Ordinal))
            {
                attributes ??= metadata.ExtendedAttributes.ToBuilder();
                attributes[key[AttributePrefix.Length..]] = value;
                _attributeBytes += value.Length;
            }
        }

        return attributes is null ? metadata : metadata with { ExtendedAttributes = attributes.ToImmutable() };
    }

    private ImageContentException Unusable(ReadOnlySpan<byte> path, string why) =>
        new($"'{HostPath.Show(path)}' in the archive '{file.Name}' {why}; the archive is hostile or damaged: do not use it.");
}
