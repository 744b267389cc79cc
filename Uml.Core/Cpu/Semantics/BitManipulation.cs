using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics;

/// <summary>Functions on values for BMI1, BMI2 and MOVBE (Intel SDM vol. 2, each instruction's "Operation").</summary>
// SAFETY: s is a live processor's state (the handler contract, see Op), of which only flags are touched; T is an integer type.
internal static unsafe class BitManipulation
{
    /// <summary>PDEP: the low bits of the source go to where the mask has ones.</summary>
    public static ulong Deposit(ulong source, ulong mask) =>
        Bmi2.X64.IsSupported ? Bmi2.X64.ParallelBitDeposit(source, mask) : DepositPortable(source, mask);

    /// <summary>PEXT: the bits where the mask has ones go to the low end.</summary>
    public static ulong Extract(ulong source, ulong mask) =>
        Bmi2.X64.IsSupported ? Bmi2.X64.ParallelBitExtract(source, mask) : ExtractPortable(source, mask);

    public static ulong DepositPortable(ulong source, ulong mask)
    {
        ulong result = 0;
        for (; mask != 0; mask &= mask - 1, source >>= 1)
        {
            result |= (source & 1) != 0 ? mask & (0 - mask) : 0;
        }

        return result;
    }

    public static ulong ExtractPortable(ulong source, ulong mask)
    {
        ulong result = 0;
        for (ulong bit = 1; mask != 0; mask &= mask - 1, bit <<= 1)
        {
            result |= (source & mask & (0 - mask)) != 0 ? bit : 0;
        }

        return result;
    }

    /// <summary>MOVBE: the bytes in reverse order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ReverseBytes<T>(ulong value) where T : unmanaged =>
        BinaryPrimitives.ReverseEndianness(value) >> (64 - (sizeof(T) * 8));

    /// <summary>The low bits of a value, as many as asked for: none to all.</summary>
    public static ulong LowBits(ulong value, int count) => count >= 64 ? value : value & ((1UL << count) - 1);
}

/// <summary>ANDN: not the first source and the second. AF and PF are undefined; they follow AND.</summary>
internal readonly unsafe struct Andn : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged => And.Apply<T>(s, ~a, b);
}

/// <summary>BEXTR: extracts bits of the first source; bits 7..0 of the second are the first bit's number, bits 15..8 the count.</summary>
internal readonly unsafe struct Bextr : IBinaryOperation
{
    public static bool Writes => true;

    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        int start = (byte)b;
        ulong r = start >= sizeof(T) * 8 ? 0 : BitManipulation.LowBits(a >> start, (byte)(b >> 8));
        Flags.SetLogic<T>(s, r);
        return r;
    }
}

/// <summary>
/// BZHI: the low bits of the first source, as many as bits 7..0 of the second say. CF is set if these are all bits or more.
/// </summary>
internal readonly unsafe struct Bzhi : IBinaryOperation
{
    public static bool Writes => true;

    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        int count = (byte)b;
        ulong r = BitManipulation.LowBits(a, count);
        Flags.SetResult<T>(s, r, carry: count >= sizeof(T) * 8, overflow: false);
        return r;
    }
}

internal readonly unsafe struct Pdep : IBinaryOperation
{
    public static bool Writes => true;

    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged => BitManipulation.Deposit(a, b);
}

internal readonly unsafe struct Pext : IBinaryOperation
{
    public static bool Writes => true;

    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged => BitManipulation.Extract(a, b);
}

/// <summary>SHLX: no flags, the count modulo the width.</summary>
internal readonly unsafe struct Shlx : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged => a << ((int)b & ((sizeof(T) * 8) - 1));
}

internal readonly unsafe struct Shrx : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged => a >> ((int)b & ((sizeof(T) * 8) - 1));
}

internal readonly unsafe struct Sarx : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged =>
        (ulong)((long)Flags.SignExtend<T>(a) >> ((int)b & ((sizeof(T) * 8) - 1)));
}

internal readonly unsafe struct Rorx : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged =>
        sizeof(T) == 8 ? BitOperations.RotateRight(a, (int)b) : BitOperations.RotateRight((uint)a, (int)b);
}

/// <summary>ADCX: adds with CF and leaves every other flag alone.</summary>
internal readonly unsafe struct Adcx : IBinaryOperation
{
    public static bool Writes => true;

    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong r = a + b + (Flags.Carry(s) ? 1UL : 0);
        Flags.SetCarry(s, AdditionCarry<T>(a, b, r));
        return r;
    }

    /// <summary>The carry out of an addition of zero-extended values; a carry in is implied by the result.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AdditionCarry<T>(ulong a, ulong b, ulong result) where T : unmanaged =>
        ((((a & b) | ((a | b) & ~result)) >> ((sizeof(T) * 8) - 1)) & 1) != 0;
}

/// <summary>ADOX: adds with OF in place of CF and leaves every other flag alone.</summary>
internal readonly unsafe struct Adox : IBinaryOperation
{
    public static bool Writes => true;

    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong r = a + b + (Flags.Overflow(s) ? 1UL : 0);
        Flags.SetCarryAndOverflow(s, Flags.Carry(s), Adcx.AdditionCarry<T>(a, b, r));
        return r;
    }
}

/// <summary>BLSI: the lowest bit that is set. CF is set if there is one.</summary>
internal readonly unsafe struct Blsi : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged
    {
        ulong r = a & (0 - a);
        Flags.SetResult<T>(s, r, carry: a != 0, overflow: false);
        return r;
    }
}

/// <summary>BLSMSK: ones up to the lowest bit that is set, all ones when none is: CF.</summary>
internal readonly unsafe struct Blsmsk : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged
    {
        ulong r = a ^ (a - 1);
        Flags.SetResult<T>(s, r, carry: a == 0, overflow: false);
        return r;
    }
}

/// <summary>BLSR: without the lowest bit that is set. CF is set if there is none.</summary>
internal readonly unsafe struct Blsr : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged
    {
        ulong r = a & (a - 1);
        Flags.SetResult<T>(s, r, carry: a == 0, overflow: false);
        return r;
    }
}

/// <summary>
/// TZCNT: zeros below the lowest bit that is set; the width, and CF set, if there is none. ZF is set for a count of zero.
/// </summary>
internal readonly unsafe struct Tzcnt : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        ulong r = a == 0 ? (ulong)width : (ulong)BitOperations.TrailingZeroCount(a);
        Flags.SetResult<T>(s, r, carry: a == 0, overflow: false);
        return r;
    }
}

/// <summary>
/// LZCNT: zeros above the highest bit that is set; the width, and CF set, if there is none. ZF is set for a count of zero.
/// </summary>
internal readonly unsafe struct Lzcnt : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged
    {
        ulong r = (ulong)(BitOperations.LeadingZeroCount(a) - (64 - (sizeof(T) * 8)));
        Flags.SetResult<T>(s, r, carry: a == 0, overflow: false);
        return r;
    }
}
