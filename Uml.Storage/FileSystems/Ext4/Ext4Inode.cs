using System.Buffers.Binary;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>An inode that is planned: what it is, and where its blocks are.</summary>
internal sealed class Ext4Inode(uint number, FileNode node)
{
    /// <summary>A shorter target of a symbolic link is in the inode, with a zero byte behind it.</summary>
    private const int MapBytes = 60;

    private const int SectorsPerBlock = Ext4Format.BlockBytes / 512;

    /// <summary>Offsets of fields ("Inode Table").</summary>
    private const int Map = 0x28, ExtraSize = 0x80, Attribute = 0x80 + Ext4Format.ExtraInodeBytes, ChecksumLow = 0x7C, ChecksumHigh = 0x82;

    public uint Number => number;

    public FileNode Node => node;

    public int Links { get; set; }

    /// <summary>What its blocks hold; null when it has none.</summary>
    public FileContent? Content { get; set; }

    /// <summary>Bytes, if not those of the content.</summary>
    public long Size { get; set; } = node.Content?.Length ?? node.Target.Length;

    public bool IsIndexed { get; set; }

    public Ext4Attributes? Attributes { get; init; }

    public List<Ext4Extent> Extents { get; } = [];

    /// <summary>The blocks of the tree of extents.</summary>
    public List<long> TreeBlocks { get; } = [];

    /// <summary>The block of extended attributes; 0 for none.</summary>
    public long AttributeBlock { get; set; }

    /// <summary>A target that has no room in the inode.</summary>
    public bool HasLongTarget => node.Target.Length >= MapBytes;

    private bool HasExtents => node.Kind is FileKind.Regular or FileKind.Directory || HasLongTarget;

    /// <summary>i_mode: the kind as in stat(2), and the permissions.</summary>
    public static ushort ModeOf(FileNode node) => (ushort)(node.Metadata.Mode | node.Kind switch
    {
        FileKind.Fifo => 0x1000,
        FileKind.CharacterDevice => 0x2000,
        FileKind.Directory => 0x4000,
        FileKind.BlockDevice => 0x6000,
        FileKind.Regular => 0x8000,
        FileKind.SymbolicLink => 0xA000,
        _ => 0xC000,
    });

    /// <summary>Sets the checksum of an inode that is complete.</summary>
    public static void Seal(Span<byte> inode, uint seed)
    {
        uint checksum = Ext4Checksum.Update(seed, inode);
        BinaryPrimitives.WriteUInt16LittleEndian(inode[ChecksumLow..], (ushort)checksum);
        BinaryPrimitives.WriteUInt16LittleEndian(inode[ChecksumHigh..], (ushort)(checksum >> 16));
    }

    /// <summary>Writes the times.</summary>
    public static void WriteTimes(Span<byte> inode, FileTime time)
    {
        // Two bits more than 32, signed, and 30 bits of nanoseconds: 1901 to 2446.
        long seconds = Math.Clamp(time.Seconds, int.MinValue, int.MaxValue + (3L << 32));
        uint extra = ((uint)time.Nanoseconds << 2) | (uint)(((seconds - (int)seconds) >> 32) & 3);
        foreach (int field in (ReadOnlySpan<int>)[0x08, 0x0C, 0x10, 0x90])
        {
            BinaryPrimitives.WriteInt32LittleEndian(inode[field..], (int)seconds);
        }

        foreach (int field in (ReadOnlySpan<int>)[0x84, 0x88, 0x8C, 0x94])
        {
            BinaryPrimitives.WriteUInt32LittleEndian(inode[field..], extra);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(inode[ExtraSize..], Ext4Format.ExtraInodeBytes);
    }

    /// <summary>Writes the inode.</summary>
    /// <param name="inode">256 bytes of zeroes.</param>
    /// <param name="checksum">The file system's.</param>
    /// <returns>The blocks of the tree of extents.</returns>
    public byte[][] Encode(Span<byte> inode, Ext4Checksum checksum)
    {
        FileMetadata metadata = node.Metadata;
        BinaryPrimitives.WriteUInt16LittleEndian(inode, ModeOf(node));
        BinaryPrimitives.WriteUInt16LittleEndian(inode[0x02..], (ushort)metadata.UserId);
        BinaryPrimitives.WriteUInt16LittleEndian(inode[0x18..], (ushort)metadata.GroupId);
        BinaryPrimitives.WriteUInt16LittleEndian(inode[0x78..], (ushort)(metadata.UserId >> 16));
        BinaryPrimitives.WriteUInt16LittleEndian(inode[0x7A..], (ushort)(metadata.GroupId >> 16));
        BinaryPrimitives.WriteUInt16LittleEndian(inode[0x1A..], (ushort)(Links > Ext4Format.MaximumLinks ? 1 : Links));
        BinaryPrimitives.WriteUInt32LittleEndian(inode[0x04..], (uint)Size);
        BinaryPrimitives.WriteUInt32LittleEndian(inode[0x6C..], (uint)(Size >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(inode[0x20..], (HasExtents ? Ext4Format.ExtentsFlag : 0) | (IsIndexed ? Ext4Format.IndexFlag : 0));
        WriteBlockCount(inode, CountBlocks());
        BinaryPrimitives.WriteUInt32LittleEndian(inode[0x68..], (uint)AttributeBlock);
        BinaryPrimitives.WriteUInt16LittleEndian(inode[0x76..], (ushort)(AttributeBlock >> 32));
        WriteTimes(inode, metadata.ModificationTime);
        Attributes?.WriteInode(inode[Attribute..Ext4Format.InodeBytes]);
        uint seed = checksum.SeedOf(number);
        byte[][] tree = WriteMap(inode.Slice(Map, MapBytes), seed);
        Seal(inode, seed);
        return tree;
    }

    /// <summary>i_blocks, in sectors, with 48 bits ("huge_file").</summary>
    public static void WriteBlockCount(Span<byte> inode, long blocks)
    {
        long sectors = blocks * SectorsPerBlock;
        BinaryPrimitives.WriteUInt32LittleEndian(inode[0x1C..], (uint)sectors);
        BinaryPrimitives.WriteUInt16LittleEndian(inode[0x74..], (ushort)(sectors >> 32));
    }

    private long CountBlocks()
    {
        long blocks = TreeBlocks.Count + (AttributeBlock != 0 ? 1 : 0);
        foreach (Ext4Extent extent in Extents)
        {
            blocks += extent.Count;
        }

        return blocks;
    }

    private byte[][] WriteMap(Span<byte> map, uint seed)
    {
        if (HasExtents)
        {
            return Ext4Extents.Write(Extents, map, TreeBlocks, seed);
        }

        node.Target.Span.CopyTo(map);
        if (node.Kind is FileKind.CharacterDevice or FileKind.BlockDevice)
        {
            // linux/kdev_t.h: the first word when both numbers have 8 bits, else the second.
            bool isOld = node.Major < 256 && node.Minor < 256;
            uint device = isOld ? (node.Major << 8) | node.Minor : (node.Minor & 0xFF) | (node.Major << 8) | ((node.Minor & ~0xFFu) << 12);
            BinaryPrimitives.WriteUInt32LittleEndian(map[(isOld ? 0 : 4)..], device);
        }

        return [];
    }
}
