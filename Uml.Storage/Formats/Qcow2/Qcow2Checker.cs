using System.Buffers.Binary;
using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Counts how often each cluster is referred to, and compares.</summary>
internal sealed class Qcow2Checker(Qcow2Image image)
{
    private readonly Qcow2Geometry _geometry = image.Header.Geometry;
    private readonly Qcow2Usage _usage = new();
    private readonly byte[] _cluster = new byte[image.Header.Geometry.ClusterSize];

    /// <summary>L2 tables by their clusters, with how often they are referred to. Each is read once, however often that is.</summary>
    private readonly Dictionary<long, ulong> _tables = [];

    /// <exception cref="BlockIOException">A table could not be read.</exception>
    public Qcow2Usage Run()
    {
        Qcow2Header header = image.Header;
        AddRange("header", 0, 1);
        AddRange("snapshot table", header.SnapshotsOffset, image.SnapshotsLength);
        Qcow2RootTable active = AddL1("the L1 table", header.L1Offset, header.L1Count);
        foreach (Qcow2SnapshotInfo snapshot in image.Snapshots)
        {
            AddL1($"the L1 table of snapshot {snapshot.Id}", snapshot.L1Offset, snapshot.L1Count);
        }

        AddTables();
        AddBitmaps();
        Dictionary<long, long> blocks = AddRefcounts();
        CompareCounts(blocks);
        CheckCopied(active);
        return _usage;
    }

    private void AddRange(string what, long offset, long length)
    {
        for (long i = 0; i < _geometry.CountClusters(length); i++)
        {
            TryAdd(what, offset + (i << _geometry.ClusterBits), 1);
        }
    }

    /// <summary>Counts references to a cluster.</summary>
    /// <returns>False if it is none.</returns>
    private bool TryAdd(string what, long offset, ulong references)
    {
        if (!IsPlace(offset))
        {
            _usage.AddCorruption($"{what} is said to be at {offset}, which is no cluster of the file of {image.Content.End} bytes");
            return false;
        }

        _usage.Add(_geometry.IndexOf(offset), references);
        return true;
    }

    private bool IsPlace(long offset) => offset >= 0 && _geometry.Within(offset) == 0 && offset < image.Content.End;

    private Qcow2RootTable AddL1(string what, long offset, int count)
    {
        AddRange(what, offset, count * 8L);
        Qcow2RootTable l1 = Qcow2RootTable.Read(image.Content, offset, count);
        for (int i = 0; i < count; i++)
        {
            long table = Qcow2Entry.OffsetOf(l1[i]);
            if (table != 0 && TryAdd($"L2 table {i} of {what}", table, 1))
            {
                long cluster = _geometry.IndexOf(table);
                _tables[cluster] = _tables.GetValueOrDefault(cluster) + 1;
            }
        }

        return l1;
    }

    private void AddTables()
    {
        foreach ((long cluster, ulong references) in _tables)
        {
            image.Content.Read(cluster << _geometry.ClusterBits, _cluster);
            for (int i = 0; i < _cluster.Length; i += 8)
            {
                AddEntry(BinaryPrimitives.ReadUInt64BigEndian(_cluster.AsSpan(i)), cluster, i / 8, references);
            }
        }
    }

    private void AddEntry(ulong entry, long table, int i, ulong references)
    {
        if (Qcow2Entry.KindOf(entry) == Qcow2ClusterKind.Compressed)
        {
            long offset = Qcow2Entry.CompressedRange(entry, _geometry.ClusterBits, out int length);
            long last = _geometry.IndexOf(offset + length - 1);
            for (long cluster = _geometry.IndexOf(offset); cluster <= last; cluster++)
            {
                // The last sector of the file need not be whole.
                TryAdd($"Compressed cluster {i} of the L2 table in cluster {table}", Math.Min(cluster, _geometry.CountClusters(1L << 60)) << _geometry.ClusterBits, references);
            }
        }
        else if (Qcow2Entry.OffsetOf(entry) != 0)
        {
            TryAdd($"Cluster {i} of the L2 table in cluster {table}", Qcow2Entry.OffsetOf(entry), references);
        }
    }

    private void AddBitmaps()
    {
        if (image.Header.Bitmaps.Count != 0)
        {
            new Qcow2Bitmaps(image, AddRange).Count(_usage);
        }
    }

    /// <returns>Where the blocks are, by the entry of the refcount table.</returns>
    private Dictionary<long, long> AddRefcounts()
    {
        Qcow2Header header = image.Header;
        Dictionary<long, long> blocks = [];
        HashSet<long> places = [];
        for (long i = 0; i < header.RefcountTableClusters; i++)
        {
            _usage.AddRefcountCluster(_geometry.IndexOf(header.RefcountTableOffset) + i);
        }

        Qcow2RootTable table = Qcow2RootTable.Read(image.Content, header.RefcountTableOffset, header.RefcountTableClusters << (_geometry.ClusterBits - 3));
        for (int i = 0; i < table.Count; i++)
        {
            long offset = (long)table[i];
            if (offset == 0)
            {
                continue;
            }

            if (!IsPlace(offset) || !places.Add(offset))
            {
                _usage.AddCorruption($"Refcount block {i} is said to be at {offset}, which is "
                    + (IsPlace(offset) ? "another block's place" : $"no cluster of the file of {image.Content.End} bytes"));
                continue;
            }

            blocks.Add(i, offset);
            _usage.AddRefcountCluster(_geometry.IndexOf(offset));
        }

        return blocks;
    }

    private void CompareCounts(Dictionary<long, long> blocks)
    {
        foreach ((long index, long offset) in blocks)
        {
            image.Content.Read(offset, _cluster);
            for (int i = 0; i < 1 << _geometry.BlockBits; i++)
            {
                long cluster = (index << _geometry.BlockBits) + i;
                Compare(cluster, Qcow2Counts.Get(_cluster, i, _geometry.RefcountOrder), _usage[cluster]);
            }
        }

        foreach ((long first, ulong[] counts) in _usage.Pages)
        {
            for (int i = 0; i < counts.Length; i++)
            {
                if (counts[i] != 0 && !blocks.ContainsKey((first + i) >> _geometry.BlockBits))
                {
                    Compare(first + i, 0, counts[i]);
                }
            }
        }
    }

    private void Compare(long cluster, ulong count, ulong references)
    {
        if (count > references)
        {
            _usage.AddLeak($"Cluster {cluster} is referred to {references} times, and counted {count} times");
        }
        else if (count < references)
        {
            _usage.AddCorruption($"Cluster {cluster} is referred to {references} times, and counted {count} times");
        }
    }

    /// <summary>Entries of the active tables have to say whether what they point to is referred to once.</summary>
    private void CheckCopied(Qcow2RootTable active)
    {
        Qcow2CopiedFlags flags = new(_geometry, _usage);
        for (int i = 0; i < active.Count; i++)
        {
            long offset = Qcow2Entry.OffsetOf(active[i]);
            if (offset == 0 || !IsPlace(offset))
            {
                continue;
            }

            if (flags.Correct(active[i]) != active[i])
            {
                _usage.AddCorruption($"L1 entry {i} is {active[i]:X}H, and its table is referred to {_usage[_geometry.IndexOf(offset)]} times");
            }

            image.Content.Read(offset, _cluster);
            for (int at = 0; at < _cluster.Length; at += 8)
            {
                ulong entry = BinaryPrimitives.ReadUInt64BigEndian(_cluster.AsSpan(at));
                if (flags.Correct(entry) != entry)
                {
                    _usage.AddCorruption($"L2 entry {at / 8} of table {i} is {entry:X}H, and its cluster is referred to {_usage[_geometry.IndexOf(Qcow2Entry.OffsetOf(entry))]} times");
                }
            }
        }
    }
}

/// <summary>What entries have to say about how often what they point to is referred to.</summary>
internal readonly struct Qcow2CopiedFlags(Qcow2Geometry geometry, Qcow2Usage usage)
{
    /// <summary>An entry as it has to be.</summary>
    public ulong Correct(ulong entry)
    {
        bool isOne = Qcow2Entry.KindOf(entry) != Qcow2ClusterKind.Compressed && Qcow2Entry.OffsetOf(entry) != 0
            && usage[geometry.IndexOf(Qcow2Entry.OffsetOf(entry))] == 1;
        return isOne ? entry | Qcow2Entry.Copied : entry & ~Qcow2Entry.Copied;
    }
}
