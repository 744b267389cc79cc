namespace Uml.Devices.Virtio.Block;

/// <summary>The block device's features, requests and configuration (virtio 1.2, 5.2).</summary>
internal static class VirtioBlockLayout
{
    public const ushort DeviceType = 2;

    public const ulong SegmentMaximum = 1UL << 2, ReadOnly = 1UL << 5, BlockSize = 1UL << 6, Flush = 1UL << 9, Topology = 1UL << 10,
        Discard = 1UL << 13, WriteZeroes = 1UL << 14;

    // struct virtio_blk_req.
    public const int HeaderLength = 16, SectorOffset = 8;
    public const uint In = 0, Out = 1, FlushRequest = 4, GetId = 8, DiscardRequest = 11, WriteZeroesRequest = 13;
    public const byte Ok = 0, Failed = 1, Unsupported = 2;

    /// <summary>Bytes of what a device calls itself; shorter names end with a zero.</summary>
    public const int IdLength = 20;

    // struct virtio_blk_discard_write_zeroes.
    public const int RangeLength = 16, RangeSectors = 8, RangeFlags = 12;
    public const uint Unmap = 1;

    // struct virtio_blk_config.
    public const int Capacity = 0, SegmentMaximumField = 12, BlockSizeField = 20, PhysicalBlockExponent = 24, MinimumIo = 26, OptimalIo = 28,
        MaximumDiscardSectors = 36, MaximumDiscardRanges = 40, DiscardAlignment = 44, MaximumZeroSectors = 48, MaximumZeroRanges = 52, ZeroesMayUnmap = 56,
        ConfigurationLength = 60;
}
