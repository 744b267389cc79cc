using System.Buffers;
using System.Buffers.Binary;

namespace Uml.Core.Snapshots;

/// <summary>Writes the state of a device: little-endian values, one after the other, without names or padding.</summary>
/// <param name="output">Where it goes.</param>
public sealed class StateWriter(IBufferWriter<byte> output)
{
    /// <summary>The version that stands for a device without state.</summary>
    internal const ushort NoState = 0;

    /// <summary>Bytes written so far.</summary>
    public long Length { get; private set; }

    /// <summary>Begins a state. A device that saves other values, or others' order, than it did takes the next number.</summary>
    /// <param name="version">The version of what follows, from 1.</param>
    public void WriteVersion(ushort version)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(version, NoState);
        Write(version);
    }

    /// <summary>Says that there is no state. A device that writes nothing at all is taken for one whose state was forgotten.</summary>
    public void WriteNone() => Write(NoState);

    /// <summary>Writes a byte, 0 or 1.</summary>
    public void Write(bool value) => Write(value ? (byte)1 : (byte)0);

    /// <summary>Writes a byte.</summary>
    public void Write(byte value) => Write([value]);

    /// <summary>Writes two bytes.</summary>
    public void Write(ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(output.GetSpan(sizeof(ushort)), value);
        Advance(sizeof(ushort));
    }

    /// <summary>Writes four bytes.</summary>
    public void Write(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(output.GetSpan(sizeof(uint)), value);
        Advance(sizeof(uint));
    }

    /// <summary>Writes four bytes.</summary>
    public void Write(int value) => Write((uint)value);

    /// <summary>Writes eight bytes.</summary>
    public void Write(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(output.GetSpan(sizeof(ulong)), value);
        Advance(sizeof(ulong));
    }

    /// <summary>Writes eight bytes.</summary>
    public void Write(long value) => Write((ulong)value);

    /// <summary>Writes bytes whose number the reader knows.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        output.Write(bytes);
        Length += bytes.Length;
    }

    /// <summary>Writes bytes behind their number.</summary>
    public void WriteBlob(ReadOnlySpan<byte> bytes)
    {
        Write(bytes.Length);
        Write(bytes);
    }

    private void Advance(int count)
    {
        output.Advance(count);
        Length += count;
    }
}
