using System.Runtime.CompilerServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics;

/// <summary>
/// Shifts and rotates (Intel SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR): the count is masked already and not zero. OF is defined
/// for a count of 1 only; for others it is set as if the last of that many single steps had set it, which is what processors do for
/// shifts.
/// </summary>
// SAFETY: s is a live processor's state (the handler contract, see Op), of which only flags are touched; T is an integer type. Shift counts
// are the handler's masked ones, so at most 63.
internal unsafe interface IShiftOperation
{
    static abstract ulong Apply<T>(CpuState* s, ulong a, int count) where T : unmanaged;
}

internal readonly unsafe struct Shl : IShiftOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, int count) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        ulong before = a << (count - 1);
        bool carry = ((before >> (width - 1)) & 1) != 0;
        ulong r = before << 1;
        bool sign = ((r >> (width - 1)) & 1) != 0;
        Flags.SetResult<T>(s, r, carry, carry != sign);
        return r;
    }
}

internal readonly unsafe struct Shr : IShiftOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, int count) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        ulong before = a >> (count - 1);
        ulong r = before >> 1;

        // OF is the sign bit before the last step.
        bool overflow = ((before >> (width - 1)) & 1) != 0;
        Flags.SetResult<T>(s, r, (before & 1) != 0, overflow);
        return r;
    }
}

internal readonly unsafe struct Sar : IShiftOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, int count) where T : unmanaged
    {
        long value = (long)Flags.SignExtend<T>(a);
        long before = value >> (count - 1);
        ulong r = (ulong)(before >> 1);
        Flags.SetResult<T>(s, r, (before & 1) != 0, overflow: false);
        return r;
    }
}

/// <summary>Rotates change CF and OF only.</summary>
internal readonly unsafe struct Rol : IShiftOperation
{
    public static ulong Apply<T>(CpuState* s, ulong a, int count) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        int by = count & (width - 1);
        ulong r = by == 0 ? a : (a << by) | (a >> (width - by));
        bool carry = (r & 1) != 0;
        bool sign = ((r >> (width - 1)) & 1) != 0;
        Flags.SetCarryAndOverflow(s, carry, carry != sign);
        return r;
    }
}

internal readonly unsafe struct Ror : IShiftOperation
{
    public static ulong Apply<T>(CpuState* s, ulong a, int count) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        int by = count & (width - 1);
        ulong r = by == 0 ? a : (a >> by) | (a << (width - by));
        bool top = ((r >> (width - 1)) & 1) != 0;
        bool second = ((r >> (width - 2)) & 1) != 0;
        Flags.SetCarryAndOverflow(s, top, top != second);
        return r;
    }
}

internal readonly unsafe struct Rcl : IShiftOperation
{
    public static ulong Apply<T>(CpuState* s, ulong a, int count) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        ulong carry = Flags.Carry(s) ? 1UL : 0;
        ulong top = 1UL << (width - 1);
        for (int i = count % (width + 1); i > 0; i--)
        {
            ulong next = (a & top) != 0 ? 1UL : 0;
            a = (a << 1) | carry;
            carry = next;
        }

        Flags.SetCarryAndOverflow(s, carry != 0, (carry != 0) != ((a & top) != 0));
        return a;
    }
}

internal readonly unsafe struct Rcr : IShiftOperation
{
    public static ulong Apply<T>(CpuState* s, ulong a, int count) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        ulong carry = Flags.Carry(s) ? 1UL : 0;
        ulong top = 1UL << (width - 1);
        for (int i = count % (width + 1); i > 0; i--)
        {
            ulong next = a & 1;
            a = (a >> 1) | (carry != 0 ? top : 0);
            carry = next;
        }

        bool overflow = ((a & top) != 0) != ((a & (top >> 1)) != 0);
        Flags.SetCarryAndOverflow(s, carry != 0, overflow);
        return a;
    }
}

/// <summary>SHLD and SHRD; a count above the operand size leaves an undefined result (16-bit operands only).</summary>
internal static unsafe class DoubleShifts
{
    public static ulong Left<T>(CpuState* s, ulong a, ulong b, int count) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        ulong r;
        bool carry;
        if (count <= width)
        {
            ulong high = count == width ? 0 : a << count;
            r = high | (b >> (width - count));
            carry = ((a >> (width - count)) & 1) != 0;
        }
        else
        {
            // 16-bit operands: as if the destination were followed by source and destination again.
            ulong wide = (a << 32) | (b << 16) | a;
            r = wide >> (32 - count + 16);
            carry = ((wide >> (48 - count)) & 1) != 0;
        }

        bool overflow = (((r ^ a) >> (width - 1)) & 1) != 0;
        Flags.SetResult<T>(s, r, carry, overflow);
        return r;
    }

    public static ulong Right<T>(CpuState* s, ulong a, ulong b, int count) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        ulong r;
        bool carry;
        if (count <= width)
        {
            ulong low = count == width ? 0 : a >> count;
            r = low | (b << (width - count));
            carry = ((a >> (count - 1)) & 1) != 0;
        }
        else
        {
            ulong wide = (a << 32) | (b << 16) | a;
            r = wide >> count;
            carry = ((wide >> (count - 1)) & 1) != 0;
        }

        bool overflow = (((r ^ (r << 1)) >> (width - 1)) & 1) != 0;
        Flags.SetResult<T>(s, r, carry, overflow);
        return r;
    }
}
