using Uml.Storage.Blocks;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>A file system that is planned to the last block, before any content is read.</summary>
internal sealed class Ext4Plan
{
    /// <summary>Sizes that are chosen are multiples of 1 MiB.</summary>
    private const long StepBlocks = (1 << 20) / Ext4Format.BlockBytes;

    /// <summary>Block numbers in extents have 48 bits; a limit of ours below that: 1 PiB.</summary>
    private const long MaximumBlocks = 1L << 38;

    private readonly CancellationToken _cancellationToken;

    private Ext4Plan(FileTree tree, Ext4Options options, CancellationToken cancellationToken)
    {
        (Options, _cancellationToken) = (options, cancellationToken);
        Inventory = Ext4Inventory.Of(tree, options, cancellationToken);
        Layout = null!;
    }

    public Ext4Options Options { get; }

    public Ext4Inventory Inventory { get; }

    public Ext4Layout Layout { get; private set; }

    /// <summary>Bytes of the image.</summary>
    public long Length { get; private set; }

    /// <summary>Plans.</summary>
    /// <param name="tree">The files.</param>
    /// <param name="options">Valid options.</param>
    /// <param name="length">Bytes of the device; null when it may have what is needed.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="DiskImageException">There is not enough room; the message says how much is needed.</exception>
    public static Ext4Plan Create(FileTree tree, Ext4Options options, long? length, CancellationToken cancellationToken)
    {
        Ext4Plan plan = new(tree, options, cancellationToken);
        if (length is null)
        {
            plan.Layout = plan.Grow(Ext4Format.BlocksOf(options.FreeBytes));
            plan.Length = plan.Layout.Geometry.Blocks * Ext4Format.BlockBytes;
            return plan;
        }

        long blocks = length.Value / Ext4Format.BlockBytes;
        if (blocks is > 0 and <= MaximumBlocks)
        {
            (plan.Layout, plan.Length) = (plan.LayOut(blocks), length.Value);
        }

        if (plan.Layout is not { Fits: true })
        {
            long needed = plan.Grow(0).Geometry.Blocks * Ext4Format.BlockBytes;
            throw new DiskImageException(
                $"The files do not fit into {length} bytes: a file system with them needs {needed} bytes, and at most {MaximumBlocks * Ext4Format.BlockBytes} are possible. "
                + "Make the image larger, or leave files out.");
        }

        return plan;
    }

    private Ext4Layout Grow(long free)
    {
        // From below: what the files take, and the groups that have room for so many inodes.
        long blocks = Inventory.Inodes.Sum(inode => inode.Content is { } content ? DataBlocks(content) : 0) + free;
        long groups = (Inventory.LastInode + Options.FreeInodes) / Ext4Format.MaximumInodesPerGroup;
        blocks = RoundUp(Math.Max(blocks, groups * Ext4Format.BlocksPerGroup));
        while (blocks <= MaximumBlocks)
        {
            Ext4Layout layout = LayOut(blocks);
            if (layout.Fits && layout.FreeBlocks >= free)
            {
                return layout;
            }

            blocks = RoundUp(blocks + Math.Max(free - layout.FreeBlocks, 1));
        }

        throw new DiskImageException($"The files, and {free * Ext4Format.BlockBytes} bytes of free room, need more than the {MaximumBlocks * Ext4Format.BlockBytes} bytes that are possible.");
    }

    private Ext4Layout LayOut(long blocks)
    {
        _cancellationToken.ThrowIfCancellationRequested();
        long inodes = Math.Max(Inventory.LastInode + (long)Options.FreeInodes, blocks * Ext4Format.BlockBytes / Options.BytesPerInode);
        Ext4Geometry geometry = new(blocks, Math.Min(inodes, uint.MaxValue - Ext4Format.MaximumInodesPerGroup));
        return new Ext4Layout(Inventory, geometry, Options.HasJournal);
    }

    private static long RoundUp(long blocks) => (blocks + StepBlocks - 1) / StepBlocks * StepBlocks;

    private static long DataBlocks(FileContent content)
    {
        long blocks = 0;
        foreach (FileRange range in content.Data)
        {
            blocks += range.Length >> Ext4Format.LogBlockBytes;
        }

        return blocks;
    }
}
