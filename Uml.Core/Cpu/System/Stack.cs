using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Paging;

namespace Uml.Core.Cpu;

/// <summary>The current stack as system instructions use it. Nothing changes RSP but <see cref="SetPointer"/> and <see cref="Push{T}"/>.</summary>
internal static unsafe class Stack
{
    private const int Rsp = 4;

    /// <summary>Reads from the stack, so many bytes above its top.</summary>
    public static bool Peek<T>(CpuState* s, ulong above, out T value) where T : unmanaged
    {
        if (!Linear(s, s->Gpr[Rsp] + above, sizeof(T), write: false, out ulong linear))
        {
            value = default;
            return false;
        }

        return Access.LoadAt(s, linear, SegmentIndex.Ss, out value);
    }

    /// <summary>Reads 2, 4 or 8 bytes from the stack, zero-extended.</summary>
    public static bool Peek(CpuState* s, ulong above, int size, out ulong value)
    {
        bool ok;
        switch (size)
        {
            case 2:
                ok = Peek(s, above, out ushort word);
                value = word;
                return ok;
            case 4:
                ok = Peek(s, above, out uint dword);
                value = dword;
                return ok;
            default:
                return Peek(s, above, out value);
        }
    }

    /// <summary>Pushes a value; RSP changes only when the write succeeds.</summary>
    public static bool Push<T>(CpuState* s, T value) where T : unmanaged
    {
        ulong pointer = s->Gpr[Rsp] - (ulong)sizeof(T);
        if (!Linear(s, pointer, sizeof(T), write: true, out ulong linear) || !Access.StoreAt(s, linear, SegmentIndex.Ss, value))
        {
            return false;
        }

        SetPointer(s, pointer);
        return true;
    }

    /// <summary>Moves the stack pointer up.</summary>
    public static void Release(CpuState* s, ulong bytes) => SetPointer(s, s->Gpr[Rsp] + bytes);

    /// <summary>Sets RSP, ESP or SP, whichever the stack segment's size makes the stack pointer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetPointer(CpuState* s, ulong value) => s->Gpr[Rsp] = Merge(s->Gpr[Rsp], value, s->StackMask);

    /// <summary>A 16-bit stack pointer keeps the bits above it; a 32-bit one clears them.</summary>
    public static ulong Merge(ulong old, ulong value, ulong mask) =>
        mask == ushort.MaxValue ? (old & ~mask) | (value & mask) : value & mask;

    /// <summary>How the stack pointer wraps under a stack segment outside 64-bit mode.</summary>
    public static ulong MaskOf(in SegmentRegister stack) =>
        (stack.Attributes & SegmentRegister.Db) != 0 ? uint.MaxValue : ushort.MaxValue;

    private static bool Linear(CpuState* s, ulong pointer, int size, bool write, out ulong linear) =>
        Segmentation.Linear(s, SegmentIndex.Ss, pointer & s->StackMask, size, write, out linear);
}

/// <summary>
/// A frame under construction on a stack that need not be the current one: nothing of the CPU changes until the caller commits
/// <see cref="Pointer"/>, so a push that faults leaves no trace but bytes below the stack pointer.
/// </summary>
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
        Mask = Stack.MaskOf(segment);
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
            return Fault.Fail(s, Vector.SS, _error);
        }

        Pointer = pointer;
        return size switch
        {
            2 => Write(s, linear, (ushort)value),
            4 => Write(s, linear, (uint)value),
            _ => Write(s, linear, value),
        };
    }

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
        _user ? Access.StoreAt(s, linear, SegmentIndex.Ss, value) : Mmu.WriteSystem(s, linear, value);
}
