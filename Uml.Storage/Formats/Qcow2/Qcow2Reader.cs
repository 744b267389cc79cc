using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Reads what the disk has, from the file or from the image below. Also behind the end of the disk, up to the end of its last cluster.</summary>
internal sealed class Qcow2Reader(Qcow2File file, Qcow2Geometry geometry, Qcow2Mapping mapping, Qcow2Decompressor decompressor, IBlockDevice? backing)
{
    /// <summary>Whether a range reads as zeroes where the file does not have it: the image below has none of it.</summary>
    public bool IsZeroBelow(long offset) => backing is null || offset >= backing.Length;

    /// <exception cref="BlockIOException">A table could not be read, or is damaged; or as the task says.</exception>
    public ValueTask ReadAsync(long offset, BlockBuffers buffers)
    {
        for (int done = 0; done < buffers.Length;)
        {
            Qcow2Run run = mapping.Find(offset + done, buffers.Length - done);
            ValueTask part = ReadRunAsync(run, offset + done, buffers.Slice(done, run.Length));
            done += run.Length;
            if (!part.IsCompletedSuccessfully)
            {
                return done == buffers.Length ? part : ReadRestAsync(part, offset + done, buffers.Slice(done, buffers.Length - done));
            }

            part.GetAwaiter().GetResult();
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Whether a range is read without waiting: no table has to be read for it, and nothing decompressed.</summary>
    public bool NeverWaits(long offset, int length)
    {
        long end = geometry.CountClusters(offset + length);
        for (long cluster = geometry.IndexOf(offset); cluster < end; cluster++)
        {
            bool isKnown = mapping.TryGet(cluster, out ulong entry);
            Qcow2ClusterKind kind = Qcow2Entry.KindOf(entry);
            if (!isKnown || kind == Qcow2ClusterKind.Compressed || (kind == Qcow2ClusterKind.Unallocated && !IsZeroBelow(cluster << geometry.ClusterBits)))
            {
                return false;
            }
        }

        return true;
    }

    private ValueTask ReadRunAsync(in Qcow2Run run, long offset, BlockBuffers buffers)
    {
        switch (run.Kind)
        {
            case Qcow2ClusterKind.Normal: return file.ReadAsync(run.Offset, buffers);
            case Qcow2ClusterKind.Compressed: return decompressor.ReadAsync(run.Entry, run.Within, buffers);
            case Qcow2ClusterKind.Unallocated when !IsZeroBelow(offset): return ReadBelowAsync(offset, buffers);
            default:
                buffers.Clear();
                return ValueTask.CompletedTask;
        }
    }

    /// <summary>Reads from the image below, behind whose end there are zeroes.</summary>
    private ValueTask ReadBelowAsync(long offset, BlockBuffers buffers)
    {
        int length = (int)Math.Min(backing!.Length - offset, buffers.Length);
        buffers.Slice(length, buffers.Length - length).Clear();
        return backing.ReadAsync(offset, buffers.Slice(0, length));
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadRestAsync(ValueTask first, long offset, BlockBuffers buffers)
    {
        await first.ConfigureAwait(false);
        for (int done = 0; done < buffers.Length;)
        {
            Qcow2Run run = mapping.Find(offset + done, buffers.Length - done);
            await ReadRunAsync(run, offset + done, buffers.Slice(done, run.Length)).ConfigureAwait(false);
            done += run.Length;
        }
    }
}
