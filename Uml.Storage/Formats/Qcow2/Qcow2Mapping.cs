using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Where in the file the clusters of the disk are: L1 and L2 tables. What is in memory is found without a lock.</summary>
internal sealed class Qcow2Mapping
{
    private readonly Qcow2File _file;
    private readonly Qcow2Geometry _geometry;
    private readonly Lock _lock;

    public Qcow2Mapping(Qcow2File file, Qcow2Geometry geometry, Qcow2RootTable l1, long cacheBytes, Lock imageLock)
    {
        (_file, _geometry, L1, _lock) = (file, geometry, l1, imageLock);
        Tables = new Qcow2TableCache(file, geometry.ClusterSize, l1.Count, cacheBytes);
    }

    public Qcow2RootTable L1 { get; }

    public Qcow2TableCache Tables { get; }

    /// <summary>Finds a range.</summary>
    /// <param name="offset">Where it begins, on the disk.</param>
    /// <param name="length">Bytes, of which the first are looked for.</param>
    /// <exception cref="BlockIOException">A table could not be read, or is damaged.</exception>
    public Qcow2Run Find(long offset, int length)
    {
        long cluster = _geometry.IndexOf(offset);
        int within = _geometry.Within(offset);
        ulong entry = Get(cluster);
        Qcow2ClusterKind kind = Qcow2Entry.KindOf(entry);
        if (kind == Qcow2ClusterKind.Normal)
        {
            CheckPlace(entry, cluster);
        }

        long count = _geometry.ClusterSize - within;
        ulong next = entry;
        while (count < length && kind != Qcow2ClusterKind.Compressed)
        {
            next += (ulong)_geometry.ClusterSize;
            ulong found = Get(++cluster);
            if (kind == Qcow2ClusterKind.Normal ? found != next : Qcow2Entry.KindOf(found) != kind)
            {
                break;
            }

            count += _geometry.ClusterSize;
        }

        return new Qcow2Run(kind, entry, within, (int)Math.Min(count, length));
    }

    /// <summary>The entry of a cluster.</summary>
    /// <exception cref="BlockIOException">A table could not be read, or is damaged.</exception>
    public ulong Get(long cluster)
    {
        int index = (int)(cluster >> _geometry.L2Bits);
        int i = (int)(cluster & ((1 << _geometry.L2Bits) - 1));
        if (Tables.TryGetEntry(index, i, out ulong entry))
        {
            return entry;
        }

        if (Qcow2Entry.OffsetOf(L1[index]) == 0)
        {
            return 0;
        }

        lock (_lock)
        {
            return GetTable(index)!.GetEntry(i);
        }
    }

    /// <summary>The entry of a cluster, if it is known without reading a table.</summary>
    public bool TryGet(long cluster, out ulong entry)
    {
        int index = (int)(cluster >> _geometry.L2Bits);
        return Tables.TryGetEntry(index, (int)(cluster & ((1 << _geometry.L2Bits) - 1)), out entry) || Qcow2Entry.OffsetOf(L1[index]) == 0;
    }

    /// <summary>An L2 table, or null if there is none. With the image's lock.</summary>
    /// <exception cref="BlockIOException">It could not be read, or the L1 table is damaged.</exception>
    public Qcow2Table? GetTable(int index)
    {
        long offset = Qcow2Entry.OffsetOf(L1[index]);
        return offset == 0 ? null
            : _geometry.Within(offset) == 0 ? Tables.Get(index, offset)
            : throw Qcow2Errors.Damaged(_file.Path, $"entry {index} of its L1 table is {L1[index]:X}H, which is no place of a cluster");
    }

    /// <summary>An L2 table that can be changed: a new one, or a copy, if need be. With the image's lock.</summary>
    /// <exception cref="BlockIOException">It could not be read, or there is no room for it.</exception>
    public Qcow2Table GetOwnTable(int index, Qcow2Refcounts refcounts, Qcow2Reclaimer reclaimer, Qcow2Metadata metadata)
    {
        Qcow2Table? table = GetTable(index);
        if (table is not null && (L1[index] & Qcow2Entry.Copied) != 0)
        {
            metadata.CheckTable(table.Offset);
            return table;
        }

        refcounts.Allocate(1, out long cluster, out _);
        metadata.Add(cluster);
        long offset = cluster << _geometry.ClusterBits;
        if (table is null)
        {
            table = Tables.Add(index, offset);
        }
        else
        {
            reclaimer.Unlink(_geometry.IndexOf(table.Offset));
            table.Offset = offset;
            Tables.MarkAllDirty(table);
        }

        L1[index] = (ulong)offset | Qcow2Entry.Copied;
        return table;
    }

    /// <exception cref="BlockIOException">The place of a cluster is none.</exception>
    public void CheckPlace(ulong entry, long cluster)
    {
        if (_geometry.Within(Qcow2Entry.OffsetOf(entry)) != 0)
        {
            throw Qcow2Errors.Damaged(_file.Path, $"the L2 entry of cluster {cluster} is {entry:X}H, which is no place of a cluster");
        }
    }
}

/// <summary>Part of the disk that is in one piece: in a row in the file, or all zeroes, or not in the file at all, or in one compressed cluster.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Entry">Of the first cluster.</param>
/// <param name="Within">Where in the first cluster it begins.</param>
/// <param name="Length">Bytes.</param>
internal readonly record struct Qcow2Run(Qcow2ClusterKind Kind, ulong Entry, int Within, int Length)
{
    /// <summary>Where it is in the file; of <see cref="Qcow2ClusterKind.Normal"/> only.</summary>
    public long Offset => Qcow2Entry.OffsetOf(Entry) + Within;

    /// <summary>Whether it can be written where it is.</summary>
    public bool IsInPlace => Qcow2Entry.IsInPlace(Entry);
}
