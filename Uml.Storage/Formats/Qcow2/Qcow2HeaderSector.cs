using System.Buffers.Binary;
using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>The first sector of a file, in which all fields of the header lie that change: it is written at once, and all that is in it stays.</summary>
internal sealed class Qcow2HeaderSector(ReadOnlySpan<byte> start)
{
    private readonly byte[] _bytes = start[..BlockLimits.SectorSize].ToArray();

    public ReadOnlyMemory<byte> Sector => _bytes;

    /// <summary>For a write.</summary>
    public BlockBuffers Bytes => _bytes;

    public void SetLength(long length) => BinaryPrimitives.WriteInt64BigEndian(_bytes.AsSpan(24), length);

    public void SetL1(long offset, int count)
    {
        BinaryPrimitives.WriteInt32BigEndian(_bytes.AsSpan(36), count);
        BinaryPrimitives.WriteInt64BigEndian(_bytes.AsSpan(40), offset);
    }

    public void SetRefcountTable(long offset, int clusters)
    {
        BinaryPrimitives.WriteInt64BigEndian(_bytes.AsSpan(48), offset);
        BinaryPrimitives.WriteInt32BigEndian(_bytes.AsSpan(56), clusters);
    }

    /// <summary>Of version 3.</summary>
    public void SetFeatures(ulong incompatible, ulong autoclear)
    {
        BinaryPrimitives.WriteUInt64BigEndian(_bytes.AsSpan(72), incompatible);
        BinaryPrimitives.WriteUInt64BigEndian(_bytes.AsSpan(88), autoclear);
    }
}
