using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>The inodes that a tree needs, numbered, and what follows from the tree as a whole.</summary>
internal sealed class Ext4Inventory
{
    private const int LostFoundBlocks = 4;

    /// <summary>rwx------ (0700).</summary>
    private const int LostFoundMode = 0x1C0;

    private readonly Dictionary<FileNode, Ext4Inode> _known = new(ReferenceEqualityComparer.Instance);
    private readonly List<(Ext4Inode Inode, uint Parent, List<(FileName Name, Ext4Inode Inode)> Entries)> _directories = [];
    private readonly List<Ext4Inode> _inodes = [];
    private readonly IncrementalHash _digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private uint _next = Ext4Format.FirstInode;

    private Ext4Inventory(FileTree tree, Ext4Options options, CancellationToken cancellationToken)
    {
        using (_digest)
        {
            Walk(tree.Root, cancellationToken);
            CreationTime = (uint)Math.Clamp(options.CreationTime?.ToUnixTimeSeconds() ?? tree.Root.Metadata.ModificationTime.Seconds, 0, uint.MaxValue);
            Uuid = options.Uuid?.ToByteArray(bigEndian: true) ?? DeriveUuid(options);
        }

        Checksum = new Ext4Checksum(Uuid);
        byte[] seed = SHA256.HashData([.. "names"u8, .. Uuid]);
        HashSeed = new uint[4];
        for (int i = 0; i < HashSeed.Length; i++)
        {
            HashSeed[i] = BinaryPrimitives.ReadUInt32LittleEndian(seed.AsSpan(i * sizeof(uint)));
        }

        Ext4NameHash hash = new(HashSeed);
        foreach ((Ext4Inode inode, uint parent, List<(FileName Name, Ext4Inode Inode)> entries) in _directories)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Ext4Directory directory = new(entries, hash, inode.Number == Ext4Format.LostFoundInode ? LostFoundBlocks : 1);
            inode.Content = FileContent.FromMemory(directory.Encode(inode.Number, parent, Checksum.SeedOf(inode.Number)));
            (inode.Size, inode.IsIndexed) = (inode.Content.Length, directory.IsIndexed);
            inode.Links = 2 + entries.Count(entry => entry.Inode.Node.Kind == FileKind.Directory);
        }
    }

    /// <summary>In order of their numbers.</summary>
    public IReadOnlyList<Ext4Inode> Inodes => _inodes;

    /// <summary>The highest number in use.</summary>
    public uint LastInode => _next - 1;

    public byte[] Uuid { get; }

    public uint[] HashSeed { get; }

    /// <summary>Seconds since 1970.</summary>
    public uint CreationTime { get; }

    public Ext4Checksum Checksum { get; }

    /// <exception cref="ImageContentException">There is something in the tree that ext4 cannot hold.</exception>
    public static Ext4Inventory Of(FileTree tree, Ext4Options options, CancellationToken cancellationToken) => new(tree, options, cancellationToken);

    private void Walk(FileNode root, CancellationToken cancellationToken)
    {
        Ext4Inode first = Add(Ext4Format.RootInode, root, () => "The root directory");
        Stack<(Ext4Inode Inode, uint Parent)> pending = new([(first, first.Number)]);
        while (pending.TryPop(out (Ext4Inode Inode, uint Parent) next))
        {
            cancellationToken.ThrowIfCancellationRequested();
            List<(FileName Name, Ext4Inode Inode)> entries = List(next.Inode);
            _directories.Add((next.Inode, next.Parent, entries));
            for (int i = entries.Count - 1; i >= 0; i--)
            {
                if (entries[i].Inode.Node.Kind == FileKind.Directory)
                {
                    pending.Push((entries[i].Inode, next.Inode.Number));
                }
            }
        }
    }

    /// <summary>Gives numbers to what is in a directory.</summary>
    private List<(FileName Name, Ext4Inode Inode)> List(Ext4Inode directory)
    {
        List<(FileName Name, FileNode Node)> children = [.. directory.Node.Children.Select(child => (child.Key, child.Value))];
        children.Sort((left, right) => left.Name.Bytes.SequenceCompareTo(right.Name.Bytes));
        if (directory.Number == Ext4Format.RootInode)
        {
            TakeLostFound(children);
        }

        List<(FileName Name, Ext4Inode Inode)> entries = new(children.Count);
        foreach ((FileName name, FileNode node) in children)
        {
            if (_known.TryGetValue(node, out Ext4Inode? inode))
            {
                CountLink(inode, name);
            }
            else
            {
                inode = Add(_next++, node, () => $"'{name}'");
            }

            Digest(directory.Number, name, inode);
            entries.Add((name, inode));
        }

        return entries;
    }

    /// <summary>lost+found comes first: its inode is the first one that is free.</summary>
    private static void TakeLostFound(List<(FileName Name, FileNode Node)> children)
    {
        FileName name = FileName.FromText("lost+found");
        int index = children.FindIndex(child => child.Name == name);
        FileNode? own = index < 0 ? null : children[index].Node;
        if (own is not null)
        {
            children.RemoveAt(index);
        }

        if (own is { Kind: not FileKind.Directory })
        {
            throw new ImageContentException("'/lost+found' is not a directory; file systems keep that name for one: leave it out.");
        }

        children.Insert(0, (name, own ?? FileNode.CreateDirectory(new FileMetadata(LostFoundMode))));
    }

    private static void CountLink(Ext4Inode inode, FileName name)
    {
        if (inode.Node.Kind == FileKind.Directory)
        {
            throw new ImageContentException($"The directory '{name}' stands in two places; only files can have hard links.");
        }

        if (++inode.Links > Ext4Format.MaximumLinks)
        {
            throw new ImageContentException($"'{name}' has more than {Ext4Format.MaximumLinks} hard links, the most that ext4 can count: make copies.");
        }
    }

    private Ext4Inode Add(uint number, FileNode node, Func<string> describe)
    {
        if (Ext4Format.BlocksOf(node.Content?.Length ?? 0) > Ext4Format.MaximumFileBlocks)
        {
            throw new ImageContentException(
                $"{describe()} has {node.Content!.Length} bytes; a file in ext4 has at most {Ext4Format.MaximumFileBlocks * Ext4Format.BlockBytes}.");
        }

        Ext4Inode inode = new(number, node) { Links = 1, Attributes = Ext4Attributes.Of(node.Metadata, describe), Content = node.Content };
        if (inode.HasLongTarget)
        {
            inode.Content = FileContent.FromMemory(node.Target);
        }

        _inodes.Add(inode);
        _known.Add(node, inode);
        return inode;
    }

    private void Digest(uint directory, FileName name, Ext4Inode inode)
    {
        Span<byte> numbers = stackalloc byte[40];
        FileMetadata metadata = inode.Node.Metadata;
        BinaryPrimitives.WriteUInt32LittleEndian(numbers, directory);
        BinaryPrimitives.WriteUInt32LittleEndian(numbers[4..], inode.Number);
        BinaryPrimitives.WriteUInt32LittleEndian(numbers[8..], Ext4Inode.ModeOf(inode.Node));
        BinaryPrimitives.WriteUInt32LittleEndian(numbers[12..], metadata.UserId);
        BinaryPrimitives.WriteUInt32LittleEndian(numbers[16..], metadata.GroupId);
        BinaryPrimitives.WriteInt64LittleEndian(numbers[20..], metadata.ModificationTime.Seconds);
        BinaryPrimitives.WriteInt32LittleEndian(numbers[28..], metadata.ModificationTime.Nanoseconds);
        BinaryPrimitives.WriteInt64LittleEndian(numbers[32..], inode.Size);
        _digest.AppendData(numbers);
        _digest.AppendData(name.Bytes);
    }

    /// <summary>A UUID of version 8, whose bits are up to whoever makes it (RFC 9562, 5.8).</summary>
    private byte[] DeriveUuid(Ext4Options options)
    {
        _digest.AppendData(Encoding.UTF8.GetBytes($"{options.Label}/{options.Length}/{options.FreeBytes}/{options.BytesPerInode}/{CreationTime}"));
        byte[] uuid = _digest.GetHashAndReset()[..16];
        uuid[6] = (byte)((uuid[6] & 0x0F) | 0x80);
        uuid[8] = (byte)((uuid[8] & 0x3F) | 0x80);
        return uuid;
    }
}
