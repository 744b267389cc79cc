using System.Buffers.Binary;
using System.Text;
using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Makes an image: header, refcount table, refcount blocks, L1 table, and if all is allocated L2 tables and data, in this order and without gaps, so
/// that every cluster up to the end is counted once.
/// </summary>
internal sealed class Qcow2Creator
{
    /// <summary>Where the refcount table is: behind the header.</summary>
    private const long TableAt = 1;

    private readonly long _length;
    private readonly Qcow2CreateOptions _options;
    private readonly Qcow2Geometry _geometry;
    private readonly int _l1Count;
    private readonly long _tableClusters, _blockClusters, _l1Clusters, _l2Clusters, _dataClusters;

    /// <exception cref="ArgumentOutOfRangeException">The length is negative, no multiple of 512, or more than the size of clusters allows.</exception>
    /// <exception cref="ArgumentException">The options do not go together.</exception>
    public Qcow2Creator(long length, Qcow2CreateOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % BlockLimits.SectorSize, 0, nameof(length));
        (_length, _options) = (length, options);
        _geometry = new Qcow2Geometry(options.Version, Qcow2Geometry.BitsOf(options.ClusterSize), Qcow2Geometry.BitsOf(options.RefcountBits));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, _geometry.MaximumLength, nameof(length));
        Check(options);
        _l1Count = (int)_geometry.CountL1Entries(length);
        _l1Clusters = _geometry.CountClusters(_l1Count * 8L);
        bool isFull = options.Preallocation == Qcow2Preallocation.Metadata;
        _l2Clusters = isFull ? _l1Count : 0;
        _dataClusters = isFull ? _geometry.CountClusters(length) : 0;
        (_tableClusters, _blockClusters) = CountRefcountClusters();
    }

    private long BlocksAt => TableAt + _tableClusters;

    private long L1At => BlocksAt + _blockClusters;

    private long L2At => L1At + _l1Clusters;

    private long DataAt => L2At + _l2Clusters;

    private long End => DataAt + _dataClusters;

    /// <summary>Writes the image. The header last: what was interrupted has no magic number.</summary>
    /// <exception cref="BlockIOException">It could not be written.</exception>
    public void Write(IImageFile file)
    {
        file.SetLength(End << _geometry.ClusterBits);
        WriteEntries(file, TableAt, _blockClusters, i => (ulong)((BlocksAt + i) << _geometry.ClusterBits));
        WriteBlocks(file);
        WriteEntries(file, L1At, _l2Clusters, i => (ulong)((L2At + i) << _geometry.ClusterBits) | Qcow2Entry.Copied);
        WriteEntries(file, L2At, _dataClusters, i => (ulong)((DataAt + i) << _geometry.ClusterBits) | Qcow2Entry.Copied);
        file.Run(HostFileOperation.Flush, 0, default, 0);
        file.Run(HostFileOperation.Write, 0, MakeHeader(), 0);
        file.Run(HostFileOperation.Flush, 0, default, 0);
    }

    private static void Check(Qcow2CreateOptions options)
    {
        if (options.Version == 2 && (options.RefcountBits != 16 || options.HasLazyRefcounts))
        {
            throw new ArgumentException("Reference counts have 16 bits in version 2, and are not written later. Use version 3.", nameof(options));
        }

        if (options.BackingPath is { } path && (path.Length == 0 || Encoding.UTF8.GetByteCount(path) > MaximumPath(options)))
        {
            throw new ArgumentException($"The path of the image below has {Encoding.UTF8.GetByteCount(path)} bytes, and 1 to {MaximumPath(options)} have room.", nameof(options));
        }

        if (options.BackingPath is not null && options.Preallocation != Qcow2Preallocation.Off)
        {
            throw new ArgumentException("An image over another one cannot be allocated at once: it would hide what is below.", nameof(options));
        }
    }

    /// <summary>A limit of the format, and what a cluster has beside the header.</summary>
    private static int MaximumPath(Qcow2CreateOptions options) => Math.Min(1023, options.ClusterSize - Qcow2Header.Length3 - 40);

    private (long Table, long Blocks) CountRefcountClusters()
    {
        long table = 1;
        long blocks = 1;
        while (true)
        {
            long all = 1 + table + blocks + _l1Clusters + _l2Clusters + _dataClusters;
            long needed = (all + (1L << _geometry.BlockBits) - 1) >> _geometry.BlockBits;
            long neededTable = _geometry.CountClusters(needed * 8);
            if (needed == blocks && neededTable == table)
            {
                return neededTable * _geometry.ClusterSize / 8 <= Qcow2Geometry.MaximumRefcountTableEntries ? (table, blocks)
                    : throw new ArgumentOutOfRangeException("length", _length, $"Clusters of {_geometry.ClusterSize} bytes are too small to allocate so much: use larger ones.");
            }

            (table, blocks) = (Math.Max(table, neededTable), Math.Max(blocks, needed));
        }
    }

    /// <summary>Writes entries of 64 bits, a cluster at a time.</summary>
    private void WriteEntries(IImageFile file, long cluster, long count, Func<long, ulong> entry)
    {
        byte[] bytes = new byte[_geometry.ClusterSize];
        for (long done = 0; done < count;)
        {
            int part = (int)Math.Min(count - done, bytes.Length / 8);
            for (int i = 0; i < part; i++)
            {
                BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(i * 8), entry(done + i));
            }

            file.Run(HostFileOperation.Write, (cluster << _geometry.ClusterBits) + (done * 8), bytes.AsMemory(0, part * 8), 0);
            done += part;
        }
    }

    private void WriteBlocks(IImageFile file)
    {
        byte[] block = new byte[_geometry.ClusterSize];
        for (long i = 0; i < _blockClusters; i++)
        {
            block.AsSpan().Clear();
            long count = Math.Min(End - (i << _geometry.BlockBits), 1L << _geometry.BlockBits);
            for (int j = 0; j < count; j++)
            {
                Qcow2Counts.Set(block, j, _geometry.RefcountOrder, 1);
            }

            file.Run(HostFileOperation.Write, (BlocksAt + i) << _geometry.ClusterBits, block, 0);
        }
    }

    private byte[] MakeHeader()
    {
        byte[] bytes = new byte[Math.Min(_geometry.ClusterSize, 4096)];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Qcow2Header.Magic);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(4), _geometry.Version);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(20), _geometry.ClusterBits);
        int end = Qcow2Header.Length2;
        if (_geometry.Version == 3)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(80), _options.HasLazyRefcounts ? Qcow2Header.LazyRefcountsFeature : 0);
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(96), _geometry.RefcountOrder);
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(100), Qcow2Header.Length3);
            end = Qcow2Header.Length3;
        }

        if (_options.BackingPath is { } backing)
        {
            WriteBacking(bytes, end, backing);
        }

        Qcow2HeaderSector sector = new(bytes);
        sector.SetLength(_length);
        sector.SetL1(L1At << _geometry.ClusterBits, _l1Count);
        sector.SetRefcountTable(TableAt << _geometry.ClusterBits, (int)_tableClusters);
        sector.Sector.Span.CopyTo(bytes);
        return bytes;
    }

    /// <summary>The extension that says of which format the image below is, an empty one that ends the list, and the path.</summary>
    private void WriteBacking(byte[] bytes, int at, string path)
    {
        string format = _options.BackingFormat == Qcow2BackingFormat.Raw ? "raw" : "qcow2";
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(at), Qcow2HeaderExtensions.BackingFormat);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(at + 4), format.Length);
        Encoding.ASCII.GetBytes(format, bytes.AsSpan(at + 8));
        at += 8 + 8 + 8;
        int length = Encoding.UTF8.GetBytes(path, bytes.AsSpan(at));
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(8), at);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(16), length);
    }
}
