namespace Uml.Storage.FileSystems.Ext4;

/// <summary>Numbers of the format (Linux, Documentation/filesystems/ext4). All values are little-endian.</summary>
internal static class Ext4Format
{
    public const int BlockBytes = 4096, LogBlockBytes = 12;

    /// <summary>A block group has as many blocks as a block has bits.</summary>
    public const int BlocksPerGroup = BlockBytes * 8, MaximumInodesPerGroup = BlockBytes * 8;

    /// <summary>Groups whose bitmaps and inode tables lie together ("Flexible Block Groups"): 1 &lt;&lt; 4, as mke2fs makes them.</summary>
    public const int LogGroupsPerFlex = 4, GroupsPerFlex = 1 << LogGroupsPerFlex;

    public const int InodeBytes = 256, InodesPerBlock = BlockBytes / InodeBytes, ExtraInodeBytes = 32;

    /// <summary>"Special inodes".</summary>
    public const int RootInode = 2, ResizeInode = 7, JournalInode = 8, FirstInode = 11, LostFoundInode = FirstInode;

    /// <summary>EXT4_LINK_MAX; a directory with more has a count of 1 ("dir_nlink").</summary>
    public const int MaximumLinks = 65000;

    /// <summary>Logical block numbers have 32 bits.</summary>
    public const long MaximumFileBlocks = uint.MaxValue;

    /// <summary>i_flags: EXT4_EXTENTS_FL and EXT4_INDEX_FL.</summary>
    public const uint ExtentsFlag = 0x80000, IndexFlag = 0x1000;

    /// <summary>bg_flags.</summary>
    public const ushort InodesUninitialized = 1, BlocksUninitialized = 2, InodesZeroed = 4;

    /// <summary>s_feature_compat: has_journal, ext_attr, resize_inode, dir_index.</summary>
    public const uint HasJournal = 4, HasAttributes = 8, HasResizeInode = 0x10, HasDirectoryIndex = 0x20;

    /// <summary>s_feature_incompat: filetype, extents, 64bit, flex_bg.</summary>
    public const uint HasFileTypes = 2, HasExtents = 0x40, Has64Bit = 0x80, HasFlexibleGroups = 0x200;

    /// <summary>s_feature_ro_compat: sparse_super, large_file, huge_file, dir_nlink, extra_isize, metadata_csum.</summary>
    public const uint HasSparseSuper = 1, HasLargeFiles = 2, HasHugeFiles = 8, HasDirectoryLinks = 0x20, HasExtraInodeSize = 0x40, HasChecksums = 0x400;

    public static long BlocksOf(long bytes) => (bytes >> LogBlockBytes) + ((bytes & (BlockBytes - 1)) == 0 ? 0 : 1);
}
