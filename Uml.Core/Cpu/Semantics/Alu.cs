using System.Runtime.CompilerServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics;

/// <summary>A two-operand integer operation on zero-extended values; sets flags, returns the result (upper bits are ignored).</summary>
// SAFETY: s is a live processor's state (the handler contract, see Op), of which only flags are touched; T is an integer type.
internal unsafe interface IBinaryOperation
{
    /// <summary>False for CMP and TEST, which only set flags.</summary>
    static abstract bool Writes { get; }

    static abstract ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged;
}

internal readonly unsafe struct Add : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong r = a + b;
        Flags.SetAdd<T>(s, a, b, r);
        return r;
    }
}

internal readonly unsafe struct Adc : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong r = a + b + (Flags.Carry(s) ? 1UL : 0);
        Flags.SetAdd<T>(s, a, b, r);
        return r;
    }
}

internal readonly unsafe struct Sub : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong r = a - b;
        Flags.SetSub<T>(s, a, b, r);
        return r;
    }
}

internal readonly unsafe struct Sbb : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong r = a - b - (Flags.Carry(s) ? 1UL : 0);
        Flags.SetSub<T>(s, a, b, r);
        return r;
    }
}

internal readonly unsafe struct Cmp : IBinaryOperation
{
    public static bool Writes => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged => Sub.Apply<T>(s, a, b);
}

internal readonly unsafe struct And : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong r = a & b;
        Flags.SetLogic<T>(s, r);
        return r;
    }
}

internal readonly unsafe struct Test : IBinaryOperation
{
    public static bool Writes => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged => And.Apply<T>(s, a, b);
}

internal readonly unsafe struct Or : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong r = a | b;
        Flags.SetLogic<T>(s, r);
        return r;
    }
}

internal readonly unsafe struct Xor : IBinaryOperation
{
    public static bool Writes => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong r = a ^ b;
        Flags.SetLogic<T>(s, r);
        return r;
    }
}

/// <summary>A one-operand integer operation.</summary>
internal unsafe interface IUnaryOperation
{
    static abstract ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged;
}

internal readonly unsafe struct Inc : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged
    {
        bool carry = Flags.Carry(s);
        ulong r = a + 1;
        Flags.SetAdd<T>(s, a, 1, r);
        Flags.SetCarry(s, carry);
        return r;
    }
}

internal readonly unsafe struct Dec : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged
    {
        bool carry = Flags.Carry(s);
        ulong r = a - 1;
        Flags.SetSub<T>(s, a, 1, r);
        Flags.SetCarry(s, carry);
        return r;
    }
}

internal readonly unsafe struct Neg : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged
    {
        ulong r = 0 - a;
        Flags.SetSub<T>(s, 0, a, r);
        return r;
    }
}

internal readonly unsafe struct Not : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<T>(CpuState* s, ulong a) where T : unmanaged => ~a;
}
