namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Clusters that the tables in memory do not refer to any more. They can be used again when, first, the tables in the file do not either, and
/// second, no request is under way that began before. Members need the image's lock.
/// </summary>
internal sealed class Qcow2Reclaimer(Qcow2RequestEpochs epochs)
{
    /// <summary>From the tables' change on: until a write-back collects them, is done, and for an epoch or two.</summary>
    private List<long> _unlinked = [], _collected = [], _retired = [], _waiting = [];

    /// <summary>References to clusters that wait for a write-back.</summary>
    public int UnlinkedCount => _unlinked.Count;

    public bool IsEmpty => _unlinked.Count + _collected.Count + _retired.Count + _waiting.Count == 0;

    /// <summary>A table refers to a cluster once less.</summary>
    public void Unlink(long cluster) => _unlinked.Add(cluster);

    /// <summary>A table does not have an entry any more.</summary>
    public void UnlinkEntry(ulong entry, Qcow2Geometry geometry)
    {
        if (Qcow2Entry.KindOf(entry) == Qcow2ClusterKind.Compressed)
        {
            long offset = Qcow2Entry.CompressedRange(entry, geometry.ClusterBits, out int length);
            for (long cluster = geometry.IndexOf(offset); cluster <= geometry.IndexOf(offset + length - 1); cluster++)
            {
                Unlink(cluster);
            }
        }
        else if (Qcow2Entry.OffsetOf(entry) != 0)
        {
            Unlink(geometry.IndexOf(Qcow2Entry.OffsetOf(entry)));
        }
    }

    /// <summary>A write-back begins, of all that was unlinked.</summary>
    public void Collect() => (_unlinked, _collected) = (_collected, _unlinked);

    /// <summary>The write-back is done, or has failed.</summary>
    public void EndWriting(bool succeeded)
    {
        (succeeded ? _retired : _unlinked).AddRange(_collected);
        _collected.Clear();
    }

    /// <summary>Moves those out that nothing can use any more.</summary>
    public void TakeUnused(List<long> unused)
    {
        // Requests of this epoch and the one before may have found clusters that were retired in this one.
        for (int i = 0; i < 2 && epochs.TryAdvance(); i++)
        {
            unused.AddRange(_waiting);
            _waiting.Clear();
            (_waiting, _retired) = (_retired, _waiting);
        }
    }
}
