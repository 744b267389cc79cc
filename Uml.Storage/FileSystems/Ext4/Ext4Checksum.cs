using System.Buffers.Binary;
using System.Numerics;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>The checksums of metadata: CRC-32C without the last inversion ("Checksums").</summary>
internal readonly struct Ext4Checksum
{
    private readonly uint _fileSystem;

    /// <param name="uuid">The file system's, which all but the superblock's checksum begin with.</param>
    public Ext4Checksum(ReadOnlySpan<byte> uuid) => _fileSystem = Update(uint.MaxValue, uuid);

    public static uint OfSuperblock(ReadOnlySpan<byte> superblock) => Update(uint.MaxValue, superblock);

    public uint OfBitmap(ReadOnlySpan<byte> bitmap) => Update(_fileSystem, bitmap);

    /// <param name="descriptor">With a checksum of zero.</param>
    public ushort OfGroup(uint group, ReadOnlySpan<byte> descriptor) => (ushort)Update(Update(_fileSystem, group), descriptor);

    /// <param name="block">With a checksum of zero.</param>
    public uint OfAttributeBlock(long number, ReadOnlySpan<byte> block)
    {
        Span<byte> place = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(place, number);
        return Update(Update(_fileSystem, place), block);
    }

    /// <summary>What the checksums of an inode, its directory blocks and its extents begin with. Inodes here have generation 0.</summary>
    public uint SeedOf(uint inode) => Update(Update(_fileSystem, inode), 0u);

    public static uint Update(uint checksum, ReadOnlySpan<byte> data)
    {
        for (; data.Length >= sizeof(ulong); data = data[sizeof(ulong)..])
        {
            checksum = BitOperations.Crc32C(checksum, BinaryPrimitives.ReadUInt64LittleEndian(data));
        }

        foreach (byte value in data)
        {
            checksum = BitOperations.Crc32C(checksum, value);
        }

        return checksum;
    }

    private static uint Update(uint checksum, uint value) => BitOperations.Crc32C(checksum, value);
}
