using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Where in the file the image's own structures are: no data may be written there, whatever an entry of a table or a count says. One that says so
/// makes the image damaged: it is marked so in the file, and not written any more. Members need the image's lock, except <see cref="CheckData"/>.
/// </summary>
/// <remarks>The snapshots' L2 tables are not looked at: they are not in memory. QEMU leaves them out as well, unless it is told to.</remarks>
internal sealed class Qcow2Metadata
{
    /// <summary>In a slot: what was there is gone. Others may be behind it because it was in their place.</summary>
    private const long Removed = -1;

    private readonly Qcow2Image _image;
    private readonly Qcow2Geometry _geometry;

    /// <summary>Clusters of more than one structure: what writes one would overwrite the other.</summary>
    private readonly HashSet<long> _contested = [];

    /// <summary>Of each cluster its number and 1, by hash; 0 where there never was one, and <see cref="Removed"/>. Read without the lock.</summary>
    private long[] _slots = new long[64];

    /// <summary>Slots that are not 0, and those of them that have a cluster.</summary>
    private int _used, _count;
    private string? _damage;

    public Qcow2Metadata(Qcow2Image image, Qcow2RootTable l1, Qcow2RootTable counts)
    {
        (_image, _geometry) = (image, image.Header.Geometry);
        if (image.File.IsReadOnly)
        {
            return;
        }

        Add(0);
        AddRange(l1.Offset, l1.Count * 8L);
        AddRange(counts.Offset, counts.Count * 8L);
        AddRange(image.Header.SnapshotsOffset, image.SnapshotsLength);
        foreach (Qcow2SnapshotInfo snapshot in image.Snapshots)
        {
            AddRange(snapshot.L1Offset, snapshot.L1Count * 8L);
        }

        AddTables(l1);
        AddTables(counts);
    }

    /// <summary>Whether the image was found to be damaged.</summary>
    public bool IsDamaged => Volatile.Read(ref _damage) is not null;

    /// <summary>A cluster belongs to a structure from now on.</summary>
    public void Add(long cluster)
    {
        if (Contains(cluster))
        {
            _contested.Add(cluster);
            return;
        }

        if (2 * (_used + 1) > _slots.Length)
        {
            Grow();
        }

        _used += Put(_slots, cluster) ? 1 : 0;
        _count++;
    }

    /// <summary>The clusters of a structure belong to it from now on.</summary>
    /// <param name="offset">Where in the file.</param>
    /// <param name="length">Bytes.</param>
    public void AddRange(long offset, long length)
    {
        for (long i = 0; i < _geometry.CountClusters(length); i++)
        {
            Add(_geometry.IndexOf(offset) + i);
        }
    }

    /// <summary>A cluster is free from now on.</summary>
    public void Remove(long cluster)
    {
        int i = Find(_slots, cluster);
        if (i >= 0)
        {
            Volatile.Write(ref _slots[i], Removed);
            _count--;
        }
    }

    /// <summary>Makes sure that data can be written.</summary>
    /// <param name="offset">Where in the file.</param>
    /// <param name="length">Bytes, at least 1.</param>
    /// <exception cref="BlockIOException">The image is damaged.</exception>
    public void CheckData(long offset, int length)
    {
        if (IsDamaged)
        {
            throw Refuse(null);
        }

        long last = _geometry.IndexOf(offset + length - 1);
        for (long cluster = _geometry.IndexOf(offset); cluster <= last; cluster++)
        {
            if (Contains(cluster))
            {
                throw Refuse($"data of {length} bytes at {offset} were to be written over its own structures in the cluster at {cluster << _geometry.ClusterBits}");
            }
        }
    }

    /// <summary>Makes sure that what an L2 entry refers to can be written or freed.</summary>
    /// <exception cref="BlockIOException">The image is damaged.</exception>
    public void CheckEntry(ulong entry)
    {
        long offset = Qcow2Entry.OffsetOf(entry);
        int length = 1;
        if (Qcow2Entry.KindOf(entry) == Qcow2ClusterKind.Compressed)
        {
            offset = Qcow2Entry.CompressedRange(entry, _geometry.ClusterBits, out length);
        }

        if (offset != 0)
        {
            CheckData(offset, length);
        }
        else if (IsDamaged)
        {
            throw Refuse(null);
        }
    }

    /// <summary>Makes sure that a cluster that is counted as free is.</summary>
    /// <exception cref="BlockIOException">The image is damaged.</exception>
    public void CheckFree(long cluster)
    {
        if (Contains(cluster))
        {
            throw Refuse($"the cluster at {cluster << _geometry.ClusterBits}, which has its own structures, is counted as free");
        }
    }

    /// <summary>Makes sure that a table can be written where it is.</summary>
    /// <exception cref="BlockIOException">The image is damaged.</exception>
    public void CheckTable(long offset)
    {
        if (_contested.Count != 0 && _contested.Contains(_geometry.IndexOf(offset)))
        {
            throw Refuse($"a table at {offset} lies where another of its structures is");
        }
    }

    /// <returns>Whether the slot was never used.</returns>
    private static bool Put(long[] slots, long cluster)
    {
        int mask = slots.Length - 1;
        int i = Hash(cluster) & mask;
        while (slots[i] is not (0 or Removed))
        {
            i = (i + 1) & mask;
        }

        bool isNew = slots[i] == 0;
        Volatile.Write(ref slots[i], cluster + 1);
        return isNew;
    }

    /// <summary>Fibonacci hashing: clusters in a row go to places far from each other.</summary>
    private static int Hash(long cluster) => (int)(((ulong)cluster * 0x9E37_79B9_7F4A_7C15) >> 33);

    private bool Contains(long cluster) => Find(Volatile.Read(ref _slots), cluster) >= 0;

    /// <returns>The slot of a cluster, or -1.</returns>
    private static int Find(long[] slots, long cluster)
    {
        int mask = slots.Length - 1;
        for (int i = Hash(cluster) & mask; ; i = (i + 1) & mask)
        {
            long slot = Volatile.Read(ref slots[i]);
            if (slot == 0 || slot == cluster + 1)
            {
                return slot == 0 ? -1 : i;
            }
        }
    }

    /// <summary>Makes another table, which is seen as a whole: larger, unless what was removed fills this one.</summary>
    private void Grow()
    {
        long[] slots = new long[4 * _count > _slots.Length ? _slots.Length * 2 : _slots.Length];
        foreach (long slot in _slots)
        {
            if (slot is not (0 or Removed))
            {
                Put(slots, slot - 1);
            }
        }

        _used = _count;
        Volatile.Write(ref _slots, slots);
    }

    private void AddTables(Qcow2RootTable table)
    {
        for (int i = 0; i < table.Count; i++)
        {
            if (Qcow2Entry.OffsetOf(table[i]) is not 0 and long offset)
            {
                Add(_geometry.IndexOf(offset));
            }
        }
    }

    /// <summary>Marks the image as damaged, once, and makes the error of a request that is refused for it.</summary>
    private BlockIOException Refuse(string? damage)
    {
        BlockIOException? notMarked = null;
        if (Interlocked.CompareExchange(ref _damage, damage, null) is null && _image.Header.Geometry.Version >= 3)
        {
            try
            {
                _image.Sector.MarkAsDamaged(_image.File, _image.Header.Incompatible | Qcow2Header.CorruptFeature);
            }
            catch (BlockIOException e)
            {
                notMarked = e;
            }
        }

        string message = Qcow2Errors.Damaged(_image.File.Path, $"{_damage}; nothing is written to it any more").Message;
        return notMarked is null ? new BlockIOException(message) : new BlockIOException($"{message} It could not be marked: {notMarked.Message}", notMarked);
    }
}
