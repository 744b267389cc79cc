using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>
/// Gives blocks to inodes of an inventory, in a geometry. Blocks are taken in order, so that those in use are all before one place, and the
/// reserved ones: the journal first, then directories, then each file's data with what belongs to it.
/// </summary>
internal sealed class Ext4Layout
{
    private readonly Ext4Inventory _inventory;
    private int _nextReserved;

    public Ext4Layout(Ext4Inventory inventory, Ext4Geometry geometry, bool hasJournal)
    {
        (_inventory, Geometry) = (inventory, geometry);
        if (hasJournal && Ext4Geometry.JournalBlocks(geometry.Blocks) is > 0 and int blocks)
        {
            FileMetadata metadata = new(0x180) { ModificationTime = new FileTime(inventory.CreationTime) }; // rw------- (0600)
            Journal = new Ext4Inode(Ext4Format.JournalInode, FileNode.CreateFile(metadata, FileContent.FromMemory(default)))
            {
                Links = 1,
                Size = (long)blocks * Ext4Format.BlockBytes,
            };
            TakeData(Journal, 0, blocks);
            TakeTree(Journal);
        }

        ResizeBlock = geometry.ReservedDescriptorBlocks > 0 ? TakeBlock() : 0;
        foreach (Ext4Inode inode in inventory.Inodes.Where(inode => inode.Node.Kind == FileKind.Directory))
        {
            Take(inode);
        }

        foreach (Ext4Inode inode in inventory.Inodes.Where(inode => inode.Node.Kind != FileKind.Directory))
        {
            Take(inode);
        }

        long reserved = 0;
        foreach (Ext4BlockRange range in geometry.Reserved)
        {
            reserved += Math.Max(range.End - Math.Max(range.Start, End), 0);
        }

        FreeBlocks = geometry.Blocks - End - reserved;
        Fits = FreeBlocks >= 0 && geometry.Reserved[^1].End <= geometry.Blocks && geometry.Inodes >= inventory.LastInode;
    }

    public Ext4Geometry Geometry { get; }

    /// <summary>Null when there is none.</summary>
    public Ext4Inode? Journal { get; }

    /// <summary>The block of the inode for growth; 0 when there is none.</summary>
    public long ResizeBlock { get; }

    /// <summary>Behind the last block in use that is not reserved.</summary>
    public long End { get; private set; }

    /// <summary>Below zero when there is not enough room.</summary>
    public long FreeBlocks { get; }

    public bool Fits { get; }

    /// <summary>Blocks of a range of a file's data. Ranges may begin or end within one block.</summary>
    private static (long First, long Count) BlocksOf(FileRange range, long next)
    {
        long first = Math.Max(range.Offset >> Ext4Format.LogBlockBytes, next);
        return (first, Ext4Format.BlocksOf(range.Offset + range.Length) - first);
    }

    private void Take(Ext4Inode inode)
    {
        inode.Extents.Clear();
        inode.TreeBlocks.Clear();
        inode.AttributeBlock = inode.Attributes is { HasBlock: true } ? TakeBlock() : 0;
        long next = 0;
        foreach (FileRange range in inode.Content?.Data ?? [])
        {
            (long first, long count) = BlocksOf(range, next);
            TakeData(inode, first, count);
            next = Math.Max(first + count, next);
        }

        TakeTree(inode);
    }

    private void TakeTree(Ext4Inode inode)
    {
        for (int blocks = Ext4Extents.CountTreeBlocks(inode.Extents.Count); blocks > 0; blocks--)
        {
            inode.TreeBlocks.Add(TakeBlock());
        }
    }

    private void TakeData(Ext4Inode inode, long logical, long count)
    {
        while (count > 0)
        {
            (long start, int run) = TakeRun(count);
            Ext4Extent last = inode.Extents.Count > 0 ? inode.Extents[^1] : default;
            if (last.Count > 0 && last.Logical + last.Count == logical && last.Start + last.Count == start && last.Count + run <= Ext4Extent.MaximumCount)
            {
                inode.Extents[^1] = last with { Count = last.Count + run };
            }
            else
            {
                inode.Extents.Add(new Ext4Extent((uint)logical, start, run));
            }

            logical += run;
            count -= run;
        }
    }

    private long TakeBlock() => TakeRun(1).Start;

    /// <summary>Takes the next blocks that are beside each other. What lies behind the last block of the file system is taken for free.</summary>
    private (long Start, int Count) TakeRun(long maximum)
    {
        ReadOnlySpan<Ext4BlockRange> reserved = Geometry.Reserved;
        while (_nextReserved < reserved.Length && End >= reserved[_nextReserved].Start)
        {
            End = Math.Max(End, reserved[_nextReserved++].End);
        }

        long room = _nextReserved < reserved.Length ? reserved[_nextReserved].Start - End : long.MaxValue;
        int count = (int)Math.Min(Math.Min(maximum, room), Ext4Extent.MaximumCount);
        long start = End;
        End += count;
        return (start, count);
    }
}
