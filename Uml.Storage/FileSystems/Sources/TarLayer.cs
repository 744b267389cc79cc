using System.Collections.Immutable;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>Puts the entries of a tar archive into a tree. Nothing in the archive reaches out of the tree.</summary>
/// <param name="tree">The tree.</param>
/// <param name="file">The archive, which the tree has to own.</param>
/// <param name="options">How it is read.</param>
internal sealed class TarLayer(FileTree tree, ArchiveFile file, TarSourceOptions options)
{
    private const string AttributePrefix = "SCHILY.xattr.";

    /// <summary>Of attributes, what counts as an entry: more than ext4 has room for.</summary>
    private const int AttributeUnit = 4096;

    private readonly long _impliedBefore = tree.ImpliedDirectories;
    private long _attributeBytes;

    /// <summary>Of containers' images (OCI image specification, "Layer Filesystem Changeset"): names that stand for what is removed.</summary>
    private static ReadOnlySpan<byte> Whiteout => ".wh."u8;

    private static ReadOnlySpan<byte> OpaqueWhiteout => ".wh..wh..opq"u8;

    /// <summary>Adds all entries.</summary>
    public void Add(CancellationToken cancellationToken)
    {
        foreach (TarArchiveEntry entry in new TarArchive(file, options.MaximumEntries).Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
            Put(Check(entry.Path), entry);
            CheckCount();
        }
    }

    /// <summary>Adds all entries of a layer over others. What it removes are files of those below it, wherever it says so.</summary>
    public void AddOver(CancellationToken cancellationToken)
    {
        TarArchive archive = new(file, options.MaximumEntries);
        foreach (TarArchiveEntry entry in archive.Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
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
                Put(path, entry);
                CheckCount();
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

    private ReadOnlySpan<byte> Check(ReadOnlySpan<byte> path)
    {
        ReadOnlySpan<byte> trimmed = path.Trim((byte)'/');
        if (path.Length > FileNode.MaximumTargetBytes || path.Contains((byte)0) || HasParent(trimmed))
        {
            throw new ImageContentException(
                $"The archive '{file.Name}' has the entry '{HostPath.Show(path[..Math.Min(path.Length, 64)])}' of {path.Length} bytes, which leads outside, or is no path; "
                + "it is hostile or damaged: do not use it.");
        }

        return trimmed;
    }

    private static bool HasParent(ReadOnlySpan<byte> path)
    {
        foreach (Range part in path.Split((byte)'/'))
        {
            if (path[part].SequenceEqual(".."u8))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>What takes memory besides the entries, which the reader counts, is limited like them.</summary>
    private void CheckCount()
    {
        long implied = tree.ImpliedDirectories - _impliedBefore;
        if (implied + (_attributeBytes / AttributeUnit) > options.MaximumEntries)
        {
            throw new ImageContentException(
                $"The archive '{file.Name}' has {implied} directories that are not in it, and {_attributeBytes} bytes of attributes, which count as more than "
                + $"{options.MaximumEntries} entries; it is hostile, or the limit is to be raised.");
        }
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
