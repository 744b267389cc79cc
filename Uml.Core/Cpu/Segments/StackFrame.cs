using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>
/// A stack frame under construction, not necessarily on the current stack. The CPU's state does not change until the caller commits
/// <see cref="Pointer"/>, so a push that faults changes only bytes below the stack pointer.
/// </summary>
// SAFETY: s is a live processor's state. Frames are guest memory, written through Operand and Mmu after limit and canonicality were
// checked.
internal unsafe struct StackFrame
{
    private readonly SegmentRegister _segment;
    private readonly bool _flat;
    private readonly bool _user;
    private readonly uint _error;

    /// <summary>A frame on a legacy or compatibility-mode stack.</summary>
    /// <param name="segment">The stack segment.</param>
    /// <param name="pointer">Its stack pointer.</param>
    /// <param name="cpl">Privilege of the pushes; 3 only while the CPU itself is at 3.</param>
    /// <param name="error">Error code of #SS.</param>
    public StackFrame(in SegmentRegister segment, ulong pointer, int cpl, uint error)
    {
        _segment = segment;
        _user = cpl == 3;
        _error = error;
        Mask = MaskOf(segment);
        Pointer = pointer & Mask;
    }

    /// <summary>A frame on a 64-bit stack.</summary>
    public StackFrame(ulong pointer, int cpl, uint error)
    {
        _flat = true;
        _user = cpl == 3;
        _error = error;
        Mask = ulong.MaxValue;
        Pointer = pointer;
    }

    /// <summary>Where the stack pointer wraps.</summary>
    public ulong Mask { get; }

    /// <summary>The stack pointer so far.</summary>
    public ulong Pointer { get; private set; }

    /// <summary>Pushes 2, 4 or 8 bytes.</summary>
    public bool Push(CpuState* s, ulong value, int size)
    {
        ulong pointer = (Pointer - (ulong)size) & Mask;
        if (!Linear(pointer, size, out ulong linear))
        {
            return Fault.Fail(s, ExceptionVector.SS, _error);
        }

        Pointer = pointer;
        return size switch
        {
            2 => Write(s, linear, (ushort)value),
            4 => Write(s, linear, (uint)value),
            _ => Write(s, linear, value),
        };
    }

    /// <summary>Reads 2, 4 or 8 bytes above the top of the current stack, zero-extended.</summary>
    public static bool Peek(CpuState* s, ulong above, int size, out ulong value)
    {
        bool ok;
        switch (size)
        {
            case 2:
                ok = Stack.Peek(s, above, out ushort word);
                value = word;
                return ok;
            case 4:
                ok = Stack.Peek(s, above, out uint dword);
                value = dword;
                return ok;
            default:
                return Stack.Peek(s, above, out value);
        }
    }

    /// <summary>A 16-bit stack pointer keeps the bits above it; a 32-bit one clears them.</summary>
    public static ulong Merge(ulong old, ulong value, ulong mask) =>
        mask == ushort.MaxValue ? (old & ~mask) | (value & mask) : value & mask;

    /// <summary>How the stack pointer wraps under a stack segment outside 64-bit mode.</summary>
    public static ulong MaskOf(in SegmentRegister stack) =>
        (stack.Attributes & SegmentRegister.Db) != 0 ? uint.MaxValue : ushort.MaxValue;

    private readonly bool Linear(ulong pointer, int size, out ulong linear)
    {
        if (_flat)
        {
            linear = pointer;
            return Canonical.Is(pointer) && Canonical.Is(pointer + (ulong)size - 1);
        }

        linear = (uint)(_segment.Base + pointer);
        return Segmentation.InLimit(_segment, (uint)pointer, (uint)size);
    }

    private readonly bool Write<T>(CpuState* s, ulong linear, T value) where T : unmanaged =>
        _user ? Operand.StoreAt(s, linear, SegmentIndex.Ss, value) : Mmu.WriteSystem(s, linear, value);
}
