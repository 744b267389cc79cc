using System.Runtime.CompilerServices;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Zeroes and discards: by the tables for whole clusters where the version can say it, else by writing.</summary>
internal sealed class Qcow2Zeroer(
    Qcow2Geometry geometry, Qcow2Mapping mapping, Qcow2Refcounts refcounts, Qcow2Reclaimer reclaimer, Qcow2Reader reader, Qcow2Writer writer,
    Qcow2WriteBack writeBack, Qcow2RangeLocks ranges, Qcow2Metadata metadata, Lock imageLock)
{
    /// <summary>Zeroes a range of the disk.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="end">Where the disk ends: a part of a cluster before it is a whole one.</param>
    /// <param name="mayDiscard">Whether room is given back.</param>
    /// <param name="mustZero">False for a discard, which leaves what cannot be zeroed by the tables.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ZeroAsync(long offset, long length, long end, bool mayDiscard, bool mustZero)
    {
        while (length > 0)
        {
            int within = geometry.Within(offset);
            long part = Math.Min(length, geometry.ClusterSize - within);
            if (within != 0 || (part != geometry.ClusterSize && offset + part != end))
            {
                await ZeroPartAsync(offset, mustZero ? part : 0).ConfigureAwait(false);
            }
            else
            {
                long whole = offset + length == end ? length : length / geometry.ClusterSize * geometry.ClusterSize;
                part = await ZeroWholeAsync(offset, whole, mayDiscard, mustZero).ConfigureAwait(false);
            }

            offset += part;
            length -= part;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ZeroPartAsync(long offset, long length)
    {
        Qcow2ClusterKind kind = Qcow2Entry.KindOf(mapping.Get(geometry.IndexOf(offset)));
        if (kind != Qcow2ClusterKind.Zero && (kind != Qcow2ClusterKind.Unallocated || !reader.IsZeroBelow(offset)))
        {
            await writer.WriteZeroesAsync(offset, length).ConfigureAwait(false);
        }
    }

    /// <summary>Zeroes clusters that are in one L2 table, or the first of them.</summary>
    /// <returns>Bytes.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<long> ZeroWholeAsync(long offset, long length, bool mayDiscard, bool mustZero)
    {
        long first = geometry.IndexOf(offset);
        long end = Math.Min(geometry.CountClusters(offset + length), (first | ((1L << geometry.L2Bits) - 1)) + 1);
        long done = 0;
        Qcow2RangeLocks.Held held = await ranges.TakeAsync(first, end).ConfigureAwait(false);
        try
        {
            lock (imageLock)
            {
                done = ChangeEntries(first, end, mayDiscard, mustZero) - first;
            }
        }
        finally
        {
            ranges.Release(held);
        }

        await writeBack.RelieveAsync().ConfigureAwait(false);
        if (done == 0)
        {
            long one = Math.Min(length, geometry.ClusterSize);
            await writer.WriteZeroesAsync(offset, one).ConfigureAwait(false);
            return one;
        }

        return Math.Min(length, done << geometry.ClusterBits);
    }

    /// <returns>The first cluster that has to be written as data; or the end.</returns>
    private long ChangeEntries(long first, long end, bool mayDiscard, bool mustZero)
    {
        int index = (int)(first >> geometry.L2Bits);
        bool isAbsent = mapping.GetTable(index) is null;
        if (isAbsent && (!mustZero || reader.IsZeroBelow(first << geometry.ClusterBits)))
        {
            return end;
        }

        for (long cluster = first; cluster < end; cluster++)
        {
            ulong old = mapping.Get(cluster);
            if (!TryGetZero(old, cluster, mayDiscard, mustZero, out ulong zero))
            {
                return cluster;
            }

            if (zero != old)
            {
                metadata.CheckEntry(old);
                Qcow2Table table = mapping.GetOwnTable(index, refcounts, reclaimer, metadata);
                mapping.Tables.SetEntry(table, (int)(cluster & ((1L << geometry.L2Bits) - 1)), zero);
                if (Qcow2Entry.OffsetOf(zero) == 0)
                {
                    reclaimer.UnlinkEntry(old, geometry);
                }
            }
        }

        return end;
    }

    /// <summary>What the entry of a cluster becomes so that it reads as zeroes.</summary>
    /// <returns>False if no entry says so, and zeroes have to be written.</returns>
    private bool TryGetZero(ulong old, long cluster, bool mayDiscard, bool mustZero, out ulong zero)
    {
        bool isZeroBelow = reader.IsZeroBelow(cluster << geometry.ClusterBits);
        zero = old;
        if (old == 0 && (isZeroBelow || !mustZero))
        {
            return true;
        }

        if (!mayDiscard && Qcow2Entry.IsOwned(old))
        {
            zero = old | Qcow2Entry.Zero;
            return geometry.HasZeroFlag;
        }

        zero = isZeroBelow ? 0 : Qcow2Entry.Zero;
        if (isZeroBelow || geometry.HasZeroFlag)
        {
            return true;
        }

        zero = old;
        return !mustZero;
    }
}
