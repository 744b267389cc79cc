using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>
/// The x87 unit's registers (SDM vol. 1, 8.1). Registers are physical, R0 to R7, so that MMX registers alias their significands;
/// ST(i) is R((TOP + i) mod 8).
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 160)]
internal struct X87State
{
    public const ushort InitialControlWord = 0x037F;

    /// <summary>The exception masks of the control word.</summary>
    public const ushort ExceptionMasks = 0x3F;

    /// <summary>ES: an unmasked exception is pending (Intel SDM vol. 1, 8.1.3.3).</summary>
    public const ushort ErrorSummary = 0x0080;

    [FieldOffset(0)]
    private RegisterFile _registers;

    [FieldOffset(128)]
    public ushort ControlWord;

    [FieldOffset(130)]
    public ushort StatusWord;

    /// <summary>A set bit marks a physical register that is not empty: FXSAVE's abridged tag word.</summary>
    [FieldOffset(132)]
    public byte ValidTags;

    /// <summary>FOP: the low 11 bits of the last non-control instruction's opcode.</summary>
    [FieldOffset(134)]
    public ushort LastOpcode;

    [FieldOffset(136)]
    public ulong InstructionPointer;

    [FieldOffset(144)]
    public ulong DataPointer;

    [FieldOffset(152)]
    public ushort CodeSegment;

    [FieldOffset(154)]
    public ushort DataSegment;

    /// <summary>TOP, the physical number of ST(0).</summary>
    public int Top
    {
        readonly get => (StatusWord >> 11) & 7;
        set => StatusWord = (ushort)((StatusWord & ~0x3800) | ((value & 7) << 11));
    }

    /// <summary>Whether the control word masks all exceptions.</summary>
    public readonly bool MasksExceptions => (ControlWord & ExceptionMasks) == ExceptionMasks;

    /// <summary>ES: the next waiting instruction raises #MF (SDM vol. 1, 8.7).</summary>
    public readonly bool HasPendingException => (StatusWord & ErrorSummary) != 0;

    // SAFETY: the index is taken mod 8 and the inline array has 8 elements.
    [UnscopedRef]
    public ref Float80 Physical(int index) => ref Unsafe.Add(ref Unsafe.As<RegisterFile, Float80>(ref _registers), index & 7);

    [UnscopedRef]
    public ref Float80 St(int index) => ref Physical(Top + index);

    public readonly bool IsEmpty(int index) => ((ValidTags >> ((Top + index) & 7)) & 1) == 0;

    public void MarkValid(int index) => ValidTags |= (byte)(1 << ((Top + index) & 7));

    public void MarkEmpty(int index) => ValidTags &= (byte)~(1 << ((Top + index) & 7));

    [InlineArray(8)]
    private struct RegisterFile
    {
        private Float80 _first;
    }
}
