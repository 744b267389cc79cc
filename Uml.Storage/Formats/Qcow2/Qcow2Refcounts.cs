using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Which clusters of the file are used and how often they are referred to, and which are free. Counts change in memory, and reach the file
/// with the next write-back, before the tables that refer to the clusters. Members need the image's lock.
/// </summary>
internal sealed class Qcow2Refcounts
{
    /// <summary>A cluster has to be within 2^56 bytes, which is what table entries have room for.</summary>
    private const long MaximumOffset = 1L << 56;

    private readonly Qcow2File _file;
    private readonly Qcow2Geometry _geometry;
    private readonly Qcow2Reclaimer _reclaimer;
    private readonly Qcow2Metadata _metadata;

    /// <summary>Below this there is no free cluster.</summary>
    private long _hint;

    /// <summary>From here on no cluster was ever used: they read as zeroes, since the file ends before.</summary>
    private long _fresh;

    public Qcow2Refcounts(Qcow2File file, Qcow2Geometry geometry, Qcow2RootTable table, Qcow2Reclaimer reclaimer, Qcow2Metadata metadata, long cacheBytes)
    {
        (_file, _geometry, _reclaimer, _metadata, Table) = (file, geometry, reclaimer, metadata, table);
        Blocks = new Qcow2TableCache(file, geometry.ClusterSize, table.Count, cacheBytes);
        _fresh = geometry.CountClusters(file.End);
    }

    public Qcow2RootTable Table { get; }

    public Qcow2TableCache Blocks { get; }

    /// <summary>How often a cluster is referred to.</summary>
    /// <param name="cluster">Its number in the file.</param>
    /// <exception cref="BlockIOException">The count could not be read.</exception>
    public ulong Get(long cluster) => FindBlock(cluster) is { } block ? Qcow2Counts.Get(block.Data, Within(cluster), _geometry.RefcountOrder) : 0;

    /// <summary>Allocates clusters in a row.</summary>
    /// <param name="count">How many are wanted; at least 1.</param>
    /// <param name="first">Gets the first.</param>
    /// <param name="isFresh">Gets whether all of them read as zeroes.</param>
    /// <returns>How many there are: 1 to <paramref name="count"/>.</returns>
    /// <exception cref="BlockIOException">There is no room that the format can refer to, or a count could not be read.</exception>
    public int Allocate(int count, out long first, out bool isFresh)
    {
        int got;
        do
        {
            first = FindFree(_hint);
            _hint = first;
            got = CountFree(first, count);
        }
        while (got == 0);

        for (int i = 0; i < got; i++)
        {
            Claim(first + i);
        }

        isFresh = first >= _fresh;
        _fresh = Math.Max(_fresh, first + got);
        _hint = first + got;
        return got;
    }

    /// <summary>Allocates clusters that have to be in a row, behind all that are used.</summary>
    /// <exception cref="BlockIOException">There is no room that the format can refer to.</exception>
    public long AllocateRow(int count)
    {
        long first = Math.Max(_fresh, _geometry.CountClusters(_file.End));
        for (bool isFree = false; !isFree;)
        {
            EnsureBlocks(first, count);
            isFree = true;
            for (long i = first + count - 1; i >= first && isFree; i--)
            {
                isFree = Get(i) == 0;
                first = isFree ? first : i + 1;
            }
        }

        for (int i = 0; i < count; i++)
        {
            Claim(first + i);
        }

        _fresh = first + count;
        return first;
    }

    /// <summary>Takes one reference to a cluster away. Nothing in the file may refer to it by it any more.</summary>
    /// <returns>How many are left.</returns>
    /// <exception cref="BlockIOException">The count could not be read, or is 0 already: the image is damaged.</exception>
    public ulong Release(long cluster)
    {
        ulong count = Get(cluster);
        if (count == 0)
        {
            throw Qcow2Errors.Damaged(_file.Path, $"cluster {cluster} is in use and is counted as free");
        }

        Set(cluster, count - 1);
        if (count == 1)
        {
            _metadata.Remove(cluster);
            _hint = Math.Min(_hint, cluster);
        }

        return count - 1;
    }

    private int Within(long cluster) => (int)(cluster & ((1 << _geometry.BlockBits) - 1));

    private long FindFree(long from)
    {
        while (true)
        {
            Qcow2Table? block = FindBlock(from);
            if (block is null)
            {
                EnsureBlocks(from, 1);
                continue;
            }

            for (int i = Within(from); i < 1 << _geometry.BlockBits; i++, from++)
            {
                if (Qcow2Counts.Get(block.Data, i, _geometry.RefcountOrder) == 0)
                {
                    return from;
                }
            }
        }
    }

    /// <summary>How many clusters from one on are free, in one block.</summary>
    private int CountFree(long first, int limit)
    {
        int count = 0;
        Qcow2Table? block = FindBlock(first);
        int within = Within(first);
        while (block is not null && count < limit && within + count < 1 << _geometry.BlockBits
            && Qcow2Counts.Get(block.Data, within + count, _geometry.RefcountOrder) == 0)
        {
            count++;
        }

        return count;
    }

    private void Claim(long cluster)
    {
        _metadata.CheckFree(cluster);
        Set(cluster, 1);
    }

    private void Set(long cluster, ulong value)
    {
        Qcow2Table block = FindBlock(cluster)!;
        _metadata.CheckTable(block.Offset);
        int i = Within(cluster);
        Qcow2Counts.Set(block.Data, i, _geometry.RefcountOrder, value);
        Blocks.MarkDirty(block, Qcow2Counts.ByteOf(i, _geometry.RefcountOrder));
    }

    private Qcow2Table? FindBlock(long cluster)
    {
        long index = cluster >> _geometry.BlockBits;
        if (index >= Table.Count || Table[(int)index] == 0)
        {
            return null;
        }

        long offset = (long)Table[(int)index];
        return offset > 0 && offset < MaximumOffset && _geometry.Within(offset) == 0 ? Blocks.Get((int)index, offset)
            : throw Qcow2Errors.Damaged(_file.Path, $"entry {index} of its refcount table is {offset}, which is no place of a cluster");
    }

    /// <summary>Sees to it that clusters have counts. A new block lies in the first of the clusters that it counts.</summary>
    private void EnsureBlocks(long first, int count)
    {
        if (first + count > MaximumOffset >> _geometry.ClusterBits)
        {
            throw new BlockIOException($"'{_file.Path}' cannot grow beyond {MaximumOffset} bytes, which is what qcow2 can have.", BlockError.NoSpace);
        }

        long last = (first + count - 1) >> _geometry.BlockBits;
        if (last >= Table.Count)
        {
            GrowTable(last + 1);
        }

        for (long i = first >> _geometry.BlockBits; i <= last; i++)
        {
            if (Table[(int)i] == 0)
            {
                AddBlock((int)i, i << _geometry.BlockBits);
            }
        }
    }

    private void AddBlock(int index, long cluster)
    {
        if (cluster == 0)
        {
            throw Qcow2Errors.Damaged(_file.Path, "its refcount table says that its first clusters are free, and the header is one of them");
        }

        Blocks.Add(index, cluster << _geometry.ClusterBits);
        Table[index] = (ulong)cluster << _geometry.ClusterBits;
        Claim(cluster);
        _metadata.Add(cluster);
        _fresh = Math.Max(_fresh, cluster + 1);
    }

    /// <summary>Moves the refcount table behind all that it counts so far, into clusters that new blocks count, which lie before it.</summary>
    private void GrowTable(long needed)
    {
        int old = Table.Count;
        long oldFirst = _geometry.IndexOf(Table.Offset);
        int entriesPerCluster = _geometry.ClusterSize / 8;
        needed = Math.Max(needed, old + (old / 2));
        int clusters = 1;
        int blocks = 1;
        while (blocks << _geometry.BlockBits < blocks + clusters || clusters * (long)entriesPerCluster < Math.Max(needed, old + blocks))
        {
            // A new cluster of the table may need another block, which needs an entry.
            clusters += clusters * (long)entriesPerCluster < Math.Max(needed, old + blocks) ? 1 : 0;
            blocks += blocks << _geometry.BlockBits < blocks + clusters ? 1 : 0;
        }

        int entries = clusters * entriesPerCluster;
        if (entries > Qcow2Geometry.MaximumRefcountTableEntries)
        {
            throw new BlockIOException($"'{_file.Path}' cannot grow: its refcount table would have more than {Qcow2Geometry.MaximumRefcountTableEntries} "
                + "entries. Convert it to one with larger clusters.", BlockError.NoSpace);
        }

        long start = (long)old << _geometry.BlockBits;
        Table.Move((start + blocks) << _geometry.ClusterBits, entries);
        Blocks.Grow(entries);
        for (int i = 0; i < blocks; i++)
        {
            Blocks.Add(old + i, (start + i) << _geometry.ClusterBits);
            Table[old + i] = (ulong)(start + i) << _geometry.ClusterBits;
        }

        for (int i = 0; i < blocks + clusters; i++)
        {
            Claim(start + i);
            _metadata.Add(start + i);
        }

        _fresh = Math.Max(_fresh, start + blocks + clusters);
        for (long i = 0; i < _geometry.CountClusters(old * 8L); i++)
        {
            _reclaimer.Unlink(oldFirst + i);
        }
    }
}
