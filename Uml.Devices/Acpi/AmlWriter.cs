using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Uml.Devices.Acpi;

/// <summary>
/// Writes ACPI machine language (ACPI specification 6.5, chapter 20): as much of it as describing a board takes. Names are segments
/// of up to four characters, or a segment with a leading backslash.
/// </summary>
public sealed partial class AmlWriter
{
    private const byte ZeroOp = 0x00;
    private const byte OneOp = 0x01;
    private const byte NameOp = 0x08;
    private const byte BytePrefix = 0x0A;
    private const byte WordPrefix = 0x0B;
    private const byte DWordPrefix = 0x0C;
    private const byte StringPrefix = 0x0D;
    private const byte QWordPrefix = 0x0E;
    private const byte ScopeOp = 0x10;
    private const byte BufferOp = 0x11;
    private const byte PackageOp = 0x12;
    private const byte MethodOp = 0x14;
    private const byte ExtendedOpPrefix = 0x5B;
    private const byte StoreOp = 0x70;
    private const byte DeviceOp = 0x82;
    private const byte IfOp = 0xA0;
    private const byte ReturnOp = 0xA4;
    private const int SegmentLength = 4;

    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>The names that are defined here, as they are encoded: each may be once (5.3).</summary>
    private readonly HashSet<string> _defined = [];

    /// <summary>The bytes written so far.</summary>
    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();

    /// <summary>Opens a scope that exists, such as \_SB.</summary>
    public void Scope(string name, Action<AmlWriter> content) => Block([ScopeOp], name, content);

    /// <summary>Defines a device.</summary>
    /// <exception cref="ArgumentException">The name is none of ACPI, or is defined here already.</exception>
    public void Device(string name, Action<AmlWriter> content)
    {
        Define(name);
        Block([ExtendedOpPrefix, DeviceOp], name, content);
    }

    /// <summary>Names an integer.</summary>
    public void NameInteger(string name, ulong value)
    {
        Name(name);
        Integer(value);
    }

    /// <summary>Names a string of ASCII characters.</summary>
    public void NameString(string name, string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (value.Contains('\0') || !Ascii.IsValid(value))
        {
            throw new ArgumentException($"'{value}' is no string of ACPI: use ASCII characters but NUL.", nameof(value));
        }

        Name(name);
        _bytes.Write<byte>([StringPrefix]);
        _bytes.Write<byte>(Encoding.ASCII.GetBytes(value));
        _bytes.Write<byte>([0]);
    }

    /// <summary>Names a device identifier of three letters and four hexadecimal digits in its compressed form (19.3.4).</summary>
    public void NameEisaId(string name, string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        const int IdLength = 7, Letters = 3;
        if (id.Length != IdLength || !id[..Letters].All(char.IsAsciiLetterUpper) || !id[Letters..].All(char.IsAsciiHexDigit))
        {
            throw new ArgumentException($"'{id}' is no EISA identifier: use three upper-case letters and four hexadecimal digits.", nameof(id));
        }

        uint number = uint.Parse(id.AsSpan(3), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        uint letters = ((id[0] - 0x40u) << 10) | ((id[1] - 0x40u) << 5) | (id[2] - 0x40u);
        NameInteger(name, BinaryPrimitives.ReverseEndianness((letters << 16) | number));
    }

    /// <summary>Names a package of integers.</summary>
    public void NameIntegers(string name, params ReadOnlySpan<ulong> values)
    {
        Name(name);
        Integers(values);
    }

    /// <summary>Names the resources of a device.</summary>
    public void NameResources(string name, ResourceTemplate resources)
    {
        Name(name);
        var buffer = new AmlWriter();
        byte[] bytes = resources.ToArray();
        buffer.Integer((ulong)bytes.Length);
        buffer._bytes.Write<byte>(bytes);
        Sized([BufferOp], buffer);
    }

    /// <summary>Defines a method that keeps its argument in a named integer.</summary>
    public void MethodSetting(string name, string target) => Method(name, 1, method => method.Store(AmlOperand.Argument(0), target));

    /// <summary>
    /// Defines a method without arguments that returns one table while a named integer is not zero, and else another. Tables are packages
    /// whose elements are packages of <paramref name="width"/> integers each; a guest reads them when it calls the method.
    /// </summary>
    public void MethodChoosing(string name, string condition, int width, ulong[] whenTrue, ulong[] whenFalse)
    {
        ArgumentNullException.ThrowIfNull(whenTrue);
        ArgumentNullException.ThrowIfNull(whenFalse);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        Method(name, 0, method =>
        {
            method.If(AmlOperand.Named(condition), branch => branch.ReturnTable(width, whenTrue));
            method.ReturnTable(width, whenFalse);
        });
    }

    private void ReturnTable(int width, ReadOnlySpan<ulong> values)
    {
        (int count, int rest) = Math.DivRem(values.Length, width);
        if (rest != 0)
        {
            throw new ArgumentException($"A table of {values.Length} integers has no rows of {width}.", nameof(values));
        }

        var rows = new AmlWriter();
        rows.ElementCount(count);
        for (int i = 0; i < count; i++)
        {
            rows.Integers(values.Slice(i * width, width));
        }

        Sized([ReturnOp, PackageOp], rows);
    }

    private void Block(ReadOnlySpan<byte> operation, string name, Action<AmlWriter> content)
    {
        var block = new AmlWriter();
        block.Path(name);
        content(block);
        Sized(operation, block);
    }

    private void Name(string name)
    {
        Define(name);
        _bytes.Write<byte>([NameOp]);
        Path(name);
    }

    private void Define(string name)
    {
        if (!_defined.Add(Encode(name)))
        {
            throw new ArgumentException($"'{name}' is defined in this scope already.", nameof(name));
        }
    }

    private void Path(string name) => _bytes.Write<byte>(Encoding.ASCII.GetBytes(Encode(name)));

    // Short segments are padded with underscores (20.2.2).
    private static string Encode(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        string root = name.StartsWith('\\') ? name[..1] : "";
        string segment = name[root.Length..];
        if (segment.Length is 0 or > SegmentLength || char.IsAsciiDigit(segment[0]) || !segment.All(c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_'))
        {
            throw new ArgumentException($"'{name}' is no name of ACPI: use one to four upper-case letters, digits and underscores.", nameof(name));
        }

        return root + segment.PadRight(SegmentLength, '_');
    }

    private void ElementCount(int count)
    {
        if (count > byte.MaxValue)
        {
            throw new ArgumentException($"A package of ACPI has {byte.MaxValue} elements at most, not {count}.", nameof(count));
        }

        _bytes.Write<byte>([(byte)count]);
    }

    private void Integers(ReadOnlySpan<ulong> values)
    {
        var elements = new AmlWriter();
        elements.ElementCount(values.Length);
        foreach (ulong value in values)
        {
            elements.Integer(value);
        }

        Sized([PackageOp], elements);
    }

    /// <summary>Writes a number.</summary>
    internal void Integer(ulong value)
    {
        if (value <= 1)
        {
            _bytes.Write<byte>([value == 0 ? ZeroOp : OneOp]);
            return;
        }

        (byte prefix, int length) = value switch
        {
            <= byte.MaxValue => (BytePrefix, sizeof(byte)),
            <= ushort.MaxValue => (WordPrefix, sizeof(ushort)),
            <= uint.MaxValue => (DWordPrefix, sizeof(uint)),
            _ => (QWordPrefix, sizeof(ulong)),
        };
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        _bytes.Write<byte>([prefix]);
        _bytes.Write<byte>(bytes[..length]);
    }

    // PkgLength counts itself: one byte up to 63, else four bits in the first byte and up to three bytes after it (20.2.4).
    private void Sized(ReadOnlySpan<byte> operation, AmlWriter content)
    {
        _bytes.Write(operation);
        int length = content._bytes.WrittenCount;
        int extraBytes = length + 1 <= 0x3F ? 0 : length + 2 <= 0xFFF ? 1 : length + 3 <= 0xF_FFFF ? 2 : 3;
        length += 1 + extraBytes;
        _bytes.Write<byte>([(byte)(extraBytes == 0 ? length : (extraBytes << 6) | (length & 0xF))]);
        for (int i = 0; i < extraBytes; i++)
        {
            _bytes.Write<byte>([(byte)(length >> (4 + (8 * i)))]);
        }

        _bytes.Write(content._bytes.WrittenSpan);
    }
}
