using System.Runtime.CompilerServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics;

/// <summary>A condition of Jcc, SETcc, CMOVcc (Intel SDM vol. 1, appendix B).</summary>
// SAFETY: s is a live processor's state (the handler contract, see Op), of which only flags are read.
internal unsafe interface ICondition
{
    static abstract bool Holds(CpuState* s);
}

internal readonly unsafe struct IfO : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(CpuState* s) => Flags.Overflow(s);
}

internal readonly unsafe struct IfB : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(CpuState* s) => Flags.Carry(s);
}

internal readonly unsafe struct IfE : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(CpuState* s) => Flags.Zero(s);
}

internal readonly unsafe struct IfBe : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(CpuState* s) => Flags.Zero(s) || Flags.Carry(s);
}

internal readonly unsafe struct IfS : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(CpuState* s) => Flags.Sign(s);
}

internal readonly unsafe struct IfP : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(CpuState* s) => Flags.Parity(s);
}

internal readonly unsafe struct IfL : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(CpuState* s) => Flags.Sign(s) != Flags.Overflow(s);
}

internal readonly unsafe struct IfLe : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(CpuState* s) => Flags.Zero(s) || Flags.Sign(s) != Flags.Overflow(s);
}

/// <summary>The opposite of a condition.</summary>
internal readonly unsafe struct Unless<TCondition> : ICondition
    where TCondition : struct, ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(CpuState* s) => !TCondition.Holds(s);
}
