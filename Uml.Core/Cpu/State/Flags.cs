using System.Numerics;
using System.Runtime.CompilerServices;

namespace Uml.Core.Cpu.State;

/// <summary>
/// RFLAGS. The six arithmetic flags are evaluated lazily: the operation's result is kept, and flags are computed from it only when they are
/// read; most are overwritten unread.
/// </summary>
/// <remarks>
/// <c>FlagResult</c> is the result, sign-extended to 64 bits: ZF is "is zero", SF its top bit (exclusive-or SF delta), PF the parity of
/// its low byte (exclusive-or parity delta).
/// <c>FlagAux</c> is the carry vector of the operation moved so that its carry-out is bit 63 and the carry into the sign bit is
/// bit 62: CF is bit 63, OF is bit 63 xor bit 62. Bit 3 is the carry out of bit 3: AF. Bit 0 is the SF delta, bits 8..15 the parity
/// delta; they are non-zero only after flags were set as bits (POPF, SAHF and the like).
/// </remarks>
// SAFETY: s is a live processor's state (the handler contract, see Op); only two words of it are touched, and sizeof is asked of integers.
internal static unsafe class Flags
{
    public const uint CF = 1 << 0, PF = 1 << 2, AF = 1 << 4, ZF = 1 << 6, SF = 1 << 7, TF = 1 << 8, IF = 1 << 9, DF = 1 << 10, OF = 1 << 11;
    public const uint IOPL = 3 << IoplShift, NT = 1 << 14, RF = 1 << 16, VM = 1 << 17, AC = 1 << 18, VIF = 1 << 19, VIP = 1 << 20, ID = 1 << 21;
    public const uint Fixed1 = 1 << 1;

    /// <summary>The arithmetic flags.</summary>
    public const uint Status = CF | PF | AF | ZF | SF | OF;

    private const int IoplShift = 12;
    private const ulong CarryBit = 1UL << 63, CarryInBit = 1UL << 62;

    /// <summary>The I/O privilege level.</summary>
    public static int Iopl(CpuState* s) => (int)(s->SystemFlags & IOPL) >> IoplShift;

    /// <summary>Flags after an addition of <typeparamref name="T"/>-wide values; carry-in is implied by the operands and result.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetAdd<T>(CpuState* s, ulong a, ulong b, ulong result) where T : unmanaged
    {
        ulong carries = (a & b) | ((a | b) & ~result);
        Set<T>(s, result, carries);
    }

    /// <summary>Flags after a subtraction a - b (- borrow) = result.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetSub<T>(CpuState* s, ulong a, ulong b, ulong result) where T : unmanaged
    {
        ulong borrows = (~a & b) | ((~a | b) & result);
        Set<T>(s, result, borrows);
    }

    /// <summary>Flags after AND, OR, XOR, TEST: CF, OF and AF are cleared (AF is documented as undefined; processors clear it).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetLogic<T>(CpuState* s, ulong result) where T : unmanaged
    {
        s->FlagResult = SignExtend<T>(result);
        s->FlagAux = 0;
    }

    /// <summary>SF, ZF and PF from a result; CF, OF and AF as given.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetResult<T>(CpuState* s, ulong result, bool carry, bool overflow, bool adjust = false) where T : unmanaged
    {
        s->FlagResult = SignExtend<T>(result);
        ulong c = carry ? CarryBit | CarryInBit : 0;
        s->FlagAux = (overflow ? c ^ CarryInBit : c) | (adjust ? 8UL : 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Set<T>(CpuState* s, ulong result, ulong carries) where T : unmanaged
    {
        s->FlagResult = SignExtend<T>(result);
        s->FlagAux = ((carries << (64 - (sizeof(T) * 8))) & (CarryBit | CarryInBit)) | (carries & 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong SignExtend<T>(ulong value) where T : unmanaged => sizeof(T) switch
    {
        1 => (ulong)(sbyte)value,
        2 => (ulong)(short)value,
        4 => (ulong)(int)value,
        _ => value,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Carry(CpuState* s) => (long)s->FlagAux < 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Overflow(CpuState* s) => (long)(s->FlagAux ^ (s->FlagAux << 1)) < 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Zero(CpuState* s) => s->FlagResult == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Sign(CpuState* s) => (s->FlagResult >> 63) != (s->FlagAux & 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Parity(CpuState* s) =>
        (BitOperations.PopCount((s->FlagResult ^ (s->FlagAux >> 8)) & 0xFF) & 1) == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Adjust(CpuState* s) => (s->FlagAux & 8) != 0;

    /// <summary>Sets CF; the other flags stay.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetCarry(CpuState* s, bool carry)
    {
        // OF is bit 63 xor bit 62: moving both keeps it.
        if (Carry(s) != carry)
        {
            s->FlagAux ^= CarryBit | CarryInBit;
        }
    }

    /// <summary>Sets CF and OF; the other flags stay (rotates).</summary>
    public static void SetCarryAndOverflow(CpuState* s, bool carry, bool overflow)
    {
        ulong bits = carry ? CarryBit | CarryInBit : 0;
        s->FlagAux = (s->FlagAux & ~(CarryBit | CarryInBit)) | (overflow ? bits ^ CarryInBit : bits);
    }

    /// <summary>The arithmetic flags as bits.</summary>
    public static uint GetStatus(CpuState* s) =>
        (Carry(s) ? CF : 0) | (Parity(s) ? PF : 0) | (Adjust(s) ? AF : 0) | (Zero(s) ? ZF : 0) | (Sign(s) ? SF : 0) | (Overflow(s) ? OF : 0);

    /// <summary>Sets the arithmetic flags from bits; others in <paramref name="flags"/> are ignored.</summary>
    public static void SetStatus(CpuState* s, uint flags)
    {
        bool zero = (flags & ZF) != 0;
        ulong aux = (flags & CF) != 0 ? CarryBit | CarryInBit : 0;
        aux ^= (flags & OF) != 0 ? CarryInBit : 0;
        aux |= (flags & AF) != 0 ? 8UL : 0;
        aux |= (flags & SF) != 0 ? 1UL : 0;

        // A result of 0 has even parity, 1 has odd; the delta turns it into what is wanted.
        bool even = zero;
        if (((flags & PF) != 0) != even)
        {
            aux |= 0x100;
        }

        s->FlagResult = zero ? 0UL : 1UL;
        s->FlagAux = aux;
    }

    /// <summary>RFLAGS, whole.</summary>
    public static ulong Get(CpuState* s) => s->SystemFlags | GetStatus(s);

    /// <summary>Sets RFLAGS, whole, without any privilege check. Reserved bits are forced to their values.</summary>
    public static void Set(CpuState* s, ulong flags)
    {
        const ulong writable = TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID;
        SetStatus(s, (uint)flags);
        s->SystemFlags = (flags & writable) | Fixed1;
    }
}
