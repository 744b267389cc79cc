namespace Uml.Core.Cpu;

/// <summary>A segment register with its hidden part (Intel SDM vol. 3, 3.4.3).</summary>
/// <param name="Selector">The visible part.</param>
/// <param name="Base">Linear address of the segment.</param>
/// <param name="Limit">Last valid offset in bytes, granularity applied.</param>
/// <param name="Attributes">
/// Bits 40 to 47 and 52 to 55 of the descriptor, as VMX packs access rights (Intel SDM vol. 3, table 25-2): type 0-3, S 4, DPL 5-6,
/// P 7, AVL 12, L 13, D/B 14, G 15. Zero for a null selector.
/// </param>
public readonly record struct SegmentState(ushort Selector, ulong Base, uint Limit, ushort Attributes)
{
    /// <summary>A flat 64-bit code segment, privilege level 0.</summary>
    public static SegmentState Code64(ushort selector) => new(selector, 0, uint.MaxValue, 0xA09B);

    /// <summary>A flat 32-bit code segment, privilege level 0.</summary>
    public static SegmentState Code32(ushort selector) => new(selector, 0, uint.MaxValue, 0xC09B);

    /// <summary>A flat writable data segment, privilege level 0.</summary>
    public static SegmentState Data(ushort selector) => new(selector, 0, uint.MaxValue, 0xC093);

    /// <summary>A real-mode segment: base is selector times 16, limit 64 KiB (Intel SDM vol. 3, 21.1.1).</summary>
    public static SegmentState RealMode(ushort selector) => new(selector, (ulong)selector << 4, 0xFFFF, 0x0093);
}

/// <summary>GDTR or IDTR.</summary>
/// <param name="Base">Linear address of the table.</param>
/// <param name="Limit">Size of the table in bytes, minus 1.</param>
public readonly record struct DescriptorTable(ulong Base, ushort Limit);
