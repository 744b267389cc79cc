using System.Buffers.Binary;
using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>The first sector of a file, in which all fields of the header lie that change: it is written at once, and all that is in it stays.</summary>
internal sealed class Qcow2HeaderSector(ReadOnlySpan<byte> start)
{
    /// <summary>A mark is written by whatever thread finds damage: fields that belong together are not to be written by halves.</summary>
    private readonly Lock _lock = new();
    private readonly byte[] _bytes = start[..BlockLimits.SectorSize].ToArray();

    public ReadOnlyMemory<byte> Sector => _bytes;

    /// <summary>For a write.</summary>
    public BlockBuffers Bytes => _bytes;

    public void SetLength(long length) => BinaryPrimitives.WriteInt64BigEndian(_bytes.AsSpan(24), length);

    public void SetL1(long offset, int count)
    {
        lock (_lock)
        {
            BinaryPrimitives.WriteInt32BigEndian(_bytes.AsSpan(36), count);
            BinaryPrimitives.WriteInt64BigEndian(_bytes.AsSpan(40), offset);
        }
    }

    public void SetRefcountTable(long offset, int clusters)
    {
        lock (_lock)
        {
            BinaryPrimitives.WriteInt64BigEndian(_bytes.AsSpan(48), offset);
            BinaryPrimitives.WriteInt32BigEndian(_bytes.AsSpan(56), clusters);
        }
    }

    /// <summary>Writes incompatible features that say that the image is damaged. Of version 3.</summary>
    /// <exception cref="BlockIOException">It could not be written.</exception>
    public void MarkAsDamaged(IImageFile file, ulong incompatible)
    {
        lock (_lock)
        {
            BinaryPrimitives.WriteUInt64BigEndian(_bytes.AsSpan(72), incompatible);
            file.Run(HostFileOperation.Write, 0, Bytes, 0);
        }

        file.Run(HostFileOperation.Flush, 0, default, 0);
    }

    /// <summary>Of version 3.</summary>
    public void SetFeatures(ulong incompatible, ulong autoclear)
    {
        BinaryPrimitives.WriteUInt64BigEndian(_bytes.AsSpan(72), incompatible);
        BinaryPrimitives.WriteUInt64BigEndian(_bytes.AsSpan(88), autoclear);
    }
}
