using System.Buffers.Binary;
using System.Text;
using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests.Logs;

/// <summary>What an entry of a log is, beside a write; the names and bits of dm-log-writes.</summary>
[Flags]
internal enum WriteLogFlags : ulong
{
    None = 0,
    Flush = 1,
    ForceUnitAccess = 2,
    Discard = 4,
    Mark = 8,
    Metadata = 16,
}

/// <summary>An entry of a log.</summary>
/// <param name="Offset">Where on the disk that was logged, in bytes.</param>
/// <param name="Length">How many bytes were written or discarded there.</param>
/// <param name="Flags">What it is.</param>
/// <param name="DataOffset">Where in the log the data is.</param>
/// <param name="Mark">The text of a mark; null for others.</param>
internal readonly record struct WriteLogEntry(long Offset, long Length, WriteLogFlags Flags, long DataOffset, string? Mark);

/// <summary>
/// The log that Linux's dm-log-writes makes of what is written to a disk, in the order in which it becomes durable: "drivers/md/dm-log-writes.c" and
/// "Documentation/admin-guide/device-mapper/log-writes.rst". A block with the number of entries, then a block for each and its data behind.
/// </summary>
internal sealed class WriteLog
{
    private const ulong Magic = 0x6A_7366_7773_6872, Version = 1;
    private const int VersionAt = 8, CountAt = 16, SectorSizeAt = 24;
    private const int LengthAt = 8, FlagsAt = 16, TextLengthAt = 24, TextAt = 32;

    private readonly IBlockDevice _device;
    private readonly int _sectorSize;
    private readonly byte[] _block;

    private WriteLog(IBlockDevice device, long count, int sectorSize)
    {
        (_device, Count, _sectorSize) = (device, count, sectorSize);
        _block = new byte[sectorSize];
    }

    /// <summary>Entries.</summary>
    public long Count { get; }

    /// <summary>Opens the log that a disk has.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    public static async Task<WriteLog> OpenAsync(IBlockDevice device)
    {
        byte[] super = new byte[BlockLimits.SectorSize];
        await device.ReadAsync(0, super);
        ulong magic = BinaryPrimitives.ReadUInt64LittleEndian(super), version = BinaryPrimitives.ReadUInt64LittleEndian(super.AsSpan(VersionAt));
        ulong count = BinaryPrimitives.ReadUInt64LittleEndian(super.AsSpan(CountAt));
        uint sectorSize = BinaryPrimitives.ReadUInt32LittleEndian(super.AsSpan(SectorSizeAt));
        bool isLog = magic == Magic && version == Version && count <= (ulong)device.Length / BlockLimits.SectorSize && sectorSize is 512 or 4096;
        return isLog ? new WriteLog(device, (long)count, (int)sectorSize)
            : throw new InvalidDataException($"There is no log of writes: magic {magic:X}, version {version}, {count} entries, sectors of {sectorSize} bytes.");
    }

    /// <summary>Reads the entries in order.</summary>
    /// <exception cref="InvalidDataException">An entry says what cannot be.</exception>
    public async IAsyncEnumerable<WriteLogEntry> ReadAsync()
    {
        long position = _sectorSize;
        for (long i = 0; i < Count; i++)
        {
            if (position > _device.Length - _sectorSize)
            {
                throw new InvalidDataException($"Entry {i} of {Count} is at {position}, behind the end of the log.");
            }

            await _device.ReadAsync(position, _block);
            position += _sectorSize;
            WriteLogEntry entry = Parse(position);
            position += entry.Flags.HasFlag(WriteLogFlags.Discard) ? 0 : entry.Length;
            yield return entry;
        }
    }

    /// <summary>Reads the data of an entry.</summary>
    public async Task<byte[]> ReadDataAsync(WriteLogEntry entry)
    {
        byte[] data = new byte[entry.Length];
        await _device.ReadAsync(entry.DataOffset, data);
        return data;
    }

    private WriteLogEntry Parse(long dataOffset)
    {
        ulong sector = BinaryPrimitives.ReadUInt64LittleEndian(_block), sectors = BinaryPrimitives.ReadUInt64LittleEndian(_block.AsSpan(LengthAt));
        WriteLogFlags flags = (WriteLogFlags)BinaryPrimitives.ReadUInt64LittleEndian(_block.AsSpan(FlagsAt));
        ulong text = BinaryPrimitives.ReadUInt64LittleEndian(_block.AsSpan(TextLengthAt));
        bool isMark = flags.HasFlag(WriteLogFlags.Mark), hasData = !flags.HasFlag(WriteLogFlags.Discard);
        ulong limit = (ulong)(hasData ? _device.Length - dataOffset : long.MaxValue / 2) / (ulong)_sectorSize;
        if (sectors > limit || sector > long.MaxValue / 2 / (ulong)_sectorSize || (isMark && text > (ulong)(_sectorSize - TextAt)))
        {
            throw new InvalidDataException($"The entry before {dataOffset} has {sectors} sectors at {sector}, flags {flags} and {text} bytes of text.");
        }

        string? mark = isMark ? Encoding.UTF8.GetString(_block, TextAt, (int)text) : null;
        return new WriteLogEntry((long)sector * _sectorSize, (long)sectors * _sectorSize, flags, dataOffset, mark);
    }
}
