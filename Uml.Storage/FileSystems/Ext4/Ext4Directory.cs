using System.Buffers.Binary;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>The entries of a directory in blocks: one block of them, or a tree by the hashes of names ("Hash Tree Directories").</summary>
internal sealed class Ext4Directory
{
    private const int EntryHeaderBytes = 8, TailBytes = 12, LeafBytes = Ext4Format.BlockBytes - TailBytes;

    /// <summary>The entry of "." or "..".</summary>
    private const int DotBytes = 12;

    /// <summary>Where the index begins in the root, behind the dots and a header of 8 bytes, and in other nodes, behind an empty entry.</summary>
    private const int RootIndex = (2 * DotBytes) + 8, NodeIndex = EntryHeaderBytes;

    private const int IndexEntryBytes = 8, IndexTailBytes = 8;
    private const int RootLimit = (Ext4Format.BlockBytes - RootIndex - IndexTailBytes) / IndexEntryBytes;
    private const int NodeLimit = (Ext4Format.BlockBytes - NodeIndex - IndexTailBytes) / IndexEntryBytes;

    /// <summary>dx_root_info: half MD4, and its own size.</summary>
    private const byte HalfMd4 = 1, RootInfoBytes = 8;

    private const byte TailType = 0xDE;

    private readonly Entry[] _entries;

    /// <summary>Of each leaf, its first entry; empty for a directory of one block.</summary>
    private readonly List<int> _leaves = [];

    private readonly int _nodes, _padding;

    /// <param name="entries">In order of their names.</param>
    /// <param name="hash">Of the file system.</param>
    /// <param name="minimumBlocks">Kept ready, as for lost+found.</param>
    public Ext4Directory(IReadOnlyList<(FileName Name, Ext4Inode Inode)> entries, Ext4NameHash hash, int minimumBlocks)
    {
        _entries = new Entry[entries.Count];
        long bytes = 2 * DotBytes;
        for (int i = 0; i < _entries.Length; i++)
        {
            _entries[i] = new Entry(entries[i].Name, entries[i].Inode, 0, 0);
            bytes += _entries[i].Bytes;
        }

        if (bytes <= LeafBytes)
        {
            _padding = minimumBlocks - 1;
            BlockCount = Math.Max(1, minimumBlocks);
            return;
        }

        for (int i = 0; i < _entries.Length; i++)
        {
            (uint major, uint minor) = hash.Of(_entries[i].Name.Bytes);
            _entries[i] = _entries[i] with { Major = major, Minor = minor };
        }

        Array.Sort(_entries, Compare);
        Distribute();
        _nodes = _leaves.Count <= RootLimit ? 0 : (_leaves.Count + NodeLimit - 1) / NodeLimit;
        BlockCount = 1 + _nodes + _leaves.Count;
        if (_nodes > RootLimit)
        {
            throw new ImageContentException(
                $"A directory has {_entries.Length} entries, which take {_leaves.Count} blocks; an index has at most {RootLimit * NodeLimit}. Split it.");
        }
    }

    public int BlockCount { get; }

    public bool IsIndexed => _leaves.Count > 0;

    /// <summary>Makes the blocks.</summary>
    /// <param name="self">The directory's inode.</param>
    /// <param name="parent">That of the directory above.</param>
    /// <param name="seed">What the inode's checksums begin with.</param>
    public byte[] Encode(uint self, uint parent, uint seed)
    {
        byte[] blocks = new byte[checked(BlockCount * Ext4Format.BlockBytes)];
        Span<byte> first = blocks.AsSpan(0, Ext4Format.BlockBytes);
        WriteEntry(first, self, "."u8, FileKind.Directory, DotBytes);
        if (IsIndexed)
        {
            WriteEntry(first[DotBytes..], parent, ".."u8, FileKind.Directory, Ext4Format.BlockBytes - DotBytes);
            EncodeIndex(blocks, seed);
            return blocks;
        }

        WriteEntry(first[DotBytes..], parent, ".."u8, FileKind.Directory, _entries.Length == 0 ? LeafBytes - DotBytes : DotBytes);
        WriteLeaf(first, 2 * DotBytes, _entries, seed);
        for (int i = 1; i <= _padding; i++)
        {
            WriteLeaf(blocks.AsSpan(i * Ext4Format.BlockBytes, Ext4Format.BlockBytes), 0, [], seed);
        }

        return blocks;
    }

    private static int Compare(Entry left, Entry right)
    {
        int order = left.Major.CompareTo(right.Major);
        order = order != 0 ? order : left.Minor.CompareTo(right.Minor);
        return order != 0 ? order : left.Name.Bytes.SequenceCompareTo(right.Name.Bytes);
    }

    private static void WriteEntry(Span<byte> place, uint inode, ReadOnlySpan<byte> name, FileKind kind, int length)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(place, inode);
        BinaryPrimitives.WriteUInt16LittleEndian(place[4..], (ushort)length);
        place[6] = (byte)name.Length;
        place[7] = kind switch
        {
            FileKind.Regular => 1,
            FileKind.Directory => 2,
            FileKind.CharacterDevice => 3,
            FileKind.BlockDevice => 4,
            FileKind.Fifo => 5,
            FileKind.Socket => 6,
            _ => 7,
        };
        name.CopyTo(place[EntryHeaderBytes..]);
    }

    private static void WriteLeaf(Span<byte> block, int place, ReadOnlySpan<Entry> entries, uint seed)
    {
        for (int i = 0; i < entries.Length; i++)
        {
            int length = i == entries.Length - 1 ? LeafBytes - place : entries[i].Bytes;
            WriteEntry(block[place..], entries[i].Inode.Number, entries[i].Name.Bytes, entries[i].Inode.Node.Kind, length);
            place += length;
        }

        if (place == 0)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(block[4..], LeafBytes);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(block[(LeafBytes + 4)..], TailBytes);
        block[LeafBytes + 7] = TailType;
        BinaryPrimitives.WriteUInt32LittleEndian(block[(LeafBytes + 8)..], Ext4Checksum.Update(seed, block[..LeafBytes]));
    }

    private void Distribute()
    {
        int room = 0;
        for (int i = 0; i < _entries.Length; i++)
        {
            if (_entries[i].Bytes > room)
            {
                _leaves.Add(i);
                room = LeafBytes;
            }

            room -= _entries[i].Bytes;
        }
    }

    private void EncodeIndex(byte[] blocks, uint seed)
    {
        Span<byte> root = blocks.AsSpan(0, Ext4Format.BlockBytes);
        Span<byte> info = root[(2 * DotBytes)..];
        (info[4], info[5], info[6]) = (HalfMd4, RootInfoBytes, (byte)(_nodes == 0 ? 0 : 1));
        for (int i = 0; i < _leaves.Count; i++)
        {
            int end = i + 1 < _leaves.Count ? _leaves[i + 1] : _entries.Length;
            Span<byte> leaf = blocks.AsSpan((1 + _nodes + i) * Ext4Format.BlockBytes, Ext4Format.BlockBytes);
            WriteLeaf(leaf, 0, _entries.AsSpan(_leaves[i], end - _leaves[i]), seed);
        }

        if (_nodes == 0)
        {
            WriteIndex(root, RootIndex, RootLimit, 0, _leaves.Count, isNode: false, seed);
            return;
        }

        for (int i = 0; i < _nodes; i++)
        {
            Span<byte> node = blocks.AsSpan((1 + i) * Ext4Format.BlockBytes, Ext4Format.BlockBytes);
            BinaryPrimitives.WriteUInt16LittleEndian(node[4..], Ext4Format.BlockBytes);
            WriteIndex(node, NodeIndex, NodeLimit, i * NodeLimit, Math.Min(NodeLimit, _leaves.Count - (i * NodeLimit)), isNode: false, seed);
        }

        WriteIndex(root, RootIndex, RootLimit, 0, _nodes, isNode: true, seed);
    }

    /// <summary>Writes the index of a block.</summary>
    /// <param name="block">The root, or a node.</param>
    /// <param name="place">Where the index begins.</param>
    /// <param name="limit">Entries that there is room for.</param>
    /// <param name="first">The first leaf, or node, below.</param>
    /// <param name="count">Of these.</param>
    /// <param name="isNode">Whether nodes are below.</param>
    /// <param name="seed">What the checksum begins with.</param>
    private void WriteIndex(Span<byte> block, int place, int limit, int first, int count, bool isNode, uint seed)
    {
        for (int i = 0; i < count; i++)
        {
            Span<byte> entry = block[(place + (i * IndexEntryBytes))..];
            int leaf = isNode ? (first + i) * NodeLimit : first + i;
            BinaryPrimitives.WriteUInt32LittleEndian(entry, HashOf(leaf));
            BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], (uint)(isNode ? 1 + first + i : 1 + _nodes + leaf));
        }

        // The first entry has no hash: it is for all that are below the second's.
        BinaryPrimitives.WriteUInt16LittleEndian(block[place..], (ushort)limit);
        BinaryPrimitives.WriteUInt16LittleEndian(block[(place + 2)..], (ushort)count);
        Span<byte> tail = block[(place + (limit * IndexEntryBytes))..];
        uint checksum = Ext4Checksum.Update(seed, block[..(place + (count * IndexEntryBytes))]);
        BinaryPrimitives.WriteUInt32LittleEndian(tail[4..], Ext4Checksum.Update(checksum, tail[..IndexTailBytes]));
    }

    /// <summary>The lowest hash in a leaf; with bit 0 set when names of that hash are in the leaf before it too.</summary>
    private uint HashOf(int leaf)
    {
        int first = _leaves[leaf];
        uint hash = _entries[first].Major;
        return first > 0 && _entries[first - 1].Major == hash ? hash | 1 : hash;
    }

    private readonly record struct Entry(FileName Name, Ext4Inode Inode, uint Major, uint Minor)
    {
        public int Bytes => (EntryHeaderBytes + Name.Bytes.Length + 3) & ~3;
    }
}
