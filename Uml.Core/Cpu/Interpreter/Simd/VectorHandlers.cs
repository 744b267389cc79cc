using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>Operand forms of XMM instructions with a destination and a source. Bits 255:128 of the register are unchanged.</summary>
// SAFETY: handlers: the handler contract (Op); a reference to a register is used before the handler returns, and the implicit mask is XMM0
// at a constant offset.
internal static unsafe class VectorHandlers<TOperation>
    where TOperation : struct, IVectorBinary
{
    /// <summary>xmm, xmm.</summary>
    public static Op* Register(CpuState* s, Op* op)
    {
        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = TOperation.Apply(destination, Operand.Reg<Vector128<byte>>(s, op->R1));
        return op + 1;
    }

    /// <summary>xmm, m128, aligned.</summary>
    public static Op* Memory(CpuState* s, Op* op)
    {
        if (!Operand.LoadAligned(s, op, out Vector128<byte> source))
        {
            return null;
        }

        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = TOperation.Apply(destination, source);
        return op + 1;
    }

    /// <summary>xmm, and a memory operand narrower than the register, which needs no alignment.</summary>
    public static Op* Narrow<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        if (!Operand.Load(s, op, out T source))
        {
            return null;
        }

        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = TOperation.Apply(destination, Vector128.CreateScalar(source).AsByte());
        return op + 1;
    }

    /// <summary>xmm, imm8 as the source: shifts.</summary>
    public static Op* Immediate(CpuState* s, Op* op)
    {
        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = TOperation.Apply(destination, Vector128.CreateScalar((ulong)(byte)op->Imm).AsByte());
        return op + 1;
    }
}

/// <summary>As <see cref="VectorHandlers{TOperation}"/>, for instructions with an immediate byte besides.</summary>
internal static unsafe class VectorImmediateHandlers<TOperation>
    where TOperation : struct, IVectorImmediate
{
    /// <summary>xmm, xmm, imm8.</summary>
    public static Op* Register(CpuState* s, Op* op)
    {
        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = TOperation.Apply(destination, Operand.Reg<Vector128<byte>>(s, op->R1), (byte)op->Imm);
        return op + 1;
    }

    /// <summary>xmm, m128, imm8; aligned.</summary>
    public static Op* Memory(CpuState* s, Op* op)
    {
        if (!Operand.LoadAligned(s, op, out Vector128<byte> source))
        {
            return null;
        }

        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = TOperation.Apply(destination, source, (byte)op->Imm);
        return op + 1;
    }

    /// <summary>xmm, imm8: PSLLDQ and PSRLDQ.</summary>
    public static Op* InPlace(CpuState* s, Op* op)
    {
        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = TOperation.Apply(destination, destination, (byte)op->Imm);
        return op + 1;
    }
}

/// <summary>As <see cref="VectorHandlers{TOperation}"/>, for blends by XMM0.</summary>
internal static unsafe class VectorMaskedHandlers<TOperation>
    where TOperation : struct, IVectorMasked
{
    /// <summary>xmm, xmm.</summary>
    public static Op* Register(CpuState* s, Op* op)
    {
        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = TOperation.Apply(destination, Operand.Reg<Vector128<byte>>(s, op->R1), Mask(s));
        return op + 1;
    }

    /// <summary>xmm, m128, aligned.</summary>
    public static Op* Memory(CpuState* s, Op* op)
    {
        if (!Operand.LoadAligned(s, op, out Vector128<byte> source))
        {
            return null;
        }

        ref Vector128<byte> destination = ref CpuState.At<Vector128<byte>>(s, op->R0);
        destination = TOperation.Apply(destination, source, Mask(s));
        return op + 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Mask(CpuState* s) => CpuState.At<Vector128<byte>>(s, CpuState.VectorsOffset);
}
