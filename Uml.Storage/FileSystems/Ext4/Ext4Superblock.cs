using System.Buffers.Binary;
using System.Text;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>Writes superblocks ("Super Block") and that of the journal ("Journal (jbd2)").</summary>
internal static class Ext4Superblock
{
    public const int Bytes = 1024;

    private const int ChecksumOffset = 0x3FC, JournalCopy = 0x10C, Map = 0x28, MapBytes = 60;

    /// <summary>Makes the superblock of a group.</summary>
    /// <param name="plan">The file system.</param>
    /// <param name="freeInodes">Of all groups.</param>
    /// <param name="journal">The journal's inode; empty when there is none.</param>
    /// <param name="group">Which copy it is.</param>
    public static byte[] Make(Ext4Plan plan, long freeInodes, ReadOnlySpan<byte> journal, int group)
    {
        byte[] superblock = new byte[Bytes];
        WriteSizes(superblock, plan, freeInodes);
        Set16(superblock, 0x36, ushort.MaxValue); // s_max_mnt_count: checks are not due by count
        Set16(superblock, 0x38, 0xEF53); // s_magic
        Set16(superblock, 0x3A, 1); // s_state: clean
        Set16(superblock, 0x3C, 1); // s_errors: continue
        Set32(superblock, 0x4C, 1); // s_rev_level: with the fields below
        Set32(superblock, 0x54, Ext4Format.FirstInode);
        Set16(superblock, 0x58, Ext4Format.InodeBytes);
        Set16(superblock, 0x5A, (ushort)group);
        WriteFeatures(superblock, plan);
        plan.Inventory.Uuid.CopyTo(superblock, 0x68);
        Encoding.UTF8.GetBytes(plan.Options.Label, superblock.AsSpan(0x78, 16));
        for (int i = 0; i < plan.Inventory.HashSeed.Length; i++)
        {
            Set32(superblock, 0xEC + (i * sizeof(uint)), plan.Inventory.HashSeed[i]);
        }

        superblock[0xFC] = 1; // s_def_hash_version: half MD4
        Set32(superblock, 0x100, 0xC); // s_default_mount_opts: user_xattr, acl
        foreach (int time in (ReadOnlySpan<int>)[0x30, 0x40, 0x108]) // s_wtime, s_lastcheck, s_mkfs_time
        {
            Set32(superblock, time, plan.Inventory.CreationTime);
        }

        WriteJournal(superblock, journal);
        Set16(superblock, 0x15C, Ext4Format.ExtraInodeBytes); // s_min_extra_isize and s_want_extra_isize
        Set16(superblock, 0x15E, Ext4Format.ExtraInodeBytes);
        Set32(superblock, 0x160, 1); // s_flags: characters in hashes are signed
        superblock[0x174] = Ext4Format.LogGroupsPerFlex;
        superblock[0x175] = 1; // s_checksum_type: CRC-32C
        Set32(superblock, ChecksumOffset, Ext4Checksum.OfSuperblock(superblock.AsSpan(0, ChecksumOffset)));
        return superblock;
    }

    /// <summary>Makes the first block of an empty journal, whose numbers are big-endian.</summary>
    public static byte[] MakeJournal(long blocks)
    {
        byte[] block = new byte[Ext4Format.BlockBytes];
        ReadOnlySpan<uint> words =
        [
            0xC03B3998, // h_magic
            4, // h_blocktype: superblock, version 2
            0,
            Ext4Format.BlockBytes,
            (uint)blocks,
            1, // s_first: the first block of the log
            1, // s_sequence: the first transaction
            0, // s_start: nothing to be replayed
        ];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(block.AsSpan(i * sizeof(uint)), words[i]);
        }

        BinaryPrimitives.WriteUInt32BigEndian(block.AsSpan(0x40), 1); // s_nr_users
        return block;
    }

    private static void WriteSizes(byte[] superblock, Ext4Plan plan, long freeInodes)
    {
        Ext4Geometry geometry = plan.Layout.Geometry;
        long reserved = geometry.Blocks * plan.Options.ReservedPercent / 100;
        Set32(superblock, 0x00, (uint)geometry.Inodes);
        Set32(superblock, 0x04, (uint)geometry.Blocks);
        Set32(superblock, 0x08, (uint)reserved);
        Set32(superblock, 0x0C, (uint)plan.Layout.FreeBlocks);
        Set32(superblock, 0x10, (uint)freeInodes);
        Set32(superblock, 0x18, Ext4Format.LogBlockBytes - 10); // s_log_block_size, s_log_cluster_size
        Set32(superblock, 0x1C, Ext4Format.LogBlockBytes - 10);
        Set32(superblock, 0x20, Ext4Format.BlocksPerGroup); // and clusters
        Set32(superblock, 0x24, Ext4Format.BlocksPerGroup);
        Set32(superblock, 0x28, (uint)geometry.InodesPerGroup);
        Set16(superblock, 0xCE, (ushort)geometry.ReservedDescriptorBlocks);
        Set16(superblock, 0xFE, (ushort)(geometry.Is64Bit ? geometry.DescriptorBytes : 0));
        Set32(superblock, 0x150, (uint)(geometry.Blocks >> 32));
        Set32(superblock, 0x154, (uint)(reserved >> 32));
        Set32(superblock, 0x158, (uint)(plan.Layout.FreeBlocks >> 32));
    }

    private static void WriteFeatures(byte[] superblock, Ext4Plan plan)
    {
        Set32(superblock, 0x5C, Ext4Format.HasAttributes | Ext4Format.HasDirectoryIndex | (plan.Layout.Journal is null ? 0 : Ext4Format.HasJournal)
            | (plan.Layout.ResizeBlock == 0 ? 0 : Ext4Format.HasResizeInode));
        Set32(superblock, 0x60, Ext4Format.HasFileTypes | Ext4Format.HasExtents | Ext4Format.HasFlexibleGroups
            | (plan.Layout.Geometry.Is64Bit ? Ext4Format.Has64Bit : 0));
        Set32(superblock, 0x64, Ext4Format.HasSparseSuper | Ext4Format.HasLargeFiles | Ext4Format.HasHugeFiles | Ext4Format.HasDirectoryLinks
            | Ext4Format.HasExtraInodeSize | Ext4Format.HasChecksums);
    }

    /// <summary>The number of the journal's inode, and a copy of what that says of its place.</summary>
    private static void WriteJournal(byte[] superblock, ReadOnlySpan<byte> journal)
    {
        if (journal.IsEmpty)
        {
            return;
        }

        Set32(superblock, 0xE0, Ext4Format.JournalInode);
        superblock[0xFD] = 1; // s_jnl_backup_type
        journal.Slice(Map, MapBytes).CopyTo(superblock.AsSpan(JournalCopy));
        journal.Slice(0x6C, sizeof(uint)).CopyTo(superblock.AsSpan(JournalCopy + MapBytes)); // i_size_high
        journal.Slice(0x04, sizeof(uint)).CopyTo(superblock.AsSpan(JournalCopy + MapBytes + sizeof(uint))); // i_size
    }

    private static void Set16(byte[] superblock, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(superblock.AsSpan(offset), value);

    private static void Set32(byte[] superblock, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(superblock.AsSpan(offset), value);
}
