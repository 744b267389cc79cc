using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>Extended attributes of one inode: in the inode as far as they fit, else in one block ("Extended Attributes").</summary>
internal sealed class Ext4Attributes
{
    private const uint Magic = 0xEA020000;
    private const int EntryBytes = 16, BlockHeaderBytes = 32, EndBytes = 4;

    /// <summary>Behind the inode's fields, without the magic number.</summary>
    private const int InodeRoom = Ext4Format.InodeBytes - 128 - Ext4Format.ExtraInodeBytes - sizeof(uint);

    private readonly List<Entry> _inInode = [], _inBlock = [];

    private Ext4Attributes()
    {
    }

    public bool HasBlock => _inBlock.Count > 0;

    /// <summary>Distributes the attributes of an entry.</summary>
    /// <param name="metadata">Of the entry.</param>
    /// <param name="describe">Names the entry for messages.</param>
    /// <returns>Null when it has none.</returns>
    /// <exception cref="ImageContentException">They do not fit, or one is none that ext4 can hold.</exception>
    public static Ext4Attributes? Of(FileMetadata metadata, Func<string> describe)
    {
        if (metadata.ExtendedAttributes.IsEmpty)
        {
            return null;
        }

        Ext4Attributes result = new();
        int inode = InodeRoom - EndBytes, block = Ext4Format.BlockBytes - BlockHeaderBytes - EndBytes;
        List<Entry> entries = [];
        foreach ((string name, ReadOnlyMemory<byte> value) in metadata.ExtendedAttributes)
        {
            entries.Add(Entry.Of(name, value, describe));
        }

        entries.Sort(Entry.Compare);
        foreach (Entry entry in entries)
        {
            if (entry.Bytes <= inode)
            {
                inode -= entry.Bytes;
                result._inInode.Add(entry);
            }
            else
            {
                block -= entry.Bytes;
                result._inBlock.Add(entry);
            }
        }

        return block >= 0 ? result : throw new ImageContentException(
            $"{describe()} has extended attributes that take {-block} bytes more than an inode and a block of {Ext4Format.BlockBytes} have: remove some of them.");
    }

    /// <summary>Writes those that are in the inode.</summary>
    /// <param name="room">What is behind the inode's fields, zeroed.</param>
    public void WriteInode(Span<byte> room)
    {
        if (_inInode.Count > 0)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(room, Magic);
            Write(_inInode, room[sizeof(uint)..], 0);
        }
    }

    /// <summary>Makes the block.</summary>
    /// <param name="number">Where it is going to be.</param>
    /// <param name="checksum">The file system's.</param>
    public byte[] ToBlock(long number, Ext4Checksum checksum)
    {
        byte[] block = new byte[Ext4Format.BlockBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(block, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(4), 1); // h_refcount
        BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(8), 1); // h_blocks
        uint hash = 0;
        foreach (Entry entry in _inBlock)
        {
            hash = entry.Hash == 0 ? 0 : BitOperations.RotateLeft(hash, 16) ^ entry.Hash;
            if (entry.Hash == 0)
            {
                break;
            }
        }

        BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(12), hash);
        Write(_inBlock, block.AsSpan(BlockHeaderBytes), BlockHeaderBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(16), checksum.OfAttributeBlock(number, block));
        return block;
    }

    /// <summary>Entries grow from the start, values from the end.</summary>
    /// <param name="room">Where to.</param>
    /// <param name="origin">What offsets of values count from, in bytes before the room.</param>
    private static void Write(List<Entry> entries, Span<byte> room, int origin)
    {
        int place = 0, end = room.Length;
        foreach (Entry entry in entries)
        {
            ReadOnlySpan<byte> value = entry.Value.Span;
            end -= Align(value.Length);
            value.CopyTo(room[end..]);
            Span<byte> field = room[place..];
            field[0] = (byte)entry.Name.Length;
            field[1] = entry.Index;
            BinaryPrimitives.WriteUInt16LittleEndian(field[2..], value.IsEmpty ? (ushort)0 : (ushort)(origin + end));
            BinaryPrimitives.WriteUInt32LittleEndian(field[8..], (uint)value.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(field[12..], entry.Hash);
            entry.Name.CopyTo(field[EntryBytes..]);
            place += EntryBytes + Align(entry.Name.Length);
        }
    }

    private static int Align(int length) => (length + 3) & ~3;

    private sealed class Entry(byte index, byte[] name, ReadOnlyMemory<byte> value)
    {
        private const int MaximumNameBytes = 255;

        public byte Index => index;

        public byte[] Name => name;

        public ReadOnlyMemory<byte> Value => value;

        public int Bytes => EntryBytes + Align(name.Length) + Align(value.Length);

        public uint Hash { get; } = HashOf(name, value.Span);

        public static Entry Of(string name, ReadOnlyMemory<byte> value, Func<string> describe)
        {
            (byte index, string prefix) = name switch
            {
                "system.posix_acl_access" => ((byte)2, name),
                "system.posix_acl_default" => ((byte)3, name),
                _ when name.StartsWith("user.", StringComparison.Ordinal) => ((byte)1, "user."),
                _ when name.StartsWith("trusted.", StringComparison.Ordinal) => ((byte)4, "trusted."),
                _ when name.StartsWith("security.", StringComparison.Ordinal) => ((byte)6, "security."),
                _ => throw new ImageContentException($"{describe()} has the extended attribute '{name}', which ext4 does not know: remove it."),
            };
            byte[] rest = Encoding.UTF8.GetBytes(name[prefix.Length..]);
            bool isList = index is 2 or 3;
            if (rest.Length > MaximumNameBytes || (rest.Length == 0) != isList || rest.AsSpan().Contains((byte)0))
            {
                throw new ImageContentException(
                    $"{describe()} has the extended attribute '{name}', whose name is not of 1 to {MaximumNameBytes} bytes without zero behind its prefix.");
            }

            return new Entry(index, rest, isList ? Ext4AccessList.Encode(value.Span, name, describe) : value);
        }

        /// <summary>The order in which readers search a block.</summary>
        public static int Compare(Entry left, Entry right)
        {
            int order = left.Index.CompareTo(right.Index);
            order = order != 0 ? order : left.Name.Length.CompareTo(right.Name.Length);
            return order != 0 ? order : left.Name.AsSpan().SequenceCompareTo(right.Name);
        }

        private static uint HashOf(byte[] name, ReadOnlySpan<byte> value)
        {
            uint hash = 0;
            foreach (byte letter in name)
            {
                hash = BitOperations.RotateLeft(hash, 5) ^ (uint)(sbyte)letter;
            }

            Span<byte> word = stackalloc byte[sizeof(uint)];
            for (; !value.IsEmpty; value = value[Math.Min(word.Length, value.Length)..])
            {
                word.Clear();
                value[..Math.Min(word.Length, value.Length)].CopyTo(word);
                hash = BitOperations.RotateLeft(hash, 16) ^ BinaryPrimitives.ReadUInt32LittleEndian(word);
            }

            return hash;
        }
    }
}
