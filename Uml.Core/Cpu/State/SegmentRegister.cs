using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>Segment registers with their hidden parts, in the order of <see cref="SegmentIndex"/>.</summary>
[InlineArray(8)]
internal struct SegmentRegisters
{
    private SegmentRegister _element;
}

internal enum SegmentIndex : byte { Es, Cs, Ss, Ds, Fs, Gs, Ldtr, Tr }

/// <summary>A segment register: selector and descriptor cache (Intel SDM vol. 3, 3.4.3).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SegmentRegister
{
    public ulong Base;

    /// <summary>Last valid offset in bytes, granularity applied.</summary>
    public uint Limit;
    public ushort Selector;

    /// <summary>Where emitted code finds the selector.</summary>
    public const int SelectorOffset = 12;

    /// <summary>
    /// Bits 40..47 and 52..55 of the descriptor, packed as in VMX access rights (Intel SDM vol. 3, table 24-2):
    /// type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15. Zero: unusable (null selector).
    /// </summary>
    public ushort Attributes;

    public const ushort TypeMask = 0xF, S = 1 << 4, DplMask = 3 << 5, Present = 1 << 7, L = 1 << 13, Db = 1 << 14, G = 1 << 15;

    public readonly int Dpl => (Attributes >> 5) & 3;
    public readonly bool IsCode => (Attributes & (S | 8)) == (S | 8);
    public readonly bool IsUsable => (Attributes & Present) != 0;
}
