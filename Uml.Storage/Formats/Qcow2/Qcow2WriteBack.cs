using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Brings the tables from memory to the file, in an order that leaves a usable image wherever it is interrupted: counts and data are durable
/// before a table refers to a cluster, L2 tables before the L1 table, tables before the header; and what nothing in the file refers to any
/// more is counted less only afterwards. Clusters may be counted that nothing refers to; never the other way.
/// </summary>
[SuppressMessage("Reliability", "CA1001", Justification = "Requests that meet the closing of the image wait for their turn still, and find the file closed. Nothing asks for the wait handle, all that could be disposed.")]
internal sealed class Qcow2WriteBack(
    Qcow2File file, Qcow2Geometry geometry, Qcow2HeaderSector header, Qcow2Mapping mapping, Qcow2Refcounts refcounts, Qcow2Reclaimer reclaimer,
    Qcow2Metadata metadata, bool discards, Lock imageLock)
{
    /// <summary>Clusters that wait to be reused, at which a request writes the tables back that would be the next flush's to write.</summary>
    private const int MaximumUnlinked = 4096;

    private readonly SemaphoreSlim _turn = new(1);
    private readonly Qcow2WriteBatch _blocks = new(), _refcountTable = new(), _tables = new(), _l1 = new();
    private readonly List<long> _unused = [];

    /// <summary>New places of the root tables, which the header gets when they are written; or null.</summary>
    private (long Offset, int Count)? _movedRefcountTable, _movedL1;

    /// <summary>Bytes of the disk that the L1 table stands for, which may be more than the disk has.</summary>
    public long MappedLength => mapping.L1.Count * geometry.BytesPerL1Entry;

    /// <summary>Whether there is something that the file does not have.</summary>
    private bool HasChanges => mapping.Tables.HasChanges || mapping.L1.HasChanges || refcounts.Blocks.HasChanges || refcounts.Table.HasChanges;

    /// <summary>Makes all that was written durable.</summary>
    /// <exception cref="BlockIOException">It could not be done; it is tried again by the next flush, unless that could lose data.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FlushAsync()
    {
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            await WriteAllAsync().ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Writes back if so much has changed that memory or room runs short.</summary>
    public ValueTask RelieveAsync() =>
        mapping.Tables.IsPressed || refcounts.Blocks.IsPressed || reclaimer.UnlinkedCount > MaximumUnlinked ? FlushAsync() : ValueTask.CompletedTask;

    /// <summary>Has place for a longer disk.</summary>
    /// <exception cref="BlockIOException">There is no room for the table.</exception>
    public void GrowL1(long count)
    {
        lock (imageLock)
        {
            int old = mapping.L1.Count;
            if (count <= old)
            {
                return;
            }

            long oldFirst = geometry.IndexOf(mapping.L1.Offset);
            long first = refcounts.AllocateRow((int)geometry.CountClusters(count * 8));
            mapping.Tables.Grow((int)count);
            mapping.L1.Move(first << geometry.ClusterBits, (int)count);
            metadata.AddRange(mapping.L1.Offset, count * 8);
            for (long i = 0; i < geometry.CountClusters(old * 8L); i++)
            {
                reclaimer.Unlink(oldFirst + i);
            }
        }
    }

    /// <summary>Flushes, and then has the header say how long the disk is.</summary>
    /// <exception cref="BlockIOException">It could not be done.</exception>
    public async ValueTask SetLengthAsync(long length)
    {
        await FlushAsync().ConfigureAwait(false);
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            header.SetLength(length);
            await WriteHeaderAsync().ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Writes all, and counts right what is free by then.</summary>
    public async ValueTask CloseAsync()
    {
        await FlushAsync().ConfigureAwait(false);
        if (HasChanges)
        {
            await FlushAsync().ConfigureAwait(false);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteAllAsync()
    {
        if (!Collect())
        {
            await file.FlushAsync().ConfigureAwait(false);
            await ReclaimAsync().ConfigureAwait(false);
            return;
        }

        bool succeeded = false;
        try
        {
            await WriteCollectedAsync().ConfigureAwait(false);
            succeeded = true;
        }
        finally
        {
            End(succeeded);
        }

        await ReclaimAsync().ConfigureAwait(false);
    }

    private bool Collect()
    {
        lock (imageLock)
        {
            if (!HasChanges)
            {
                return false;
            }

            _movedRefcountTable = refcounts.Table.IsMoved ? (refcounts.Table.Offset, refcounts.Table.Count) : null;
            _movedL1 = mapping.L1.IsMoved ? (mapping.L1.Offset, mapping.L1.Count) : null;
            refcounts.Blocks.Collect(_blocks);
            refcounts.Table.Collect(_refcountTable);
            mapping.Tables.Collect(_tables);
            mapping.L1.Collect(_l1);
            reclaimer.Collect();
            return true;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteCollectedAsync()
    {
        await _blocks.WriteAsync(file).ConfigureAwait(false);

        // The data, too, of all that the collected tables refer to.
        await file.FlushAsync().ConfigureAwait(false);
        await WriteDurablyAsync(_refcountTable).ConfigureAwait(false);
        if (_movedRefcountTable is { } table)
        {
            header.SetRefcountTable(table.Offset, (int)geometry.CountClusters(table.Count * 8L));
            await WriteHeaderAsync().ConfigureAwait(false);
        }

        await WriteDurablyAsync(_tables).ConfigureAwait(false);
        await WriteDurablyAsync(_l1).ConfigureAwait(false);
        if (_movedL1 is { } l1)
        {
            header.SetL1(l1.Offset, l1.Count);
            await WriteHeaderAsync().ConfigureAwait(false);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteHeaderAsync()
    {
        await file.WriteAsync(0, header.Bytes).ConfigureAwait(false);
        await file.FlushAsync().ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteDurablyAsync(Qcow2WriteBatch batch)
    {
        if (!batch.IsEmpty)
        {
            await batch.WriteAsync(file).ConfigureAwait(false);
            await file.FlushAsync().ConfigureAwait(false);
        }
    }

    private void End(bool succeeded)
    {
        lock (imageLock)
        {
            refcounts.Blocks.EndWriting(succeeded);
            refcounts.Table.EndWriting(succeeded);
            mapping.Tables.EndWriting(succeeded);
            mapping.L1.EndWriting(succeeded);
            reclaimer.EndWriting(succeeded);
        }

        _blocks.Clear();
        _refcountTable.Clear();
        _tables.Clear();
        _l1.Clear();
    }

    /// <summary>Frees what nothing uses any more, and gives its room back to the host before it can be used again.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReclaimAsync()
    {
        lock (imageLock)
        {
            // Of a damaged image, no count is relied on.
            if (metadata.IsDamaged)
            {
                return;
            }

            reclaimer.TakeUnused(_unused);
        }

        _unused.Sort();
        int done = 0;
        try
        {
            while (done < _unused.Count)
            {
                int count = CountLast(done);
                if (count != 0 && discards)
                {
                    await file.ZeroAsync(_unused[done] << geometry.ClusterBits, (long)count << geometry.ClusterBits, mayDiscard: true).ConfigureAwait(false);
                }

                lock (imageLock)
                {
                    for (int end = done + Math.Max(count, 1); done < end;)
                    {
                        refcounts.Release(_unused[done++]);
                    }
                }
            }
        }
        finally
        {
            _unused.RemoveRange(0, done);
        }
    }

    /// <summary>How many clusters in a row are referred to by nothing else.</summary>
    private int CountLast(int start)
    {
        lock (imageLock)
        {
            int count = 0;
            while (start + count < _unused.Count && _unused[start + count] == _unused[start] + count && refcounts.Get(_unused[start + count]) == 1)
            {
                count++;
            }

            return count;
        }
    }
}
