using System.Buffers.Binary;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>Makes the bitmaps and descriptors of block groups, one after the other.</summary>
internal sealed class Ext4Groups
{
    /// <summary>Offsets of fields ("Block Group Descriptors"); the upper halves of numbers are behind byte 32 with "64bit".</summary>
    private const int ChecksumOffset = 0x1E, HighHalf = 0x20;

    private readonly Ext4Plan _plan;
    private readonly Ext4Geometry _geometry;
    private readonly byte[] _descriptors;
    private readonly int[] _directories;
    private int _firstReserved;

    public Ext4Groups(Ext4Plan plan)
    {
        (_plan, _geometry) = (plan, plan.Layout.Geometry);
        _descriptors = new byte[_geometry.DescriptorBlocks * Ext4Format.BlockBytes];
        _directories = new int[_geometry.Groups];
        foreach (Ext4Inode inode in plan.Inventory.Inodes)
        {
            if (inode.Node.Kind == FileKind.Directory)
            {
                _directories[(inode.Number - 1) / _geometry.InodesPerGroup]++;
            }
        }
    }

    public ReadOnlyMemory<byte> Descriptors => _descriptors;

    public long FreeInodes { get; private set; }

    /// <summary>Makes the bitmaps of the next group, and its descriptor.</summary>
    /// <param name="group">Each in turn.</param>
    /// <param name="blockBitmap">A block of zeroes, which stay when the group needs no bitmap.</param>
    /// <param name="inodeBitmap">Likewise.</param>
    /// <returns>Whether there is a bitmap to be written.</returns>
    public bool Make(int group, Span<byte> blockBitmap, Span<byte> inodeBitmap)
    {
        int blocks = _geometry.BlocksIn(group), usedBlocks = 0;
        bool hasOnlySuperblock = FillBlocks(group, blockBitmap, ref usedBlocks);
        ushort flags = Ext4Format.InodesZeroed;
        if (hasOnlySuperblock && group != _geometry.Groups - 1)
        {
            flags |= Ext4Format.BlocksUninitialized;
            blockBitmap.Clear();
        }
        else
        {
            SetBits(blockBitmap, blocks, Ext4Format.BlocksPerGroup - blocks);
        }

        long before = (long)group * _geometry.InodesPerGroup;
        int usedInodes = (int)Math.Clamp(_plan.Inventory.LastInode - before, 0, _geometry.InodesPerGroup);
        if (usedInodes == 0)
        {
            flags |= Ext4Format.InodesUninitialized;
        }
        else
        {
            SetBits(inodeBitmap, 0, usedInodes);
            SetBits(inodeBitmap, _geometry.InodesPerGroup, (Ext4Format.BlockBytes * 8) - _geometry.InodesPerGroup);
        }

        FreeInodes += _geometry.InodesPerGroup - usedInodes;
        Describe(group, flags, blocks - usedBlocks, usedInodes, blockBitmap, inodeBitmap);
        return flags != (Ext4Format.InodesZeroed | Ext4Format.BlocksUninitialized | Ext4Format.InodesUninitialized);
    }

    /// <summary>Marks blocks in use.</summary>
    /// <returns>Whether none is in use but those of a superblock.</returns>
    private bool FillBlocks(int group, Span<byte> bitmap, ref int used)
    {
        long start = Ext4Geometry.FirstBlock(group);
        int data = (int)Math.Clamp(_plan.Layout.End - start, 0, _geometry.BlocksIn(group));
        SetBits(bitmap, 0, data);
        used = data;
        bool hasOnlySuperblock = data == 0;
        ReadOnlySpan<Ext4BlockRange> reserved = _geometry.Reserved;
        long end = start + _geometry.BlocksIn(group);
        while (_firstReserved < reserved.Length && reserved[_firstReserved].End <= start)
        {
            _firstReserved++;
        }

        for (int i = _firstReserved; i < reserved.Length && reserved[i].Start < end; i++)
        {
            int first = (int)Math.Max(reserved[i].Start - start, data);
            int count = (int)(Math.Min(reserved[i].End, end) - start) - first;
            if (count > 0)
            {
                SetBits(bitmap, first, count);
                used += count;
            }

            hasOnlySuperblock &= reserved[i].Start == start && Ext4Geometry.HasSuperblock(group);
        }

        return hasOnlySuperblock;
    }

    private static void SetBits(Span<byte> bitmap, int first, int count)
    {
        for (; count > 0 && (first & 7) != 0; first++, count--)
        {
            bitmap[first >> 3] |= (byte)(1 << (first & 7));
        }

        bitmap.Slice(first >> 3, count >> 3).Fill(byte.MaxValue);
        if ((count & 7) != 0)
        {
            bitmap[(first + count) >> 3] |= (byte)((1 << (count & 7)) - 1);
        }
    }

    private void Describe(int group, ushort flags, int freeBlocks, int usedInodes, ReadOnlySpan<byte> blockBitmap, ReadOnlySpan<byte> inodeBitmap)
    {
        Span<byte> descriptor = _descriptors.AsSpan(group * _geometry.DescriptorBytes, _geometry.DescriptorBytes);
        int freeInodes = _geometry.InodesPerGroup - usedInodes;
        Ext4Checksum checksum = _plan.Inventory.Checksum;
        Set32(descriptor, 0x00, _geometry.BlockBitmaps[group]);
        Set32(descriptor, 0x04, _geometry.InodeBitmaps[group]);
        Set32(descriptor, 0x08, _geometry.InodeTables[group]);
        Set16(descriptor, 0x0C, (ushort)freeBlocks);
        Set16(descriptor, 0x0E, (ushort)freeInodes);
        Set16(descriptor, 0x10, (ushort)_directories[group]);
        Set16(descriptor, 0x12, flags);
        Set16(descriptor, 0x1C, (ushort)freeInodes); // bg_itable_unused: inodes are taken in order
        uint ofBlocks = (flags & Ext4Format.BlocksUninitialized) != 0 ? 0 : checksum.OfBitmap(blockBitmap);
        uint ofInodes = (flags & Ext4Format.InodesUninitialized) != 0 ? 0 : checksum.OfBitmap(inodeBitmap[..(_geometry.InodesPerGroup / 8)]);
        Set16(descriptor, 0x18, (ushort)ofBlocks);
        Set16(descriptor, 0x1A, (ushort)ofInodes);
        if (_geometry.Is64Bit)
        {
            Span<byte> high = descriptor[HighHalf..];
            Set32(high, 0x00, _geometry.BlockBitmaps[group] >> 32);
            Set32(high, 0x04, _geometry.InodeBitmaps[group] >> 32);
            Set32(high, 0x08, _geometry.InodeTables[group] >> 32);
            Set16(high, 0x18, (ushort)(ofBlocks >> 16));
            Set16(high, 0x1A, (ushort)(ofInodes >> 16));
        }

        Set16(descriptor, ChecksumOffset, checksum.OfGroup((uint)group, descriptor));
    }

    private static void Set16(Span<byte> descriptor, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(descriptor[offset..], value);

    private static void Set32(Span<byte> descriptor, int offset, long value) => BinaryPrimitives.WriteUInt32LittleEndian(descriptor[offset..], (uint)value);
}
