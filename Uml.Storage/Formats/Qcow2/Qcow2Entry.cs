namespace Uml.Storage.Formats.Qcow2;

/// <summary>Entries of L1 and L2 tables (QEMU, docs/interop/qcow2: "Cluster mapping").</summary>
internal static class Qcow2Entry
{
    /// <summary>What the entry points to is referred to once, and may be written in place.</summary>
    public const ulong Copied = 1UL << 63;

    public const ulong Compressed = 1UL << 62;

    /// <summary>The cluster reads as zeroes; an offset beside it is room that is kept for it.</summary>
    public const ulong Zero = 1;

    public const ulong OffsetMask = 0x00FF_FFFF_FFFF_FE00;

    public static Qcow2ClusterKind KindOf(ulong entry) =>
        (entry & Compressed) != 0 ? Qcow2ClusterKind.Compressed
        : (entry & Zero) != 0 ? Qcow2ClusterKind.Zero
        : (entry & OffsetMask) != 0 ? Qcow2ClusterKind.Normal
        : Qcow2ClusterKind.Unallocated;

    /// <summary>Where the cluster or table is, of an entry that is not compressed; 0 for none.</summary>
    public static long OffsetOf(ulong entry) => (long)(entry & OffsetMask);

    /// <summary>Whether what the entry points to may be written.</summary>
    public static bool IsOwned(ulong entry) => (entry & (Copied | Compressed)) == Copied && (entry & OffsetMask) != 0;

    /// <summary>Whether data can be written to where the cluster is without any change of tables.</summary>
    public static bool IsInPlace(ulong entry) => IsOwned(entry) && (entry & Zero) == 0;

    /// <summary>Where the data of a compressed cluster are.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="clusterBits">Of the image.</param>
    /// <param name="length">Gets the bytes up to the end of the last sector that has some.</param>
    public static long CompressedRange(ulong entry, int clusterBits, out int length)
    {
        int bits = 62 - (clusterBits - 8);
        long offset = (long)(entry & ((1UL << bits) - 1));
        int sectors = (int)((entry & (Compressed - 1)) >> bits) + 1;
        length = (sectors * 512) - (int)(offset & 511);
        return offset;
    }
}

/// <summary>What an entry of an L2 table says of a cluster.</summary>
internal enum Qcow2ClusterKind
{
    /// <summary>Reads from the image below, or zeroes.</summary>
    Unallocated,
    Zero,
    Normal,
    Compressed,
}
