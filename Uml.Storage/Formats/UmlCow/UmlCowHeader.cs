using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.UmlCow;

/// <summary>
/// The header of a copy-on-write file of User Mode Linux (arch/um/drivers/cow_user.c), and what follows from it: where the bitmap and the
/// data are. Versions 1 to 3, and version 3 as 64-bit hosts wrote it until the end of 2005.
/// </summary>
internal sealed record UmlCowHeader
{
    /// <summary>The longest header: version 3 of a 64-bit host of before 2006.</summary>
    public const int MaximumLength = BrokenLength;

    private const uint Magic = 0x4F4F_4F4D;
    private const int Length1 = 280, Length2 = 4120, Length3 = 4128, BrokenLength = 4136;
    private const int PathLength1 = 256, PathLength = 4096;
    private const int LargestSector = 64 << 10, LargestAlignment = 1 << 20;

    /// <summary>Of new files, like User Mode Linux on hosts with pages of 4096 bytes.</summary>
    private const int NewSectorSize = BlockLimits.SectorSize, NewAlignment = 4096;

    /// <summary>1, 2 or 3.</summary>
    public required int Version { get; init; }

    /// <summary>The image below, as the file names it.</summary>
    public required string BackingPath { get; init; }

    /// <summary>When the image below was changed last, in seconds since 1970 modulo 2^32.</summary>
    public required uint ModifiedTime { get; init; }

    /// <summary>Bytes of the image below.</summary>
    public required long Size { get; init; }

    /// <summary>What a bit of the bitmap stands for, in bytes.</summary>
    public required int SectorSize { get; init; }

    /// <summary>What the places of bitmap and data are multiples of, in bytes; of version 3 only.</summary>
    public int Alignment { get; init; }

    /// <summary>Whether the header is one of version 3 whose place for the path can be written anew: not of a 64-bit host of before 2006.</summary>
    public bool CanRename { get; init; }

    /// <summary>Where the bitmap begins.</summary>
    public long BitmapOffset { get; init; }

    /// <summary>Bytes of the bitmap.</summary>
    public long BitmapLength { get; init; }

    /// <summary>Where the data of sector 0 is.</summary>
    public long DataOffset { get; init; }

    /// <summary>Sectors, the last of which may be less than a whole one in the image below.</summary>
    public long SectorCount => (Size + SectorSize - 1) / SectorSize;

    /// <summary>Sectors that have a bit. Files of versions 1 and 2 lack those of up to seven sectors at the end.</summary>
    public long MappedSectors => Math.Min(SectorCount, BitmapLength * 8);

    /// <summary>The header of a new file.</summary>
    /// <exception cref="DiskImageException">The path is too long, or the image too large for the format.</exception>
    public static UmlCowHeader Create(string backingPath, long size, long modifiedSeconds)
    {
        if (Encoding.UTF8.GetByteCount(backingPath) >= PathLength)
        {
            throw new DiskImageException($"The path '{backingPath}' has more than the {PathLength - 1} bytes that a copy-on-write file has for it. Use a shorter one.");
        }

        return Lay(new UmlCowHeader
        {
            Version = 3,
            BackingPath = backingPath,
            ModifiedTime = (uint)modifiedSeconds,
            Size = size,
            SectorSize = NewSectorSize,
            Alignment = NewAlignment,
        }, Length3, "a new copy-on-write file");
    }

    /// <summary>Whether a file begins like one of the format.</summary>
    public static bool IsOne(ReadOnlySpan<byte> start) =>
        start.Length >= 4 && (BinaryPrimitives.ReadUInt32BigEndian(start) == Magic || BinaryPrimitives.ReadUInt32LittleEndian(start) == Magic);

    /// <summary>Reads a header.</summary>
    /// <param name="bytes">The start of the file: <see cref="MaximumLength"/> bytes, or all that it has.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="DiskImageException">It is none, or damaged.</exception>
    public static UmlCowHeader Parse(ReadOnlySpan<byte> bytes, string path)
    {
        if (!IsOne(bytes))
        {
            throw Damaged(path, "it has no magic number: it is a file of another format, raw perhaps");
        }

        bool isBig = BinaryPrimitives.ReadUInt32BigEndian(bytes) == Magic;
        uint version = bytes.Length < 8 ? 0 : isBig ? BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]) : BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        int length = version switch { 1 => Length1, 2 => Length2, 3 => Length3, _ => throw Damaged(path, $"its version is {version}, and 1 to 3 are known") };
        if (bytes.Length < length)
        {
            throw Damaged(path, $"it ends within the header of {length} bytes, at {bytes.Length}");
        }

        return version switch
        {
            1 => ParseOld(bytes, path, 1, PathLength1),
            2 => ParseOld(bytes, path, 2, PathLength),
            _ when bytes[32..36].IndexOfAnyExcept((byte)0) < 0 => ParseBroken(bytes, path),
            _ => Parse3(bytes, path),
        };
    }

    /// <summary>Writes the header of version 3.</summary>
    /// <returns><see cref="BitmapOffset"/> bytes, or less where zeroes follow.</returns>
    public byte[] Write()
    {
        byte[] bytes = new byte[Length3];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), 3);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(8), ModifiedTime);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(12), Size);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(20), SectorSize);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(24), Alignment);
        Encoding.UTF8.GetBytes(BackingPath, bytes.AsSpan(32, PathLength - 1));
        return bytes;
    }

    /// <summary>
    /// Versions 1 and 2: the path, and behind it time, size and sector size. Those of version 1 are in the byte order of who wrote them, which is
    /// taken to be little-endian (there is nothing that tells).
    /// </summary>
    private static UmlCowHeader ParseOld(ReadOnlySpan<byte> bytes, string path, int version, int pathLength)
    {
        const int pathAt = 8;
        ReadOnlySpan<byte> fields = bytes[(pathAt + pathLength)..];
        bool isBig = version != 1;
        return LayOld(new UmlCowHeader
        {
            Version = version,
            BackingPath = ReadPath(bytes.Slice(pathAt, pathLength), path),
            ModifiedTime = isBig ? BinaryPrimitives.ReadUInt32BigEndian(fields) : BinaryPrimitives.ReadUInt32LittleEndian(fields),
            Size = ReadSize(isBig ? BinaryPrimitives.ReadUInt64BigEndian(fields[4..]) : BinaryPrimitives.ReadUInt64LittleEndian(fields[4..]), path),
            SectorSize = ReadSector(isBig ? BinaryPrimitives.ReadUInt32BigEndian(fields[12..]) : BinaryPrimitives.ReadUInt32LittleEndian(fields[12..]), path),
            BitmapOffset = isBig ? Length2 : Length1,
        });
    }

    private static UmlCowHeader Parse3(ReadOnlySpan<byte> bytes, string path) =>
        ParseNew(bytes, path, sizeAt: 12, pathAt: 32, Length3);

    private static UmlCowHeader ParseBroken(ReadOnlySpan<byte> bytes, string path) => bytes.Length < BrokenLength
        ? throw Damaged(path, $"it ends within the header of {BrokenLength} bytes, at {bytes.Length}")
        : ParseNew(bytes, path, sizeAt: 16, pathAt: 36, BrokenLength);

    private static UmlCowHeader ParseNew(ReadOnlySpan<byte> bytes, string path, int sizeAt, int pathAt, int length)
    {
        uint alignment = BinaryPrimitives.ReadUInt32BigEndian(bytes[(sizeAt + 12)..]);
        uint format = BinaryPrimitives.ReadUInt32BigEndian(bytes[(sizeAt + 16)..]);
        if (alignment > LargestAlignment || !BitOperations.IsPow2(alignment))
        {
            throw Damaged(path, $"its alignment is {alignment}, and has to be a power of two up to {LargestAlignment}");
        }

        if (format != 0)
        {
            throw Damaged(path, $"its format is {format}, and 0, a bitmap, is the only one known");
        }

        return Lay(
            new UmlCowHeader
            {
                Version = 3,
                BackingPath = ReadPath(bytes.Slice(pathAt, PathLength), path),
                ModifiedTime = BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]),
                Size = ReadSize(BinaryPrimitives.ReadUInt64BigEndian(bytes[sizeAt..]), path),
                SectorSize = ReadSector(BinaryPrimitives.ReadUInt32BigEndian(bytes[(sizeAt + 8)..]), path),
                Alignment = (int)alignment,
                CanRename = length == Length3,
            },
            length,
            $"'{path}'");
    }

    /// <summary>Versions 1 and 2: nothing is aligned but the data, and the bitmap has no bits for the sectors of an incomplete byte.</summary>
    private static UmlCowHeader LayOld(UmlCowHeader header)
    {
        long bitmap = (header.Size + header.SectorSize - 1) / (8L * header.SectorSize);
        return header with { BitmapLength = bitmap, DataOffset = RoundUp(header.BitmapOffset + bitmap, header.SectorSize) };
    }

    private static UmlCowHeader Lay(UmlCowHeader header, int length, string what)
    {
        long bitmap = (header.SectorCount + 7) / 8;
        long offset = RoundUp(length, header.Alignment);
        long data = RoundUp(offset + bitmap, header.Alignment);

        // A limit of User Mode Linux, whose offsets have 32 bits.
        return data <= int.MaxValue ? header with { BitmapOffset = offset, BitmapLength = bitmap, DataOffset = data }
            : throw new DiskImageException($"{header.Size} bytes are more than {what} can have: its bitmap would go beyond 2 GiB. Use qcow2 for such a disk.");
    }

    private static long RoundUp(long value, long alignment) => (value + alignment - 1) / alignment * alignment;

    private static string ReadPath(ReadOnlySpan<byte> bytes, string path)
    {
        int end = bytes.IndexOf((byte)0);
        return end switch
        {
            < 0 => throw Damaged(path, "the path of its backing file does not end"),
            0 => throw Damaged(path, "it names no backing file"),
            _ => Encoding.UTF8.GetString(bytes[..end]),
        };
    }

    private static long ReadSize(ulong size, string path) =>
        size <= long.MaxValue / 2 ? (long)size : throw Damaged(path, $"the size of its backing file is {size} bytes, which is more than there can be");

    private static int ReadSector(uint size, string path) => size is >= BlockLimits.SectorSize and <= LargestSector && BitOperations.IsPow2(size) ? (int)size
        : throw Damaged(path, $"its sector size is {size}, and has to be a power of two from {BlockLimits.SectorSize} to {LargestSector}");

    private static DiskImageException Damaged(string path, string what) => new($"'{path}' is no usable copy-on-write file of User Mode Linux: {what}.");
}
