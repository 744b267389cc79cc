using System.Buffers;
using System.Buffers.Binary;

namespace Uml.Devices.Acpi;

/// <summary>The resources of a device in the ACPI namespace (ACPI specification 6.5, 6.4).</summary>
public sealed class ResourceTemplate
{
    private const byte IrqTag = 0x22;
    private const byte IoTag = 0x47;
    private const byte EndTag = 0x79;
    private const byte Memory32FixedTag = 0x86;
    private const byte WordAddressTag = 0x88;
    private const byte QWordAddressTag = 0x8A;
    private const byte MemoryRange = 0;
    private const byte PortRange = 1;
    private const byte BusNumberRange = 2;

    // General flags: the bridge produces the range, decodes positively, and both ends are fixed (6.4.3.5.1).
    private const byte FixedEnds = 0x0C;

    // Memory flags: bit 0 read-write; bits 1 and 2 cacheability (6.4.3.5.5).
    private const byte ReadWrite = 1;
    private const byte Prefetchable = 3 << 1;

    // Port flags: neither ISA's ports only nor others' only (6.4.3.5.5).
    private const byte EntirePortRange = 3;

    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>The template with its end.</summary>
    public byte[] ToArray() => [.. _bytes.WrittenSpan, EndTag, 0];

    /// <summary>A fixed range of I/O ports, decoding 16 address bits.</summary>
    public ResourceTemplate Io(ushort start, byte count)
    {
        ThrowUnlessBelow(0x1_0000, start, count);
        const byte Decode16 = 1;
        _bytes.Write<byte>([IoTag, Decode16, (byte)start, (byte)(start >> 8), (byte)start, (byte)(start >> 8), 1, count]);
        return this;
    }

    /// <summary>An edge-triggered, active-high, exclusive interrupt of the ISA bus, 0 to 15.</summary>
    public ResourceTemplate Irq(int number)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(number);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(number, 15);
        _bytes.Write<byte>([IrqTag, (byte)(1 << number), (byte)(1 << number >> 8)]);
        return this;
    }

    /// <summary>A fixed read-write range of memory below 4 GiB.</summary>
    public ResourceTemplate Memory32(ulong start, ulong length)
    {
        ThrowUnlessBelow(0x1_0000_0000, start, length);
        Span<byte> descriptor = stackalloc byte[12];
        descriptor[0] = Memory32FixedTag;
        descriptor[1] = 9;
        descriptor[3] = ReadWrite;
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[4..], (uint)start);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], (uint)length);
        _bytes.Write<byte>(descriptor);
        return this;
    }

    /// <summary>Bus numbers behind a host bridge.</summary>
    public ResourceTemplate Buses(ushort first, ushort count) => WordAddress(BusNumberRange, 0, first, count);

    /// <summary>A window of I/O ports of a host bridge.</summary>
    public ResourceTemplate PortWindow(ushort start, ushort length) => WordAddress(PortRange, EntirePortRange, start, length);

    /// <summary>A memory window of a host bridge.</summary>
    public ResourceTemplate MemoryWindow(ulong start, ulong length, bool isPrefetchable)
    {
        ThrowUnlessBelow(ulong.MaxValue, start, length);
        Span<byte> descriptor = stackalloc byte[46];
        descriptor[0] = QWordAddressTag;
        descriptor[1] = 43;
        descriptor[3] = MemoryRange;
        descriptor[4] = FixedEnds;
        descriptor[5] = (byte)(ReadWrite | (isPrefetchable ? Prefetchable : 0));
        BinaryPrimitives.WriteUInt64LittleEndian(descriptor[14..], start);
        BinaryPrimitives.WriteUInt64LittleEndian(descriptor[22..], start + length - 1);
        BinaryPrimitives.WriteUInt64LittleEndian(descriptor[38..], length);
        _bytes.Write<byte>(descriptor);
        return this;
    }

    private ResourceTemplate WordAddress(byte type, byte flags, ushort start, ushort length)
    {
        ThrowUnlessBelow(0x1_0000, start, length);
        Span<byte> descriptor = stackalloc byte[16];
        descriptor[0] = WordAddressTag;
        descriptor[1] = 13;
        descriptor[3] = type;
        descriptor[4] = FixedEnds;
        descriptor[5] = flags;
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[8..], start);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[10..], (ushort)(start + length - 1));
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[14..], length);
        _bytes.Write<byte>(descriptor);
        return this;
    }

    private static void ThrowUnlessBelow(ulong end, ulong start, ulong length)
    {
        if (length == 0 || start >= end || end - start < length)
        {
            throw new ArgumentException($"A range of 0x{length:x} at 0x{start:x} is empty or does not end by 0x{end:x}.", nameof(length));
        }
    }
}
