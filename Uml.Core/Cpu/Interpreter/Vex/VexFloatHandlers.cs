using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Interpreter.Simd;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>Operand forms of packed floating-point VEX instructions.</summary>
// SAFETY: handlers: the handler contract (Op); YMM operands are read and written in slots of 32 bytes.
internal static unsafe class VexPackedFloatHandlers<TOperation, T>
    where TOperation : struct, IPackedFloat<T>
    where T : unmanaged
{
    /// <summary>xmm, xmm, xmm or m128.</summary>
    public static Op* Xmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector128<T> source))
        {
            return null;
        }

        if (!TOperation.Apply(VectorLanes.Lower<T>(s, op->R1), source, (byte)op->Imm, ref s->Mxcsr, out Vector128<T> result))
        {
            return Enablement.RaiseSimdError(s);
        }

        VectorLanes.Write(s, op->R0, result);
        return op + 1;
    }

    /// <summary>ymm, ymm, ymm or m256.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<T> source))
        {
            return null;
        }

        Vector128<T> a = VectorLanes.Lower<T>(s, op->R1);
        Vector128<T> b = VectorLanes.Upper<T>(s, op->R1);
        uint mxcsr = s->Mxcsr;
        byte immediate = (byte)op->Imm;
        bool ok = TOperation.Apply(a, source.GetLower(), immediate, ref mxcsr, out Vector128<T> lower);
        if (!TOperation.Apply(b, source.GetUpper(), immediate, ref mxcsr, out Vector128<T> upper) || !ok)
        {
            return Fail(s, a, b, source, immediate);
        }

        s->Mxcsr = mxcsr;
        VectorLanes.Write(s, op->R0, lower, upper);
        return op + 1;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Op* Fail(CpuState* s, Vector128<T> a, Vector128<T> b, Vector256<T> source, byte immediate)
    {
        uint lower = s->Mxcsr & ~SseFloat.AllFlags;
        uint upper = lower;
        _ = TOperation.Apply(a, source.GetLower(), immediate, ref lower, out _);
        _ = TOperation.Apply(b, source.GetUpper(), immediate, ref upper, out _);
        s->Mxcsr = SseFloat.CombineLanes(s->Mxcsr, lower, upper);
        return Enablement.RaiseSimdError(s);
    }
}

/// <summary>Operand forms of scalar floating-point VEX instructions: the other elements come from the first source.</summary>
internal static unsafe class VexScalarFloatHandlers<TOperation, T>
    where TOperation : struct, IScalarFloat<T>
    where T : unmanaged
{
    /// <summary>xmm, xmm, xmm or m32 or m64.</summary>
    public static Op* Xmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out T source))
        {
            return null;
        }

        if (!TOperation.Apply(Operand.Reg<T>(s, op->R1), source, (byte)op->Imm, ref s->Mxcsr, out T result))
        {
            return Enablement.RaiseSimdError(s);
        }

        VectorLanes.Write(s, op->R0, VectorLanes.Lower<T>(s, op->R1).WithElement(0, result));
        return op + 1;
    }
}

/// <summary>VDPPS with 256 bits: each step is done for both lanes, so that an unmasked exception in one ends both.</summary>
internal static unsafe class VexDotProductHandlers
{
    /// <summary>ymm, ymm, ymm or m256, imm8.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<float> source))
        {
            return null;
        }

        Vector256<float> first = Operand.Reg<Vector256<float>>(s, op->R1);
        if (!SseFloat.DpPs(first, source, (byte)op->Imm, ref s->Mxcsr, out Vector256<float> result))
        {
            return Enablement.RaiseSimdError(s);
        }

        CpuState.At<Vector256<float>>(s, op->R0) = result;
        return op + 1;
    }
}

/// <summary>FMA; <see cref="Op.Imm"/> holds a <see cref="FusedForm"/>.</summary>
internal static unsafe class FusedHandlers
{
    /// <summary>VFM..SS.</summary>
    public static Op* Single<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out uint source))
        {
            return null;
        }

        var form = new FusedForm(op->Imm);
        form.Arrange(Operand.Reg<uint>(s, op->R0), Operand.Reg<uint>(s, op->R1), source, out uint x, out uint y, out uint z);
        if (!SseFloat.FusedSs(x, y, z, form.Signs, ref s->Mxcsr, out uint result))
        {
            return Enablement.RaiseSimdError(s);
        }

        VectorLanes.Write(s, op->R0, VectorLanes.Lower<uint>(s, op->R0).WithElement(0, result));
        return op + 1;
    }

    /// <summary>VFM..SD.</summary>
    public static Op* Double<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out ulong source))
        {
            return null;
        }

        var form = new FusedForm(op->Imm);
        form.Arrange(Operand.Reg<ulong>(s, op->R0), Operand.Reg<ulong>(s, op->R1), source, out ulong x, out ulong y, out ulong z);
        if (!SseFloat.FusedSd(x, y, z, form.Signs, ref s->Mxcsr, out ulong result))
        {
            return Enablement.RaiseSimdError(s);
        }

        VectorLanes.Write(s, op->R0, VectorLanes.Lower<ulong>(s, op->R0).WithElement(0, result));
        return op + 1;
    }
}

/// <summary>An element type of packed FMA instructions.</summary>
internal interface IFusedPacked<T>
    where T : unmanaged
{
    static abstract bool Apply(
        Vector128<T> x, Vector128<T> y, Vector128<T> z, FusedSigns signs, ref uint mxcsr, out Vector128<T> result);
}

/// <summary>VFM..PS, VFM..PD.</summary>
internal readonly struct FusedPacked : IFusedPacked<float>, IFusedPacked<double>
{
    public static bool Apply(
        Vector128<float> x, Vector128<float> y, Vector128<float> z, FusedSigns signs, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.FusedPs(x, y, z, signs, ref mxcsr, out result);

    public static bool Apply(
        Vector128<double> x, Vector128<double> y, Vector128<double> z, FusedSigns signs, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.FusedPd(x, y, z, signs, ref mxcsr, out result);
}

/// <summary>Packed FMA; <see cref="Op.Imm"/> holds a <see cref="FusedForm"/>.</summary>
internal static unsafe class FusedPackedHandlers<TOperation, T>
    where TOperation : struct, IFusedPacked<T>
    where T : unmanaged
{
    /// <summary>xmm, xmm, xmm or m128.</summary>
    public static Op* Xmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector128<T> source))
        {
            return null;
        }

        if (!Apply(VectorLanes.Lower<T>(s, op->R0), VectorLanes.Lower<T>(s, op->R1), source, op, ref s->Mxcsr, out Vector128<T> result))
        {
            return Enablement.RaiseSimdError(s);
        }

        VectorLanes.Write(s, op->R0, result);
        return op + 1;
    }

    /// <summary>ymm, ymm, ymm or m256.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<T> source))
        {
            return null;
        }

        uint mxcsr = s->Mxcsr;
        bool ok = Apply(VectorLanes.Lower<T>(s, op->R0), VectorLanes.Lower<T>(s, op->R1), source.GetLower(), op, ref mxcsr, out Vector128<T> lower);
        if (!Apply(VectorLanes.Upper<T>(s, op->R0), VectorLanes.Upper<T>(s, op->R1), source.GetUpper(), op, ref mxcsr, out Vector128<T> upper) || !ok)
        {
            return Fail(s, op, source);
        }

        s->Mxcsr = mxcsr;
        VectorLanes.Write(s, op->R0, lower, upper);
        return op + 1;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Op* Fail(CpuState* s, Op* op, Vector256<T> source)
    {
        uint lower = s->Mxcsr & ~SseFloat.AllFlags;
        uint upper = lower;
        _ = Apply(VectorLanes.Lower<T>(s, op->R0), VectorLanes.Lower<T>(s, op->R1), source.GetLower(), op, ref lower, out _);
        _ = Apply(VectorLanes.Upper<T>(s, op->R0), VectorLanes.Upper<T>(s, op->R1), source.GetUpper(), op, ref upper, out _);
        s->Mxcsr = SseFloat.CombineLanes(s->Mxcsr, lower, upper);
        return Enablement.RaiseSimdError(s);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Apply(Vector128<T> first, Vector128<T> second, Vector128<T> third, Op* op, ref uint mxcsr, out Vector128<T> result)
    {
        var form = new FusedForm(op->Imm);
        form.Arrange(first, second, third, out Vector128<T> x, out Vector128<T> y, out Vector128<T> z);
        return TOperation.Apply(x, y, z, form.Signs, ref mxcsr, out result);
    }
}

/// <summary>Which operands an FMA form multiplies and adds, and with which signs, packed into an operation's immediate.</summary>
internal readonly struct FusedForm(long packed)
{
    public FusedForm(int order, FusedSigns signs)
        : this(((long)order << 8) | (byte)signs)
    {
    }

    public long Packed { get; } = packed;

    public FusedSigns Signs => (FusedSigns)Packed;

    /// <summary>The operands as x * y + z: 132 is first * third + second, 213 second * first + third, 231 second * third + first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Arrange<T>(T first, T second, T third, out T x, out T y, out T z)
    {
        switch (Packed >> 8)
        {
            case 132:
                (x, y, z) = (first, third, second);
                break;
            case 213:
                (x, y, z) = (second, first, third);
                break;
            default:
                (x, y, z) = (second, third, first);
                break;
        }
    }
}
