using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Uml.Devices.Acpi;

/// <summary>One ACPI table: a header (ACPI specification 6.5, 5.2.6) and what is appended to it. Integers are little-endian.</summary>
internal sealed class AcpiTable
{
    private const int LengthOffset = 4;
    private const int ChecksumOffset = 9;

    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>Begins a table.</summary>
    public AcpiTable(string signature, byte revision)
    {
        const uint OemRevision = 1;
        const uint CreatorRevision = 1;
        Ascii(signature).U32(0).U8(revision).U8(0);
        Ascii("UML   ").Ascii("UMLBOARD").U32(OemRevision).Ascii("UML ").U32(CreatorRevision);
    }

    /// <summary>Appends a byte.</summary>
    public AcpiTable U8(byte value)
    {
        _bytes.Write<byte>([value]);
        return this;
    }

    /// <summary>Appends 16 bits.</summary>
    public AcpiTable U16(ushort value) => U8((byte)value).U8((byte)(value >> 8));

    /// <summary>Appends 32 bits.</summary>
    public AcpiTable U32(uint value) => U16((ushort)value).U16((ushort)(value >> 16));

    /// <summary>Appends 64 bits.</summary>
    public AcpiTable U64(ulong value) => U32((uint)value).U32((uint)(value >> 32));

    /// <summary>Appends bytes.</summary>
    public AcpiTable Bytes(ReadOnlySpan<byte> value)
    {
        _bytes.Write(value);
        return this;
    }

    /// <summary>Appends zeros up to an offset that the specification names.</summary>
    public AcpiTable PadTo(int offset) => Bytes(new byte[offset - _bytes.WrittenCount]);

    /// <summary>Appends the address of registers in I/O space (5.2.3.2).</summary>
    /// <param name="port">The first port.</param>
    /// <param name="bytes">How many bytes there are.</param>
    /// <param name="accessBytes">How many of them are accessed at once: 1, 2 or 4.</param>
    public AcpiTable PortRegisters(ushort port, int bytes, int accessBytes)
    {
        const byte SystemIo = 1;
        return U8(SystemIo).U8((byte)(bytes * 8)).U8(0).U8((byte)(BitOperations.Log2((uint)accessBytes) + 1)).U64(port);
    }

    /// <summary>The table with length and checksum.</summary>
    public byte[] ToArray()
    {
        byte[] table = _bytes.WrittenSpan.ToArray();
        BinaryPrimitives.WriteInt32LittleEndian(table.AsSpan(LengthOffset), table.Length);
        table[ChecksumOffset] = Checksum(table);
        return table;
    }

    /// <summary>The byte that makes the sum of all bytes zero, when its place holds zero.</summary>
    public static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte value in bytes)
        {
            sum += value;
        }

        return (byte)-sum;
    }

    private AcpiTable Ascii(string text) => Bytes(Encoding.ASCII.GetBytes(text));
}
