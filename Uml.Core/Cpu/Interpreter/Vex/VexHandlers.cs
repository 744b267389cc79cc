using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>
/// Operand forms of VEX instructions on 128-bit operations: R0 = R1 op source, in each lane for 256 bits. Instructions of two operands
/// ignore the first source.
/// </summary>
// SAFETY: handlers: the handler contract (Op); Imm of masked handlers is the offset of a vector register that VexBinder put there.
internal static unsafe class VexHandlers<TOperation>
    where TOperation : struct, IVectorBinary
{
    /// <summary>xmm, xmm, xmm or m128.</summary>
    public static Op* Xmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector128<byte> source))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, TOperation.Apply(VectorLanes.Lower<byte>(s, op->R1), source));
        return op + 1;
    }

    /// <summary>ymm, ymm, ymm or m256.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<byte> source))
        {
            return null;
        }

        Vector128<byte> lower = TOperation.Apply(VectorLanes.Lower<byte>(s, op->R1), source.GetLower());
        Vector128<byte> upper = TOperation.Apply(VectorLanes.Upper<byte>(s, op->R1), source.GetUpper());
        VectorLanes.Write(s, op->R0, lower, upper);
        return op + 1;
    }

    /// <summary>ymm, ymm, xmm or m128: one source for both lanes (shift counts).</summary>
    public static Op* YmmByXmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector128<byte> source))
        {
            return null;
        }

        Vector128<byte> lower = TOperation.Apply(VectorLanes.Lower<byte>(s, op->R1), source);
        Vector128<byte> upper = TOperation.Apply(VectorLanes.Upper<byte>(s, op->R1), source);
        VectorLanes.Write(s, op->R0, lower, upper);
        return op + 1;
    }

    /// <summary>xmm, xmm, imm8 as the source: shifts.</summary>
    public static Op* XmmByImmediate(CpuState* s, Op* op)
    {
        VectorLanes.Write(s, op->R0, TOperation.Apply(VectorLanes.Lower<byte>(s, op->R1), Vector128.CreateScalar((ulong)(byte)op->Imm).AsByte()));
        return op + 1;
    }

    /// <summary>ymm, ymm, imm8 as the source.</summary>
    public static Op* YmmByImmediate(CpuState* s, Op* op)
    {
        Vector128<byte> count = Vector128.CreateScalar((ulong)(byte)op->Imm).AsByte();
        Vector128<byte> lower = TOperation.Apply(VectorLanes.Lower<byte>(s, op->R1), count);
        Vector128<byte> upper = TOperation.Apply(VectorLanes.Upper<byte>(s, op->R1), count);
        VectorLanes.Write(s, op->R0, lower, upper);
        return op + 1;
    }

    /// <summary>xmm, and as much of a register or memory as one lane needs: VPMOVSX, VPMOVZX, VMOVDDUP.</summary>
    public static Op* XmmNarrow<TSource, TPart>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
        where TPart : unmanaged
    {
        if (!TSource.Load(s, op, out TPart part))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, TOperation.Apply(default, Vector128.CreateScalar(part).AsByte()));
        return op + 1;
    }

    /// <summary>ymm, and a register or memory operand that holds one part for each lane.</summary>
    public static Op* YmmNarrow<TSource, TPart>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
        where TPart : unmanaged
    {
        if (!TSource.Load(s, op, out LanePair<TPart> parts))
        {
            return null;
        }

        Vector128<byte> lower = TOperation.Apply(default, Vector128.CreateScalar(parts.Lower).AsByte());
        Vector128<byte> upper = TOperation.Apply(default, Vector128.CreateScalar(parts.Upper).AsByte());
        VectorLanes.Write(s, op->R0, lower, upper);
        return op + 1;
    }
}

/// <summary>As <see cref="VexHandlers{TOperation}"/>, for instructions with an immediate byte besides.</summary>
internal static unsafe class VexImmediateHandlers<TOperation>
    where TOperation : struct, IVectorImmediate
{
    /// <summary>xmm, xmm, xmm or m128, imm8.</summary>
    public static Op* Xmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector128<byte> source))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, TOperation.Apply(VectorLanes.Lower<byte>(s, op->R1), source, (byte)op->Imm));
        return op + 1;
    }

    /// <summary>ymm, ymm, ymm or m256, imm8.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<byte> source))
        {
            return null;
        }

        byte immediate = (byte)op->Imm;
        Vector128<byte> lower = TOperation.Apply(VectorLanes.Lower<byte>(s, op->R1), source.GetLower(), immediate);
        Vector128<byte> upper = TOperation.Apply(VectorLanes.Upper<byte>(s, op->R1), source.GetUpper(), TOperation.UpperLane(immediate));
        VectorLanes.Write(s, op->R0, lower, upper);
        return op + 1;
    }
}

/// <summary>As <see cref="VexHandlers{TOperation}"/>, for blends by a fourth register, whose offset the binder puts into <see cref="Op.Imm"/>.</summary>
internal static unsafe class VexMaskedHandlers<TOperation>
    where TOperation : struct, IVectorMasked
{
    /// <summary>xmm, xmm, xmm or m128, xmm.</summary>
    public static Op* Xmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector128<byte> source))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, TOperation.Apply(VectorLanes.Lower<byte>(s, op->R1), source, VectorLanes.Lower<byte>(s, (ushort)op->Imm)));
        return op + 1;
    }

    /// <summary>ymm, ymm, ymm or m256, ymm.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<byte> source))
        {
            return null;
        }

        ushort mask = (ushort)op->Imm;
        Vector128<byte> lower = TOperation.Apply(VectorLanes.Lower<byte>(s, op->R1), source.GetLower(), VectorLanes.Lower<byte>(s, mask));
        Vector128<byte> upper = TOperation.Apply(VectorLanes.Upper<byte>(s, op->R1), source.GetUpper(), VectorLanes.Upper<byte>(s, mask));
        VectorLanes.Write(s, op->R0, lower, upper);
        return op + 1;
    }
}

/// <summary>Operand forms of operations that cross lanes.</summary>
internal static unsafe class VexWideHandlers<TOperation>
    where TOperation : struct, IWideBinary
{
    /// <summary>ymm, ymm, ymm or m256.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<byte> source))
        {
            return null;
        }

        CpuState.At<Vector256<byte>>(s, op->R0) = TOperation.Apply(Operand.Reg<Vector256<byte>>(s, op->R1), source);
        return op + 1;
    }
}

/// <summary>As <see cref="VexWideHandlers{TOperation}"/>, with an immediate byte.</summary>
internal static unsafe class VexWideImmediateHandlers<TOperation>
    where TOperation : struct, IWideImmediate
{
    /// <summary>ymm, ymm, ymm or m256, imm8.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<byte> source))
        {
            return null;
        }

        CpuState.At<Vector256<byte>>(s, op->R0) = TOperation.Apply(Operand.Reg<Vector256<byte>>(s, op->R1), source, (byte)op->Imm);
        return op + 1;
    }
}
