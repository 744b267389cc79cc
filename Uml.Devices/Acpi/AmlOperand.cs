namespace Uml.Devices.Acpi;

/// <summary>An operand of a statement of ACPI's machine language, encoded (ACPI specification 6.5, 20.2.5).</summary>
internal readonly struct AmlOperand
{
    private const byte Arg0Op = 0x68;
    private const byte AndOp = 0x7B;
    private const byte NoTarget = 0x00;

    private readonly byte[] _bytes;

    private AmlOperand(AmlWriter writer) => _bytes = writer.ToArray();

    private AmlOperand(params byte[] bytes) => _bytes = bytes;

    /// <summary>The operand, as it stands in a method.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>A number.</summary>
    public static AmlOperand Integer(ulong value)
    {
        AmlWriter writer = new();
        writer.Integer(value);
        return new AmlOperand(writer);
    }

    /// <summary>What has a name: a segment that is looked for in the scope and those around it, or a path from the root.</summary>
    public static AmlOperand Named(string path)
    {
        AmlWriter writer = new();
        writer.Reference(path);
        return new AmlOperand(writer);
    }

    /// <summary>An argument of the method, 0 to 6.</summary>
    public static AmlOperand Argument(int number) => new((byte)(Arg0Op + number));

    /// <summary>The bits that both have.</summary>
    public static AmlOperand And(AmlOperand left, AmlOperand right) => new([AndOp, .. left._bytes, .. right._bytes, NoTarget]);
}
