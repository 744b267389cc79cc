using System.Buffers;
using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Writes: to where a cluster is, or where it is not in the file, compressed, or shared with a snapshot, to a new place. The tables, in memory,
/// refer to a new place when all of its data are written.
/// </summary>
internal sealed class Qcow2Writer(
    Qcow2File file, Qcow2Geometry geometry, Qcow2Mapping mapping, Qcow2Refcounts refcounts, Qcow2Reclaimer reclaimer, Qcow2Reader reader,
    Qcow2WriteBack writeBack, Qcow2RangeLocks ranges, Qcow2Metadata metadata, Lock imageLock)
{
    /// <summary>What is written as zeroes at once.</summary>
    private const int ZeroPiece = 64 << 10;

    private static readonly byte[] Zeroes = new byte[ZeroPiece];

    /// <exception cref="BlockIOException">A table could not be read, or is damaged; or as the task says.</exception>
    public ValueTask WriteAsync(long offset, BlockBuffers buffers)
    {
        if (buffers.IsEmpty)
        {
            return ValueTask.CompletedTask;
        }

        Qcow2Run run = mapping.Find(offset, buffers.Length);
        return run.Length == buffers.Length && run.IsInPlace ? WriteInPlace(run, buffers) : WriteSlowlyAsync(offset, buffers);
    }

    /// <summary>Whether a range is written without waiting, if the file is: all of it is written where it is.</summary>
    public bool NeverWaits(long offset, int length)
    {
        long end = geometry.CountClusters(offset + length);
        for (long cluster = geometry.IndexOf(offset); cluster < end; cluster++)
        {
            if (!mapping.TryGet(cluster, out ulong entry) || !Qcow2Entry.IsInPlace(entry))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Writes zeroes as data.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WriteZeroesAsync(long offset, long length)
    {
        for (long done = 0; done < length;)
        {
            int count = (int)Math.Min(length - done, ZeroPiece);
            await WriteAsync(offset + done, BlockBuffers.OfReadOnly(Zeroes.AsMemory(0, count))).ConfigureAwait(false);
            done += count;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteSlowlyAsync(long offset, BlockBuffers buffers)
    {
        for (int done = 0; done < buffers.Length;)
        {
            Qcow2Run run = mapping.Find(offset + done, buffers.Length - done);
            if (run.IsInPlace)
            {
                await WriteInPlace(run, buffers.Slice(done, run.Length)).ConfigureAwait(false);
                done += run.Length;
            }
            else
            {
                done += await WriteNewAsync(offset + done, buffers.Slice(done, buffers.Length - done)).ConfigureAwait(false);
                await writeBack.RelieveAsync().ConfigureAwait(false);
            }
        }
    }

    private ValueTask WriteInPlace(in Qcow2Run run, BlockBuffers buffers)
    {
        metadata.CheckData(run.Offset, buffers.Length);
        return file.WriteAsync(run.Offset, buffers);
    }

    /// <summary>Writes to clusters that get a place.</summary>
    /// <returns>Bytes written, from the first on; 0 when another request has given the first cluster a place meanwhile.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> WriteNewAsync(long offset, BlockBuffers buffers)
    {
        long first = geometry.IndexOf(offset);
        long end = Math.Min(geometry.IndexOf(offset + buffers.Length - 1), first | ((1L << geometry.L2Bits) - 1)) + 1;
        Qcow2RangeLocks.Held held = await ranges.TakeAsync(first, end).ConfigureAwait(false);
        try
        {
            Place place = FindPlace(first, (int)(end - first));
            if (place.Count == 0)
            {
                return 0;
            }

            int length = (int)Math.Min(buffers.Length, ((long)place.Count << geometry.ClusterBits) - geometry.Within(offset));
            bool isLinked = false;
            try
            {
                await FillAsync(place, offset, buffers.Slice(0, length)).ConfigureAwait(false);
                Link(first, place);
                isLinked = true;
            }
            finally
            {
                if (!isLinked)
                {
                    GiveUp(place);
                }
            }

            return length;
        }
        finally
        {
            ranges.Release(held);
        }
    }

    /// <summary>Finds room for clusters that cannot be written where they are.</summary>
    private Place FindPlace(long first, int limit)
    {
        lock (imageLock)
        {
            ulong entry = mapping.Get(first);
            if (Qcow2Entry.IsInPlace(entry))
            {
                return default;
            }

            metadata.CheckEntry(entry);
            if (Qcow2Entry.IsOwned(entry))
            {
                mapping.CheckPlace(entry, first);
                return new Place(geometry.IndexOf(Qcow2Entry.OffsetOf(entry)), 1, IsFresh: false, IsKept: true);
            }

            int count = 1;
            while (count < limit && !Qcow2Entry.IsOwned(mapping.Get(first + count)))
            {
                metadata.CheckEntry(mapping.Get(first + count));
                count++;
            }

            count = refcounts.Allocate(count, out long cluster, out bool isFresh);
            return new Place(cluster, count, isFresh, IsKept: false);
        }
    }

    /// <summary>Writes the data, and around them what the disk has there.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FillAsync(Place place, long offset, BlockBuffers buffers)
    {
        long start = place.Cluster << geometry.ClusterBits;
        int before = geometry.Within(offset);
        long after = ((long)place.Count << geometry.ClusterBits) - before - buffers.Length;
        if (before != 0)
        {
            await CopyAsync(place, offset - before, before, start).ConfigureAwait(false);
        }

        await file.WriteAsync(start + before, buffers).ConfigureAwait(false);
        if (after != 0)
        {
            await CopyAsync(place, offset + buffers.Length, (int)after, start + before + buffers.Length).ConfigureAwait(false);
        }
    }

    /// <summary>Copies part of a cluster to its new place.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CopyAsync(Place place, long offset, int length, long to)
    {
        Qcow2ClusterKind kind = Qcow2Entry.KindOf(mapping.Get(geometry.IndexOf(offset)));
        if (kind == Qcow2ClusterKind.Zero || (kind == Qcow2ClusterKind.Unallocated && reader.IsZeroBelow(offset)))
        {
            for (int done = 0; done < length && !place.IsFresh; done += ZeroPiece)
            {
                await file.WriteAsync(to + done, BlockBuffers.OfReadOnly(Zeroes.AsMemory(0, Math.Min(ZeroPiece, length - done)))).ConfigureAwait(false);
            }

            return;
        }

        byte[] copy = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            await reader.ReadAsync(offset, copy.AsMemory(0, length)).ConfigureAwait(false);
            await file.WriteAsync(to, copy.AsMemory(0, length)).ConfigureAwait(false);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy);
        }
    }

    private void Link(long first, Place place)
    {
        lock (imageLock)
        {
            Qcow2Table table = mapping.GetOwnTable((int)(first >> geometry.L2Bits), refcounts, reclaimer, metadata);
            for (int i = 0; i < place.Count; i++)
            {
                int at = (int)((first + i) & ((1L << geometry.L2Bits) - 1));
                ulong old = table.GetEntry(at);
                mapping.Tables.SetEntry(table, at, (ulong)((place.Cluster + i) << geometry.ClusterBits) | Qcow2Entry.Copied);
                if (!place.IsKept)
                {
                    reclaimer.UnlinkEntry(old, geometry);
                }
            }
        }
    }

    /// <summary>Frees what no table came to refer to.</summary>
    private void GiveUp(Place place)
    {
        lock (imageLock)
        {
            for (int i = 0; i < place.Count && !place.IsKept; i++)
            {
                refcounts.Release(place.Cluster + i);
            }
        }
    }

    /// <summary>Room in the file.</summary>
    /// <param name="Cluster">The first.</param>
    /// <param name="Count">Clusters.</param>
    /// <param name="IsFresh">Whether they read as zeroes.</param>
    /// <param name="IsKept">Whether it was kept for the cluster while that read as zeroes.</param>
    private readonly record struct Place(long Cluster, int Count, bool IsFresh, bool IsKept);
}
