using System.Buffers.Binary;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>
/// The inode that owns the blocks which are kept for more group descriptors ("resize_inode"), so that a file system can grow while it is mounted. Its
/// only block of blocks names those of the first group, and each of them has, in place of data, the numbers of its copies in other groups.
/// </summary>
internal static class Ext4ResizeInode
{
    private const int PerBlock = Ext4Format.BlockBytes / sizeof(uint);

    /// <summary>Blocks that an inode names itself, and where it names the block of blocks of blocks.</summary>
    private const int DirectBlocks = 12, DoubleIndirect = 0x28 + (13 * sizeof(uint));

    /// <summary>Writes the inode.</summary>
    /// <param name="inode">256 bytes of zeroes.</param>
    /// <param name="plan">The file system.</param>
    public static void Encode(Span<byte> inode, Ext4Plan plan)
    {
        Ext4Geometry geometry = plan.Layout.Geometry;
        const long Size = ((long)PerBlock * PerBlock + PerBlock + DirectBlocks) * Ext4Format.BlockBytes;
        BinaryPrimitives.WriteUInt16LittleEndian(inode, 0x8180); // a file, rw------- (0600)
        BinaryPrimitives.WriteUInt16LittleEndian(inode[0x1A..], 1); // i_links_count
        BinaryPrimitives.WriteUInt32LittleEndian(inode[0x04..], unchecked((uint)Size));
        BinaryPrimitives.WriteUInt32LittleEndian(inode[0x6C..], (uint)(Size >> 32));
        Ext4Inode.WriteBlockCount(inode, 1 + ((long)geometry.ReservedDescriptorBlocks * (1 + Copies(geometry).Count())));
        BinaryPrimitives.WriteUInt32LittleEndian(inode[DoubleIndirect..], (uint)plan.Layout.ResizeBlock);
        Ext4Inode.WriteTimes(inode, new FileTime(plan.Inventory.CreationTime));
        Ext4Inode.Seal(inode, plan.Inventory.Checksum.SeedOf(Ext4Format.ResizeInode));
    }

    /// <summary>Makes the block that names those of the first group.</summary>
    public static byte[] MakeBlock(Ext4Geometry geometry)
    {
        byte[] block = new byte[Ext4Format.BlockBytes];
        for (int i = 0; i < geometry.ReservedDescriptorBlocks; i++)
        {
            int place = (geometry.DescriptorBlocks + i) % PerBlock * sizeof(uint);
            BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(place), (uint)(1 + geometry.DescriptorBlocks + i));
        }

        return block;
    }

    /// <summary>Makes the blocks of the first group, which lie behind the descriptors.</summary>
    public static byte[] MakeReserved(Ext4Geometry geometry)
    {
        byte[] blocks = new byte[geometry.ReservedDescriptorBlocks * Ext4Format.BlockBytes];
        for (int i = 0; i < geometry.ReservedDescriptorBlocks; i++)
        {
            int place = i * Ext4Format.BlockBytes;
            foreach (int group in Copies(geometry))
            {
                long copy = Ext4Geometry.FirstBlock(group) + 1 + geometry.DescriptorBlocks + i;
                BinaryPrimitives.WriteUInt32LittleEndian(blocks.AsSpan(place), (uint)copy);
                place += sizeof(uint);
            }
        }

        return blocks;
    }

    private static IEnumerable<int> Copies(Ext4Geometry geometry) =>
        Enumerable.Range(1, geometry.Groups - 1).Where(Ext4Geometry.HasSuperblock);
}
