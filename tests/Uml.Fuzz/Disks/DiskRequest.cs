using Uml.Hosting.Testing;

namespace Uml.Fuzz.Disks;

/// <summary>A request of the driver that obeys the rules, and what has to come of it.</summary>
internal sealed class DiskRequest
{
    // Types and results (virtio 1.2, 5.2.6).
    public const uint In = 0, Out = 1, Flush = 4, GetId = 8, Discard = 11, WriteZeroes = 13, Unknown = 77;
    public const byte Ok = 0, Failed = 1, Unsupported = 2, None = 0xEE;

    /// <summary>Bytes between two requests' memory, and the data that each has room for.</summary>
    public const int Stride = 0x1_0000, MaximumData = 0x8000;

    private const int HeaderLength = 16, ResultAt = 0x40, DataAt = 0x1000;

    public DiskRequest(int slot) => Header = VirtqueueBench.Data + ((ulong)slot * Stride);

    public ulong Header { get; }

    public ulong Result => Header + ResultAt;

    public ulong DataAddress => Header + DataAt;

    public uint Type { get; set; }

    public long Offset { get; set; }

    /// <summary>Bytes of the disk that it is about.</summary>
    public int Length { get; set; }

    /// <summary>The result that it has to have.</summary>
    public byte Expected { get; set; }

    /// <summary>What is written to the disk.</summary>
    public byte[] Data { get; set; } = [];

    public ushort Head { get; set; }

    /// <summary>Whether the device writes its data to the guest.</summary>
    public bool IsRead => Type is In or GetId;

    public bool Changes => Type is Out or Discard or WriteZeroes;

    /// <summary>Bytes that its descriptors have, header and result left out.</summary>
    public int Bytes { get; set; }

    /// <summary>The descriptors: header, data in pieces, result.</summary>
    public VirtioBuffer[] Describe(IEnumerable<int> pieces)
    {
        List<VirtioBuffer> buffers = [new(Header, HeaderLength, false)];
        ulong at = DataAddress;
        foreach (int length in pieces)
        {
            buffers.Add(new(at, (uint)length, IsRead));
            at += (uint)length;
        }

        buffers.Add(new(Result, 1, true));
        return [.. buffers];
    }

    public bool Overlaps(long offset, long length) => offset < Offset + Length && offset + length > Offset;

    public override string ToString() => $"type {Type}, {Length} bytes at {Offset}";
}
