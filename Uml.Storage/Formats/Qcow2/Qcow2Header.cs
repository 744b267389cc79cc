using System.Buffers.Binary;
using System.Text;
using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>The header of an image (QEMU, docs/interop/qcow2: "Header"), checked.</summary>
internal sealed record Qcow2Header
{
    public const int Length2 = 72, Length3 = 104;
    public const uint Magic = 0x5146_49FB;
    public const ulong DirtyFeature = 1, CorruptFeature = 2, DataFileFeature = 4, CompressionFeature = 8, ExtendedL2Feature = 16;
    public const ulong LazyRefcountsFeature = 1;
    public const ulong BitmapsFeature = 1;

    private const ulong KnownIncompatible = DirtyFeature | CorruptFeature | CompressionFeature;
    private const int MaximumBackingPath = 1023, MaximumSnapshots = 65536;

    public required Qcow2Geometry Geometry { get; init; }

    /// <summary>Bytes of the disk, as the header says.</summary>
    public required long Length { get; init; }

    public required long L1Offset { get; init; }

    public required int L1Count { get; init; }

    public required long RefcountTableOffset { get; init; }

    public required int RefcountTableClusters { get; init; }

    public required int SnapshotCount { get; init; }

    public required long SnapshotsOffset { get; init; }

    public ulong Incompatible { get; init; }

    public ulong Compatible { get; init; }

    public ulong Autoclear { get; init; }

    public int HeaderLength { get; init; } = Length2;

    public Qcow2Compression Compression { get; init; }

    /// <summary>The image below, as the file names it, or null.</summary>
    public string? BackingPath { get; init; }

    /// <summary>Its format, as the file names it, or null.</summary>
    public string? BackingFormat { get; init; }

    /// <summary>Where the directory of bitmaps is, its length, and how many there are; of the extension, if the feature says that it holds.</summary>
    public (long Offset, long Length, int Count) Bitmaps { get; init; }

    /// <summary>Reads a header.</summary>
    /// <param name="start">The first cluster of the file, or what the file has of it.</param>
    /// <param name="fileLength">Bytes of the file.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="DiskImageException">It is none, damaged, or has what is not supported.</exception>
    public static Qcow2Header Parse(ReadOnlySpan<byte> start, long fileLength, string path)
    {
        int bits = ReadClusterBits(start, path);
        uint version = BinaryPrimitives.ReadUInt32BigEndian(start[4..]);
        start = start.Length > 1 << bits ? start[..(1 << bits)] : start;
        (int length, int order) = version == 2 ? (Length2, 4) : ReadLength3(start, path);
        Qcow2Header header = new()
        {
            Geometry = new Qcow2Geometry((int)version, bits, order),
            Length = ReadDiskLength(BinaryPrimitives.ReadUInt64BigEndian(start[24..]), path),
            L1Count = ReadCount(start[36..], Qcow2Geometry.MaximumL1Entries, "entries of the L1 table", path),
            L1Offset = BinaryPrimitives.ReadInt64BigEndian(start[40..]),
            RefcountTableOffset = BinaryPrimitives.ReadInt64BigEndian(start[48..]),
            RefcountTableClusters = ReadCount(start[56..], (Qcow2Geometry.MaximumRefcountTableEntries * 8) >> bits, "clusters of the refcount table", path),
            SnapshotCount = ReadCount(start[60..], MaximumSnapshots, "snapshots", path),
            SnapshotsOffset = BinaryPrimitives.ReadInt64BigEndian(start[64..]),
            HeaderLength = length,
            BackingPath = ReadBackingPath(start, path),
        };
        header = version == 2 ? header : header.WithFeatures(start, path);
        header = Qcow2HeaderExtensions.Read(header, start, path);
        uint encryption = BinaryPrimitives.ReadUInt32BigEndian(start[32..]);
        if (encryption != 0)
        {
            throw new DiskImageException($"'{path}' is encrypted (method {encryption}), which is not supported. Convert it to an image that is not (qemu-img convert).");
        }

        header.CheckPlaces(fileLength, path);
        return header;
    }

    /// <summary>Whether a file begins like one of the format.</summary>
    public static bool IsOne(ReadOnlySpan<byte> start) => start.Length >= 4 && BinaryPrimitives.ReadUInt32BigEndian(start) == Magic;

    private static int ReadClusterBits(ReadOnlySpan<byte> start, string path)
    {
        if (start.Length < BlockLimits.SectorSize || !IsOne(start))
        {
            throw Qcow2Errors.Unusable(path, start.Length < BlockLimits.SectorSize ? $"it has {start.Length} bytes, which are less than a header"
                : "it has no magic number: it is a file of another format, raw perhaps");
        }

        uint version = BinaryPrimitives.ReadUInt32BigEndian(start[4..]);
        uint bits = BinaryPrimitives.ReadUInt32BigEndian(start[20..]);
        return version is not (2 or 3) ? throw Qcow2Errors.Unusable(path, $"its version is {version}, and 2 and 3 are known")
            : bits is >= Qcow2Geometry.MinimumClusterBits and <= Qcow2Geometry.MaximumClusterBits ? (int)bits
            : throw Qcow2Errors.Unusable(path, $"its clusters have 2^{bits} bytes, and 2^{Qcow2Geometry.MinimumClusterBits} to 2^{Qcow2Geometry.MaximumClusterBits} are known");
    }

    private static (int Length, int Order) ReadLength3(ReadOnlySpan<byte> start, string path)
    {
        uint order = BinaryPrimitives.ReadUInt32BigEndian(start[96..]);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(start[100..]);
        return length < Length3 || length % 8 != 0 || length > start.Length
            ? throw Qcow2Errors.Unusable(path, $"its header has {length} bytes, and needs {Length3} at least, a multiple of 8, within the first cluster")
            : order <= 6 ? ((int)length, (int)order)
            : throw Qcow2Errors.Unusable(path, $"its reference counts have 2^{order} bits, and 64 are the most");
    }

    private static long ReadDiskLength(ulong length, string path) => length <= 1UL << 62 ? (long)length
        : throw Qcow2Errors.Unusable(path, $"its disk has {length} bytes, which is more than there can be");

    private static int ReadCount(ReadOnlySpan<byte> field, int maximum, string what, string path)
    {
        uint count = BinaryPrimitives.ReadUInt32BigEndian(field);
        return count <= maximum ? (int)count : throw Qcow2Errors.Unusable(path, $"it has {count} {what}, and {maximum} are the most that are supported");
    }

    private static string? ReadBackingPath(ReadOnlySpan<byte> start, string path)
    {
        ulong offset = BinaryPrimitives.ReadUInt64BigEndian(start[8..]);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(start[16..]);
        if (offset == 0)
        {
            return null;
        }

        return length is 0 or > MaximumBackingPath || offset > (ulong)start.Length || length > (ulong)start.Length - offset
            ? throw Qcow2Errors.Unusable(path, $"the path of its backing file, {length} bytes at {offset}, has to be of 1 to {MaximumBackingPath} bytes within the first cluster")
            : Encoding.UTF8.GetString(start.Slice((int)offset, (int)length));
    }

    private Qcow2Header WithFeatures(ReadOnlySpan<byte> start, string path)
    {
        ulong incompatible = BinaryPrimitives.ReadUInt64BigEndian(start[72..]);
        byte compression = HeaderLength > Length3 ? start[Length3] : (byte)0;
        ulong unknown = incompatible & ~KnownIncompatible;
        if (unknown != 0)
        {
            throw new DiskImageException($"'{path}' uses {Qcow2HeaderExtensions.NameFeatures(unknown, start, HeaderLength)}, which is not supported. Convert it to an "
                + "image without (qemu-img convert).");
        }

        if ((incompatible & CompressionFeature) != 0 != (compression != 0) || compression > (byte)Qcow2Compression.Zstd)
        {
            throw Qcow2Errors.Unusable(path, $"its type of compression is {compression}, which "
                + (compression > (byte)Qcow2Compression.Zstd ? "is not known" : "does not fit its features"));
        }

        return this with
        {
            Incompatible = incompatible,
            Compatible = BinaryPrimitives.ReadUInt64BigEndian(start[80..]),
            Autoclear = BinaryPrimitives.ReadUInt64BigEndian(start[88..]),
            Compression = (Qcow2Compression)compression,
        };
    }

    /// <summary>The tables have to be whole clusters' beginnings behind the header and in the file, and not in each other.</summary>
    private void CheckPlaces(long fileLength, string path)
    {
        if (L1Count < Geometry.CountL1Entries(Length))
        {
            throw Qcow2Errors.Unusable(path, $"its L1 table has {L1Count} entries, and a disk of {Length} bytes needs {Geometry.CountL1Entries(Length)}");
        }

        if (RefcountTableClusters == 0)
        {
            throw Qcow2Errors.Unusable(path, "it has no refcount table");
        }

        long refcountBytes = (long)RefcountTableClusters << Geometry.ClusterBits;
        CheckPlace("L1 table", L1Offset, L1Count * 8L, fileLength, path);
        CheckPlace("refcount table", RefcountTableOffset, Math.Min(refcountBytes, Math.Max(fileLength - RefcountTableOffset, 1)), fileLength, path);
        CheckPlace("snapshot table", SnapshotsOffset, SnapshotCount, fileLength, path);
        if (L1Count != 0 && L1Offset < RefcountTableOffset + refcountBytes && RefcountTableOffset < L1Offset + (L1Count * 8L))
        {
            throw Qcow2Errors.Unusable(path, $"its L1 table at {L1Offset} and its refcount table at {RefcountTableOffset} overlap");
        }
    }

    private void CheckPlace(string what, long offset, long length, long fileLength, string path)
    {
        if (length != 0 && (offset < Geometry.ClusterSize || Geometry.Within(offset) != 0 || offset > fileLength - length))
        {
            throw Qcow2Errors.Unusable(path, $"its {what}, {length} bytes at {offset}, has to begin at a multiple of {Geometry.ClusterSize} behind the header and end "
                + $"in the file, which has {fileLength} bytes");
        }
    }
}
