using System.Buffers.Binary;
using Uml.Core.Memory;
using Uml.Devices.Virtio.Queue;
using Uml.Storage.Blocks;

namespace Uml.Devices.Virtio.Block;

/// <summary>A request of the guest to its disk, from the queue to the result; used again and again.</summary>
internal sealed class BlockRequest(IGuestMemory memory)
{
    /// <summary>Ranges of a discard or of zeroes in one request; told to the driver.</summary>
    public const int MaximumRanges = 16;

    private readonly IGuestMemory _memory = memory;
    private readonly IGuestMemoryTransfer _transfer = memory.CreateTransfer();
    private readonly (long Offset, long Length, bool MayUnmap)[] _ranges = new (long, long, bool)[MaximumRanges];
    private int _rangeCount;

    public VirtqueueChain Chain { get; } = new();

    public uint Type { get; private set; }

    /// <summary>Where the data is on the disk, in bytes.</summary>
    public long Offset { get; private set; }

    /// <summary>What is read or written.</summary>
    public BlockBuffers Data { get; private set; }

    /// <summary>What is discarded or zeroed.</summary>
    public ReadOnlySpan<(long Offset, long Length, bool MayUnmap)> Ranges => _ranges.AsSpan(0, _rangeCount);

    /// <summary>Whether what it changes has to be durable when it is done, since the driver does not flush.</summary>
    public bool IsWriteThrough { get; set; }

    /// <summary>The result; set when it is known.</summary>
    public byte Status { get; set; }

    /// <summary>Whether the result is known. Set last, on whatever thread.</summary>
    public volatile bool IsDone;

    /// <summary>What the disk does elsewhere, and what is called when it has; made once for each object, as requests allocate nothing.</summary>
    public ValueTask Pending { get; set; }

    public Action? OnEnded { get; set; }

    /// <summary>When the guest is told of the result, in virtual time.</summary>
    public ulong Deadline { get; set; }

    /// <summary>Reads the request from its chain.</summary>
    /// <exception cref="VirtioGuestErrorException">The chain is no request.</exception>
    public void Parse()
    {
        if (Chain.ReadableLength < VirtioBlockLayout.HeaderLength || Chain.WritableLength < 1)
        {
            throw new VirtioGuestErrorException(
                $"chain {Chain.Head} has {Chain.ReadableLength} bytes to be read and {Chain.WritableLength} to be written, and a request at least 16 and 1");
        }

        Span<byte> header = stackalloc byte[VirtioBlockLayout.HeaderLength];
        Chain.Read(_memory, 0, header);
        Type = BinaryPrimitives.ReadUInt32LittleEndian(header);
        ulong sector = BinaryPrimitives.ReadUInt64LittleEndian(header[VirtioBlockLayout.SectorOffset..]);
        Offset = ToBytes(sector);
        (Status, IsDone, Data, _rangeCount) = (VirtioBlockLayout.Failed, false, default, 0);
        switch (Type)
        {
            case VirtioBlockLayout.In:
                TakeData(toGuest: true, 0, Chain.WritableLength - 1);
                break;
            case VirtioBlockLayout.Out:
                TakeData(toGuest: false, VirtioBlockLayout.HeaderLength, Chain.ReadableLength - VirtioBlockLayout.HeaderLength);
                break;
            case VirtioBlockLayout.DiscardRequest or VirtioBlockLayout.WriteZeroesRequest:
                TakeRanges();
                break;
        }
    }

    /// <summary>Answers a request for the disk's name.</summary>
    public void WriteId(ReadOnlySpan<byte> id)
    {
        Chain.Write(_memory, 0, id[..Math.Min(id.Length, Chain.WritableLength - 1)]);
        Status = VirtioBlockLayout.Ok;
    }

    /// <summary>Gives the guest's memory back, and writes the result to it.</summary>
    /// <returns>Bytes that were written.</returns>
    /// <exception cref="VirtioGuestErrorException">The place for the result is not RAM.</exception>
    public int Complete()
    {
        Release();
        Chain.Write(_memory, Chain.WritableLength - 1, [Status]);
        return Type is VirtioBlockLayout.In or VirtioBlockLayout.GetId && Status == VirtioBlockLayout.Ok ? Chain.WritableLength : 1;
    }

    /// <summary>Gives the guest's memory back.</summary>
    public void Release()
    {
        Data = default;
        _transfer.Complete();
    }

    /// <summary>The offset of a sector, which is outside every disk when it has none.</summary>
    private static long ToBytes(ulong sector) =>
        sector <= long.MaxValue / BlockLimits.SectorSize ? (long)sector * BlockLimits.SectorSize : long.MaxValue;

    private void TakeData(bool toGuest, int offset, int length)
    {
        _transfer.Begin(toGuest);
        try
        {
            Chain.AddTo(_transfer, toGuest, offset, length);
        }
        catch (VirtioGuestErrorException)
        {
            _transfer.Complete();
            throw;
        }

        Data = new BlockBuffers(_transfer.Pieces);
    }

    private void TakeRanges()
    {
        int length = Chain.ReadableLength - VirtioBlockLayout.HeaderLength;
        if (length % VirtioBlockLayout.RangeLength != 0 || length / VirtioBlockLayout.RangeLength > MaximumRanges)
        {
            throw new VirtioGuestErrorException($"chain {Chain.Head} has {length} bytes of ranges, which are of 16 bytes and at most {MaximumRanges}");
        }

        Span<byte> range = stackalloc byte[VirtioBlockLayout.RangeLength];
        for (int done = 0; done < length; done += VirtioBlockLayout.RangeLength)
        {
            Chain.Read(_memory, VirtioBlockLayout.HeaderLength + done, range);
            ulong sector = BinaryPrimitives.ReadUInt64LittleEndian(range);
            uint sectors = BinaryPrimitives.ReadUInt32LittleEndian(range[VirtioBlockLayout.RangeSectors..]);
            uint flags = BinaryPrimitives.ReadUInt32LittleEndian(range[VirtioBlockLayout.RangeFlags..]);
            _ranges[_rangeCount++] = (ToBytes(sector), (long)sectors * BlockLimits.SectorSize, (flags & VirtioBlockLayout.Unmap) != 0);
        }
    }
}
