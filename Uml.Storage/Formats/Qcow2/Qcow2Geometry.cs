using System.Numerics;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Sizes that follow from a header. All tables but the roots (L1 and refcount table) are one cluster.</summary>
/// <param name="Version">2 or 3.</param>
/// <param name="ClusterBits">Of the size of a cluster: 9 to 21.</param>
/// <param name="RefcountOrder">Of the bits of a reference count: 0 to 6.</param>
internal sealed record Qcow2Geometry(int Version, int ClusterBits, int RefcountOrder)
{
    /// <summary>Limits of QEMU, which keep a damaged file from taking memory: 32 MiB of L1 table, 8 MiB of refcount table.</summary>
    public const int MaximumL1Entries = (32 << 20) / 8, MaximumRefcountTableEntries = (8 << 20) / 8;

    public const int MinimumClusterBits = 9, MaximumClusterBits = 21;

    public int ClusterSize { get; } = 1 << ClusterBits;

    /// <summary>Of the number of entries of an L2 table.</summary>
    public int L2Bits { get; } = ClusterBits - 3;

    /// <summary>Of the number of counts in a refcount block.</summary>
    public int BlockBits { get; } = ClusterBits + 3 - RefcountOrder;

    /// <summary>Whether clusters can be marked to read as zeroes.</summary>
    public bool HasZeroFlag => Version >= 3;

    /// <summary>Bytes of the disk that an entry of the L1 table stands for.</summary>
    public long BytesPerL1Entry => 1L << (L2Bits + ClusterBits);

    /// <summary>Bytes that a disk can have: what the largest L1 table stands for.</summary>
    public long MaximumLength => Math.Min(BytesPerL1Entry * MaximumL1Entries, 1L << 56);

    public static int BitsOf(int powerOfTwo) => BitOperations.Log2((uint)powerOfTwo);

    public long IndexOf(long offset) => offset >> ClusterBits;

    public int Within(long offset) => (int)(offset & (ClusterSize - 1));

    /// <summary>Clusters that so many bytes take.</summary>
    public long CountClusters(long bytes) => (bytes + ClusterSize - 1) >> ClusterBits;

    /// <summary>Entries of the L1 table of a disk.</summary>
    public long CountL1Entries(long length) => (length / BytesPerL1Entry) + (length % BytesPerL1Entry == 0 ? 0 : 1);
}
