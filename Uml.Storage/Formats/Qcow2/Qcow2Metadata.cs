using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Where in the file the image's own structures are: no data may be written there, whatever an entry of a table or a count says. One that says so
/// makes the image damaged: it is marked so in the file, and not written any more. Members need the image's lock, except <see cref="CheckData"/>.
/// </summary>
/// <remarks>The snapshots' L2 tables are not looked at: they are not in memory. QEMU leaves them out as well, unless it is told to.</remarks>
internal sealed class Qcow2Metadata
{
    private readonly Qcow2Image _image;
    private readonly Qcow2Geometry _geometry;

    /// <summary>Clusters of more than one structure: what writes one would overwrite the other.</summary>
    private readonly HashSet<long> _contested = [];

    /// <summary>Of each cluster its number and 1, by hash; 0 where there is none. Read without the lock.</summary>
    private long[] _slots = new long[64];
    private int _used;
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

        if (2 * ++_used > _slots.Length)
        {
            Grow();
        }

        Put(_slots, cluster);
    }

    /// <summary>A cluster is free from now on.</summary>
    public void Remove(long cluster)
    {
        if (!Contains(cluster))
        {
            return;
        }

        // Others may be behind it because it was in their place: a table without it is made, which is seen as a whole.
        long[] slots = new long[_slots.Length];
        foreach (long slot in _slots)
        {
            if (slot != 0 && slot != cluster + 1)
            {
                Put(slots, slot - 1);
            }
        }

        _used--;
        Volatile.Write(ref _slots, slots);
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

    private static void Put(long[] slots, long cluster)
    {
        int mask = slots.Length - 1;
        int i = Hash(cluster) & mask;
        while (slots[i] != 0)
        {
            i = (i + 1) & mask;
        }

        Volatile.Write(ref slots[i], cluster + 1);
    }

    /// <summary>Fibonacci hashing: clusters in a row go to places far from each other.</summary>
    private static int Hash(long cluster) => (int)(((ulong)cluster * 0x9E37_79B9_7F4A_7C15) >> 33);

    private bool Contains(long cluster)
    {
        long[] slots = Volatile.Read(ref _slots);
        int mask = slots.Length - 1;
        for (int i = Hash(cluster) & mask; ; i = (i + 1) & mask)
        {
            long slot = Volatile.Read(ref slots[i]);
            if (slot == 0 || slot == cluster + 1)
            {
                return slot != 0;
            }
        }
    }

    private void Grow()
    {
        long[] slots = new long[_slots.Length * 2];
        foreach (long slot in _slots)
        {
            if (slot != 0)
            {
                Put(slots, slot - 1);
            }
        }

        Volatile.Write(ref _slots, slots);
    }

    private void AddRange(long offset, long length)
    {
        for (long i = 0; i < _geometry.CountClusters(length); i++)
        {
            Add(_geometry.IndexOf(offset) + i);
        }
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
