using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>A comparison whose result is flags; false when an unmasked exception was raised.</summary>
internal interface IFloatCompare<T>
    where T : unmanaged
{
    static abstract bool Apply(T a, T b, ref uint mxcsr, out uint flags);
}

/// <summary>COMISS, COMISD, UCOMISS, UCOMISD: ZF, PF and CF; the other arithmetic flags are cleared.</summary>
// SAFETY: handlers: the handler contract (Op); operands are read as the element type of the form, and only flags and MXCSR are written.
internal static unsafe class FloatCompareHandlers<TOperation, T>
    where TOperation : struct, IFloatCompare<T>
    where T : unmanaged
{
    /// <summary>xmm, xmm.</summary>
    public static Op* Register(CpuState* s, Op* op) => Apply(s, op, Operand.Reg<T>(s, op->R1));

    /// <summary>xmm, m32 or m64.</summary>
    public static Op* Memory(CpuState* s, Op* op) => Operand.Load(s, op, out T source) ? Apply(s, op, source) : null;

    private static Op* Apply(CpuState* s, Op* op, T source)
    {
        if (!TOperation.Apply(Operand.Reg<T>(s, op->R0), source, ref s->Mxcsr, out uint flags))
        {
            return Enablement.RaiseSimdError(s);
        }

        Flags.SetStatus(s, flags);
        return op + 1;
    }
}

/// <summary>COMISS, COMISD: signal on any NaN.</summary>
internal readonly struct SignalingCompare : IFloatCompare<uint>, IFloatCompare<ulong>
{
    public static bool Apply(uint a, uint b, ref uint mxcsr, out uint flags) => SseFloat.ComiSs(a, b, ref mxcsr, out flags);

    public static bool Apply(ulong a, ulong b, ref uint mxcsr, out uint flags) => SseFloat.ComiSd(a, b, ref mxcsr, out flags);
}

/// <summary>UCOMISS, UCOMISD: signal on signaling NaNs only.</summary>
internal readonly struct QuietCompare : IFloatCompare<uint>, IFloatCompare<ulong>
{
    public static bool Apply(uint a, uint b, ref uint mxcsr, out uint flags) => SseFloat.UcomiSs(a, b, ref mxcsr, out flags);

    public static bool Apply(ulong a, ulong b, ref uint mxcsr, out uint flags) => SseFloat.UcomiSd(a, b, ref mxcsr, out flags);
}
