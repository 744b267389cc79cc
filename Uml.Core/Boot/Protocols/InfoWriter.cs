using System.Buffers.Binary;

namespace Uml.Core.Boot.Protocols;

/// <summary>Fills a region of boot information; little-endian.</summary>
internal sealed class InfoWriter(ulong address, ulong end)
{
    private readonly byte[] _bytes = new byte[end - address];
    private int _used;

    /// <summary>The bytes reserved so far.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _used);

    /// <summary>Reserves a part, at a multiple of eight bytes.</summary>
    /// <param name="count">The number of bytes.</param>
    /// <returns>Its address.</returns>
    public ulong Reserve(int count)
    {
        int start = (_used + 7) & ~7;
        _used = checked(start + count);
        return _used <= _bytes.Length
            ? address + (ulong)start
            : throw new KernelImageException(
                $"There are too many modules: their list does not fit into the {_bytes.Length} bytes for boot information. Use fewer.");
    }

    /// <summary>Writes a number at an address that was reserved.</summary>
    public void UInt32(ulong at, ulong value) => BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan((int)(at - address)), (uint)value);

    /// <summary>Writes a number at an address that was reserved.</summary>
    public void UInt64(ulong at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(_bytes.AsSpan((int)(at - address)), value);
}
