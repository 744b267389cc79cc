using System.Runtime.CompilerServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Access;

/// <summary>Implicit stack accesses. RSP changes only after the access succeeded.</summary>
// SAFETY: handlers: the handler contract (Op). RSP is indexed by a constant; memory is reached through Operand.
internal static unsafe class Stack
{
    private const int Rsp = 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Push<T>(CpuState* s, T value) where T : unmanaged
    {
        ulong sp = (s->Gpr[Rsp] - (ulong)sizeof(T)) & s->StackMask;
        if (!Linear(s, sp, sizeof(T), write: true, out ulong linear) || !Operand.StoreAt(s, linear, SegmentIndex.Ss, value))
        {
            return false;
        }

        SetPointer(s, sp);
        return true;
    }

    /// <summary>Reads the value <paramref name="offset"/> bytes above the top of the stack.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Peek<T>(CpuState* s, ulong offset, out T value) where T : unmanaged
    {
        if (!Linear(s, (s->Gpr[Rsp] + offset) & s->StackMask, sizeof(T), write: false, out ulong linear))
        {
            value = default;
            return false;
        }

        return Operand.LoadAt(s, linear, SegmentIndex.Ss, out value);
    }

    /// <summary>Drops bytes from the top of the stack.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Drop(CpuState* s, ulong bytes) => SetPointer(s, (s->Gpr[Rsp] + bytes) & s->StackMask);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetPointer(CpuState* s, ulong sp)
    {
        // A 16-bit stack pointer leaves the upper half of ESP alone; 32 bits are zero-extended where it matters (compatibility mode).
        s->Gpr[Rsp] = s->StackMask == ushort.MaxValue ? (s->Gpr[Rsp] & ~0xFFFFUL) | sp : sp;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Linear(CpuState* s, ulong sp, int size, bool write, out ulong linear)
    {
        linear = sp;
        return (s->Mode & CpuMode.Segmented) == 0 || Segmentation.Linear(s, SegmentIndex.Ss, sp, size, write, out linear);
    }
}
