namespace Uml.Storage.FileSystems.Ext4;

/// <summary>Writes all that is not contents: inodes, journal, bitmaps, descriptors, and the superblock at last.</summary>
internal sealed class Ext4Metadata(Ext4Plan plan, Ext4Output output)
{
    private readonly Ext4Geometry _geometry = plan.Layout.Geometry;
    private byte[] _journal = [];

    public async Task WriteAsync(CancellationToken cancellationToken)
    {
        await WriteJournalAsync(cancellationToken).ConfigureAwait(false);
        await WriteInodesAsync(cancellationToken).ConfigureAwait(false);
        Ext4Groups groups = await WriteBitmapsAsync(cancellationToken).ConfigureAwait(false);
        if (plan.Layout.ResizeBlock != 0)
        {
            await output.WriteAsync(plan.Layout.ResizeBlock, Ext4ResizeInode.MakeBlock(_geometry), cancellationToken).ConfigureAwait(false);
            await output.WriteAsync(1 + _geometry.DescriptorBlocks, Ext4ResizeInode.MakeReserved(_geometry), cancellationToken).ConfigureAwait(false);
        }

        for (int group = 1; group < _geometry.Groups; group++)
        {
            if (Ext4Geometry.HasSuperblock(group))
            {
                await WriteSuperblockAsync(group, groups, cancellationToken).ConfigureAwait(false);
            }
        }

        await output.FlushAsync(cancellationToken).ConfigureAwait(false);
        await WriteSuperblockAsync(0, groups, cancellationToken).ConfigureAwait(false);
        await output.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task WriteJournalAsync(CancellationToken cancellationToken)
    {
        if (plan.Layout.Journal is not { } journal)
        {
            return;
        }

        foreach (Ext4Extent extent in journal.Extents)
        {
            await output.ZeroAsync(extent.Start, extent.Count, cancellationToken).ConfigureAwait(false);
        }

        byte[] first = Ext4Superblock.MakeJournal(journal.Size / Ext4Format.BlockBytes);
        await output.WriteAsync(journal.Extents[0].Start, first, cancellationToken).ConfigureAwait(false);
    }

    private async Task WriteInodesAsync(CancellationToken cancellationToken)
    {
        int next = 0;
        for (int group = 0; group < _geometry.Groups; group++)
        {
            long before = (long)group * _geometry.InodesPerGroup;
            int used = (int)Math.Clamp(plan.Inventory.LastInode - before, 0, _geometry.InodesPerGroup);
            int blocks = (used + Ext4Format.InodesPerBlock - 1) / Ext4Format.InodesPerBlock;
            if (blocks > 0)
            {
                byte[] table = new byte[blocks * Ext4Format.BlockBytes];
                if (group == 0)
                {
                    await EncodeSpecialAsync(table, cancellationToken).ConfigureAwait(false);
                }

                for (; next < plan.Inventory.Inodes.Count && plan.Inventory.Inodes[next].Number <= before + used; next++)
                {
                    await EncodeAsync(plan.Inventory.Inodes[next], table, before, cancellationToken).ConfigureAwait(false);
                }

                await output.WriteAsync(_geometry.InodeTables[group], table, cancellationToken).ConfigureAwait(false);
            }

            await output.ZeroAsync(_geometry.InodeTables[group] + blocks, _geometry.TableBlocks - blocks, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task EncodeSpecialAsync(byte[] table, CancellationToken cancellationToken)
    {
        if (plan.Layout.ResizeBlock != 0)
        {
            Ext4ResizeInode.Encode(table.AsSpan((Ext4Format.ResizeInode - 1) * Ext4Format.InodeBytes, Ext4Format.InodeBytes), plan);
        }

        if (plan.Layout.Journal is { } journal)
        {
            await EncodeAsync(journal, table, 0, cancellationToken).ConfigureAwait(false);
            _journal = table.AsSpan((Ext4Format.JournalInode - 1) * Ext4Format.InodeBytes, Ext4Format.InodeBytes).ToArray();
        }
    }

    /// <summary>Puts an inode into its table, and writes the blocks that belong to it alone.</summary>
    private async Task EncodeAsync(Ext4Inode inode, byte[] table, long before, CancellationToken cancellationToken)
    {
        Memory<byte> place = table.AsMemory((int)(inode.Number - 1 - before) * Ext4Format.InodeBytes, Ext4Format.InodeBytes);
        byte[][] tree = inode.Encode(place.Span, plan.Inventory.Checksum);
        for (int i = 0; i < tree.Length; i++)
        {
            await output.WriteAsync(inode.TreeBlocks[i], tree[i], cancellationToken).ConfigureAwait(false);
        }

        if (inode.AttributeBlock != 0)
        {
            byte[] block = inode.Attributes!.ToBlock(inode.AttributeBlock, plan.Inventory.Checksum);
            await output.WriteAsync(inode.AttributeBlock, block, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<Ext4Groups> WriteBitmapsAsync(CancellationToken cancellationToken)
    {
        Ext4Groups groups = new(plan);
        byte[] bitmaps = new byte[2 * Ext4Format.BlockBytes];
        for (int group = 0; group < _geometry.Groups; group++)
        {
            Array.Clear(bitmaps);
            if (groups.Make(group, bitmaps.AsSpan(0, Ext4Format.BlockBytes), bitmaps.AsSpan(Ext4Format.BlockBytes)))
            {
                await output.WriteAsync(_geometry.BlockBitmaps[group], bitmaps.AsMemory(0, Ext4Format.BlockBytes), cancellationToken).ConfigureAwait(false);
                await output.WriteAsync(_geometry.InodeBitmaps[group], bitmaps.AsMemory(Ext4Format.BlockBytes), cancellationToken).ConfigureAwait(false);
            }
        }

        return groups;
    }

    private async Task WriteSuperblockAsync(int group, Ext4Groups groups, CancellationToken cancellationToken)
    {
        byte[] superblock = Ext4Superblock.Make(plan, groups.FreeInodes, _journal, group);
        byte[] block = new byte[Ext4Format.BlockBytes];

        // The first 1024 bytes of the device are for a boot loader; copies begin their block.
        superblock.CopyTo(block, group == 0 ? Ext4Superblock.Bytes : 0);
        long first = Ext4Geometry.FirstBlock(group);
        await output.WriteAsync(first + 1, groups.Descriptors, cancellationToken).ConfigureAwait(false);
        await output.WriteAsync(first, block, cancellationToken).ConfigureAwait(false);
    }
}
