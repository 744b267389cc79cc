using System.Buffers.Binary;
using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Gives an image a new refcount table and new blocks, behind all that is in the file. The old ones stay until the header has the new place, so
/// that it can be interrupted anywhere.
/// </summary>
internal sealed class Qcow2Repair
{
    private readonly Qcow2Image _image;
    private readonly Qcow2Geometry _geometry;
    private readonly Qcow2Usage _usage;

    /// <summary>Entries of the refcount table that have a block; the blocks lie in this order.</summary>
    private readonly SortedSet<long> _blocks = [];
    private readonly long _start;
    private readonly int _tableClusters;

    private Qcow2Repair(Qcow2Image image, Qcow2Usage usage)
    {
        (_image, _geometry, _usage) = (image, image.Header.Geometry, usage);
        _start = Math.Max(_geometry.CountClusters(image.Content.End), usage.End);
        usage.RemoveRefcountClusters();
        foreach ((long first, ulong[] counts) in usage.Pages)
        {
            for (int i = 0; i < counts.Length; i++)
            {
                if (counts[i] != 0)
                {
                    _blocks.Add((first + i) >> _geometry.BlockBits);
                    CheckCount(first + i, counts[i]);
                }
            }
        }

        _tableClusters = CountTable();
        for (long i = 0; i < _blocks.Count + _tableClusters; i++)
        {
            usage.Add(_start + i, 1);
        }
    }

    /// <summary>Repairs an image that was checked.</summary>
    /// <exception cref="DiskImageException">The counts that it needs do not fit the image.</exception>
    /// <exception cref="BlockIOException">It could not be read or written.</exception>
    public static void Run(Qcow2Image image, Qcow2Usage usage)
    {
        Qcow2Repair repair = new(image, usage);
        repair.WriteCounts();
        image.Sector.SetRefcountTable((repair._start + repair._blocks.Count) << repair._geometry.ClusterBits, repair._tableClusters);
        repair.WriteHeader();
        repair.CorrectCopied();
        repair.Flush();
        if (image.Header.Geometry.Version == 3)
        {
            image.Sector.SetFeatures(image.Header.Incompatible & ~(Qcow2Header.DirtyFeature | Qcow2Header.CorruptFeature), image.Header.Autoclear & Qcow2Header.BitmapsFeature);
            repair.WriteHeader();
        }
    }

    private void CheckCount(long cluster, ulong count)
    {
        if (count > Qcow2Counts.MaximumOf(_geometry.RefcountOrder))
        {
            throw new DiskImageException($"'{_image.File.Path}' cannot be repaired: cluster {cluster} is referred to {count} times, and the image can count to "
                + $"{Qcow2Counts.MaximumOf(_geometry.RefcountOrder)}.");
        }
    }

    /// <summary>Adds blocks for the new clusters until all of those are counted.</summary>
    /// <returns>Clusters of the table.</returns>
    private int CountTable()
    {
        while (true)
        {
            long clusters = _geometry.CountClusters((Math.Max(_blocks.Max, (_start + _blocks.Count) >> _geometry.BlockBits) + 2) * 8);
            if (clusters << (_geometry.ClusterBits - 3) > Qcow2Geometry.MaximumRefcountTableEntries)
            {
                throw new DiskImageException($"'{_image.File.Path}' cannot be repaired: its refcount table would need {clusters} clusters, which is more than is supported.");
            }

            long end = _start + _blocks.Count + clusters;
            int before = _blocks.Count;
            for (long i = _start >> _geometry.BlockBits; i <= (end - 1) >> _geometry.BlockBits; i++)
            {
                _blocks.Add(i);
            }

            if (_blocks.Count == before && _blocks.Max < clusters << (_geometry.ClusterBits - 3))
            {
                return (int)clusters;
            }
        }
    }

    private void WriteCounts()
    {
        byte[] table = new byte[_tableClusters << _geometry.ClusterBits];
        byte[] block = new byte[_geometry.ClusterSize];
        long place = _start;
        foreach (long index in _blocks)
        {
            block.AsSpan().Clear();
            for (int i = 0; i < 1 << _geometry.BlockBits; i++)
            {
                ulong count = _usage[(index << _geometry.BlockBits) + i];
                if (count != 0)
                {
                    Qcow2Counts.Set(block, i, _geometry.RefcountOrder, count);
                }
            }

            Write(place << _geometry.ClusterBits, block);
            BinaryPrimitives.WriteInt64BigEndian(table.AsSpan((int)index * 8), place << _geometry.ClusterBits);
            place++;
        }

        Write(place << _geometry.ClusterBits, table);
        Flush();
    }

    private void CorrectCopied()
    {
        Qcow2CopiedFlags flags = new(_geometry, _usage);
        byte[] l1 = new byte[_image.Header.L1Count * 8];
        byte[] table = new byte[_geometry.ClusterSize];
        _image.Content.Read(_image.Header.L1Offset, l1);
        for (int i = 0; i < l1.Length; i += 8)
        {
            long offset = Qcow2Entry.OffsetOf(BinaryPrimitives.ReadUInt64BigEndian(l1.AsSpan(i)));
            if (offset != 0 && _geometry.Within(offset) == 0 && offset < _image.Content.End)
            {
                _image.Content.Read(offset, table);
                WriteCorrected(table, offset, flags);
            }
        }

        WriteCorrected(l1, _image.Header.L1Offset, flags);
    }

    private void WriteCorrected(byte[] entries, long offset, Qcow2CopiedFlags flags)
    {
        bool isChanged = false;
        for (int i = 0; i < entries.Length; i += 8)
        {
            ulong entry = BinaryPrimitives.ReadUInt64BigEndian(entries.AsSpan(i));
            ulong correct = flags.Correct(entry);
            isChanged |= entry != correct;
            BinaryPrimitives.WriteUInt64BigEndian(entries.AsSpan(i), correct);
        }

        if (isChanged)
        {
            Write(offset, entries);
        }
    }

    private void WriteHeader()
    {
        Write(0, _image.Sector.Bytes);
        Flush();
    }

    private void Write(long offset, BlockBuffers bytes) => _image.File.Run(HostFileOperation.Write, offset, bytes, 0);

    private void Flush() => _image.File.Run(HostFileOperation.Flush, 0, default, 0);
}
