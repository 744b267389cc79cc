using System.Buffers.Binary;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>Blocks of a file beside each other, in the file and on the disk.</summary>
/// <param name="Logical">The first, in the file.</param>
/// <param name="Start">The first, on the disk.</param>
/// <param name="Count">1 to 32768.</param>
internal readonly record struct Ext4Extent(uint Logical, long Start, int Count)
{
    /// <summary>A longer one would be taken for one that has no data yet.</summary>
    public const int MaximumCount = 32768;
}

/// <summary>Where a file's data is: up to four extents in the inode, or a tree of blocks below it ("Extent Tree").</summary>
internal static class Ext4Extents
{
    private const ushort Magic = 0xF30A;
    private const int EntryBytes = 12, InInode = 4;

    /// <summary>In a block, with a header before and a checksum behind them.</summary>
    private const int InBlock = (Ext4Format.BlockBytes - EntryBytes - sizeof(uint)) / EntryBytes;

    /// <summary>Blocks of a tree.</summary>
    public static int CountTreeBlocks(int extents)
    {
        int blocks = 0;
        for (int level = extents; level > InInode;)
        {
            level = (level + InBlock - 1) / InBlock;
            blocks += level;
        }

        return blocks;
    }

    /// <summary>Makes the tree.</summary>
    /// <param name="extents">In order.</param>
    /// <param name="root">The inode's i_block.</param>
    /// <param name="places">Where the blocks of the tree are going to be.</param>
    /// <param name="seed">What the inode's checksums begin with.</param>
    /// <returns>The blocks.</returns>
    public static byte[][] Write(List<Ext4Extent> extents, Span<byte> root, IReadOnlyList<long> places, uint seed)
    {
        byte[][] blocks = new byte[places.Count][];
        List<Ext4Extent> level = extents;
        int depth = 0, made = 0;
        while (level.Count > InInode)
        {
            List<Ext4Extent> above = [];
            for (int first = 0; first < level.Count; first += InBlock, made++)
            {
                byte[] block = blocks[made] = new byte[Ext4Format.BlockBytes];
                WriteNode(block, level, first, InBlock, depth);
                int checksum = EntryBytes * (InBlock + 1);
                BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(checksum), Ext4Checksum.Update(seed, block.AsSpan(0, checksum)));
                above.Add(new Ext4Extent(level[first].Logical, places[made], 0));
            }

            level = above;
            depth++;
        }

        WriteNode(root, level, 0, InInode, depth);
        return blocks;
    }

    /// <summary>Writes a header, and extents or, above the lowest level, the blocks that have them.</summary>
    private static void WriteNode(Span<byte> node, List<Ext4Extent> level, int first, int maximum, int depth)
    {
        int count = Math.Min(maximum, level.Count - first);
        BinaryPrimitives.WriteUInt16LittleEndian(node, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(node[2..], (ushort)count);
        BinaryPrimitives.WriteUInt16LittleEndian(node[4..], (ushort)maximum);
        BinaryPrimitives.WriteUInt16LittleEndian(node[6..], (ushort)depth);
        for (int i = 0; i < count; i++)
        {
            Ext4Extent extent = level[first + i];
            Span<byte> entry = node[(EntryBytes * (i + 1))..];
            BinaryPrimitives.WriteUInt32LittleEndian(entry, extent.Logical);
            if (depth == 0)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(entry[4..], (ushort)extent.Count);
                BinaryPrimitives.WriteUInt16LittleEndian(entry[6..], (ushort)(extent.Start >> 32));
                BinaryPrimitives.WriteUInt32LittleEndian(entry[8..], (uint)extent.Start);
            }
            else
            {
                BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], (uint)extent.Start);
                BinaryPrimitives.WriteUInt16LittleEndian(entry[8..], (ushort)(extent.Start >> 32));
            }
        }
    }
}
