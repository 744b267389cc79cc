namespace Uml.Storage.FileSystems.Ext4;

/// <summary>Where a file system of some size has its superblocks, descriptors, bitmaps and inode tables.</summary>
internal sealed class Ext4Geometry
{
    /// <summary>A last group without this room behind its own metadata is left out, as with mke2fs.</summary>
    private const int MinimumLastGroupBlocks = 50;

    /// <summary>A file system may grow to this many times its size while it is mounted, as with mke2fs.</summary>
    private const long GrowthFactor = 1024;

    private readonly Ext4BlockRange[] _reserved;

    /// <param name="blocks">That there is room for.</param>
    /// <param name="inodes">That there have to be at least.</param>
    public Ext4Geometry(long blocks, long inodes)
    {
        SetBlocks(blocks, inodes);
        long last = Blocks % Ext4Format.BlocksPerGroup;
        int needed = (HasSuperblock(Groups - 1) ? SuperblockBlocks : 0) + 2 + TableBlocks + MinimumLastGroupBlocks;
        if (Groups > 1 && last != 0 && last < needed)
        {
            SetBlocks(Blocks - last, inodes);
        }

        (BlockBitmaps, InodeBitmaps, InodeTables) = (new long[Groups], new long[Groups], new long[Groups]);
        _reserved = Place();
    }

    public long Blocks { get; private set; }

    public int Groups { get; private set; }

    public bool Is64Bit { get; private set; }

    public int DescriptorBytes => Is64Bit ? 64 : 32;

    /// <summary>Blocks of group descriptors, and such that are kept free for more.</summary>
    public int DescriptorBlocks { get; private set; }

    public int ReservedDescriptorBlocks { get; private set; }

    /// <summary>Blocks at the start of a group that has a superblock.</summary>
    public int SuperblockBlocks => 1 + DescriptorBlocks + ReservedDescriptorBlocks;

    public int InodesPerGroup { get; private set; }

    public long Inodes => (long)InodesPerGroup * Groups;

    public int TableBlocks => InodesPerGroup / Ext4Format.InodesPerBlock;

    /// <summary>Of each group, its block.</summary>
    public long[] BlockBitmaps { get; }

    public long[] InodeBitmaps { get; }

    /// <summary>Of each group, the first block.</summary>
    public long[] InodeTables { get; }

    /// <summary>What superblocks, descriptors, bitmaps and inode tables take, in order. May end behind the last block when there is too little room.</summary>
    public ReadOnlySpan<Ext4BlockRange> Reserved => _reserved;

    /// <summary>Blocks that the journal of a file system of this size has; 0 for one that is too small. As with mke2fs.</summary>
    public static int JournalBlocks(long blocks) => blocks switch
    {
        < 2048 => 0,
        < 32 << 10 => 1 << 10,
        < 256 << 10 => 4 << 10,
        < 512 << 10 => 8 << 10,
        < 4 << 20 => 16 << 10,
        < 8 << 20 => 32 << 10,
        < 16 << 20 => 64 << 10,
        < 32 << 20 => 128 << 10,
        _ => 256 << 10,
    };

    /// <summary>Whether a group begins with a copy of the superblock ("sparse_super"): 0, 1, and the powers of 3, 5 and 7.</summary>
    public static bool HasSuperblock(int group) => group <= 1 || IsPower(group, 3) || IsPower(group, 5) || IsPower(group, 7);

    public static long FirstBlock(int group) => (long)group * Ext4Format.BlocksPerGroup;

    public int BlocksIn(int group) => (int)Math.Min(Blocks - FirstBlock(group), Ext4Format.BlocksPerGroup);

    private static bool IsPower(int value, int factor)
    {
        while (value % factor == 0)
        {
            value /= factor;
        }

        return value == 1;
    }

    private void SetBlocks(long blocks, long inodes)
    {
        Blocks = blocks;
        Is64Bit = Blocks > uint.MaxValue;
        Groups = checked((int)((Blocks + Ext4Format.BlocksPerGroup - 1) / Ext4Format.BlocksPerGroup));
        int perBlock = Ext4Format.BlockBytes / DescriptorBytes;
        DescriptorBlocks = (Groups + perBlock - 1) / perBlock;

        // The inode for growth has block numbers of 32 bits, and one block of them.
        long growsTo = Math.Min(Blocks * GrowthFactor, uint.MaxValue);
        long groupsThen = (growsTo + Ext4Format.BlocksPerGroup - 1) / Ext4Format.BlocksPerGroup;
        long reserved = ((groupsThen + perBlock - 1) / perBlock) - DescriptorBlocks;
        ReservedDescriptorBlocks = Is64Bit ? 0 : (int)Math.Clamp(reserved, 0, Ext4Format.BlockBytes / sizeof(uint));

        long perGroup = (((inodes + Groups - 1) / Groups) + Ext4Format.InodesPerBlock - 1) / Ext4Format.InodesPerBlock * Ext4Format.InodesPerBlock;
        InodesPerGroup = (int)Math.Clamp(perGroup, Ext4Format.InodesPerBlock, Ext4Format.MaximumInodesPerGroup);
    }

    private Ext4BlockRange[] Place()
    {
        List<Ext4BlockRange> reserved = [];
        for (int group = 0; group < Groups; group++)
        {
            if (HasSuperblock(group))
            {
                reserved.Add(new Ext4BlockRange(FirstBlock(group), SuperblockBlocks));
            }
        }

        Ext4BlockRange[] superblocks = [.. reserved];
        int next = 0;
        for (int first = 0; first < Groups; first += Ext4Format.GroupsPerFlex)
        {
            long cursor = FirstBlock(first);
            int end = Math.Min(first + Ext4Format.GroupsPerFlex, Groups);
            PlaceEach(BlockBitmaps, 1);
            PlaceEach(InodeBitmaps, 1);
            PlaceEach(InodeTables, TableBlocks);

            void PlaceEach(long[] places, int count)
            {
                for (int group = first; group < end; group++)
                {
                    while (next < superblocks.Length && cursor + count > superblocks[next].Start)
                    {
                        cursor = Math.Max(cursor, superblocks[next++].End);
                    }

                    places[group] = cursor;
                    reserved.Add(new Ext4BlockRange(cursor, count));
                    cursor += count;
                }
            }
        }

        reserved.Sort((left, right) => left.Start.CompareTo(right.Start));
        return [.. reserved];
    }
}

/// <summary>Blocks beside each other.</summary>
internal readonly record struct Ext4BlockRange(long Start, long Count)
{
    public long End => Start + Count;
}
