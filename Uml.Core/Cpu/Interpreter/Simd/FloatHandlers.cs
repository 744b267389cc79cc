using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>Operand forms of packed floating-point instructions.</summary>
// SAFETY: handlers: the handler contract (Op); a result goes where the first operand was read.
internal static unsafe class PackedFloatHandlers<TOperation, T>
    where TOperation : struct, IPackedFloat<T>
    where T : unmanaged
{
    /// <summary>xmm, xmm.</summary>
    public static Op* Register(CpuState* s, Op* op) => Apply(s, op, Operand.Reg<Vector128<T>>(s, op->R1));

    /// <summary>xmm, m128, aligned.</summary>
    public static Op* Memory(CpuState* s, Op* op) =>
        Operand.LoadAligned(s, op, out Vector128<byte> source) ? Apply(s, op, source.As<byte, T>()) : null;

    private static Op* Apply(CpuState* s, Op* op, Vector128<T> source)
    {
        if (!TOperation.Apply(Operand.Reg<Vector128<T>>(s, op->R0), source, (byte)op->Imm, ref s->Mxcsr, out Vector128<T> result))
        {
            return Enablement.RaiseSimdError(s);
        }

        CpuState.At<Vector128<T>>(s, op->R0) = result;
        return op + 1;
    }
}

/// <summary>Operand forms of scalar floating-point instructions: the other elements of the destination are unchanged.</summary>
internal static unsafe class ScalarFloatHandlers<TOperation, T>
    where TOperation : struct, IScalarFloat<T>
    where T : unmanaged
{
    /// <summary>xmm, xmm.</summary>
    public static Op* Register(CpuState* s, Op* op) => Apply(s, op, Operand.Reg<T>(s, op->R1));

    /// <summary>xmm, m32 or m64.</summary>
    public static Op* Memory(CpuState* s, Op* op) => Operand.Load(s, op, out T source) ? Apply(s, op, source) : null;

    private static Op* Apply(CpuState* s, Op* op, T source)
    {
        if (!TOperation.Apply(Operand.Reg<T>(s, op->R0), source, (byte)op->Imm, ref s->Mxcsr, out T result))
        {
            return Enablement.RaiseSimdError(s);
        }

        CpuState.At<T>(s, op->R0) = result;
        return op + 1;
    }
}
