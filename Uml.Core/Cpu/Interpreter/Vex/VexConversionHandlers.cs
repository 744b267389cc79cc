using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Interpreter.Simd;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>VEX forms of conversions.</summary>
// SAFETY: handlers: the handler contract (Op); results are read as vectors from locals, whose types VexBinder has chosen as large.
internal static unsafe class VexConversionHandlers<TOperation, TFrom, TTo>
    where TOperation : struct, IFloatConversion<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    /// <summary>A scalar: the rest of the XMM register comes from the first source.</summary>
    public static Op* Merge<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out TFrom source))
        {
            return null;
        }

        if (!TOperation.Apply(source, ref s->Mxcsr, out TTo result))
        {
            return Enablement.RaiseSimdError(s);
        }

        VectorLanes.Write(s, op->R0, VectorLanes.Lower<TTo>(s, op->R1).WithElement(0, result));
        return op + 1;
    }

    /// <summary>To all of an XMM register; <typeparamref name="TTo"/> is a vector.</summary>
    public static Op* Xmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out TFrom source))
        {
            return null;
        }

        if (!TOperation.Apply(source, ref s->Mxcsr, out TTo result))
        {
            return Enablement.RaiseSimdError(s);
        }

        VectorLanes.Write(s, op->R0, *(Vector128<byte>*)&result);
        return op + 1;
    }

    /// <summary>Both lanes of a YMM register from an operand with a <typeparamref name="TFrom"/> for each.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out LanePair<TFrom> source))
        {
            return null;
        }

        if (!Apply(s, source.Lower, source.Upper, out TTo lower, out TTo upper))
        {
            return Enablement.RaiseSimdError(s);
        }

        VectorLanes.Write(s, op->R0, *(Vector128<byte>*)&lower, *(Vector128<byte>*)&upper);
        return op + 1;
    }

    /// <summary>To an XMM register from both lanes of a 256-bit operand, from the low half of each lane's result.</summary>
    public static Op* Narrow<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out LanePair<TFrom> source))
        {
            return null;
        }

        if (!Apply(s, source.Lower, source.Upper, out TTo lower, out TTo upper))
        {
            return Enablement.RaiseSimdError(s);
        }

        VectorLanes.Write(s, op->R0, Vector128.Create(*(ulong*)&lower, *(ulong*)&upper));
        return op + 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Apply(CpuState* s, TFrom a, TFrom b, out TTo lower, out TTo upper)
    {
        uint mxcsr = s->Mxcsr;
        bool ok = TOperation.Apply(a, ref mxcsr, out lower);
        if (TOperation.Apply(b, ref mxcsr, out upper) && ok)
        {
            s->Mxcsr = mxcsr;
            return true;
        }

        Fail(s, a, b);
        return false;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Fail(CpuState* s, TFrom a, TFrom b)
    {
        uint lower = s->Mxcsr & ~SseFloat.AllFlags;
        uint upper = lower;
        _ = TOperation.Apply(a, ref lower, out _);
        _ = TOperation.Apply(b, ref upper, out _);
        s->Mxcsr = SseFloat.CombineLanes(s->Mxcsr, lower, upper);
    }
}

/// <summary>VCVTPH2PS.</summary>
internal readonly struct HalvesToSingles : IFloatConversion<ulong, Vector128<float>>
{
    public static bool Apply(ulong source, ref uint mxcsr, out Vector128<float> result) => SseFloat.CvtPh2Ps(source, ref mxcsr, out result);
}

/// <summary>VCVTPS2PH, whose destination is memory or a register.</summary>
internal static unsafe class HalfHandlers
{
    /// <summary>xmm or m64, xmm, imm8.</summary>
    public static Op* FromXmm(CpuState* s, Op* op)
    {
        uint mxcsr = s->Mxcsr;
        bool ok = SseFloat.CvtPs2Ph(VectorLanes.Lower<float>(s, op->R1), (byte)op->Imm, ref mxcsr, out ulong result);
        return Finish(s, op, ok, mxcsr, Vector128.CreateScalar(result), wide: false);
    }

    /// <summary>xmm or m128, ymm, imm8.</summary>
    public static Op* FromYmm(CpuState* s, Op* op)
    {
        uint mxcsr = s->Mxcsr;
        Vector128<float> a = VectorLanes.Lower<float>(s, op->R1);
        Vector128<float> b = VectorLanes.Upper<float>(s, op->R1);
        byte immediate = (byte)op->Imm;
        bool ok = SseFloat.CvtPs2Ph(a, immediate, ref mxcsr, out ulong lower);
        ok &= SseFloat.CvtPs2Ph(b, immediate, ref mxcsr, out ulong upper);
        if (!ok)
        {
            uint first = s->Mxcsr & ~SseFloat.AllFlags;
            uint second = first;
            _ = SseFloat.CvtPs2Ph(a, immediate, ref first, out _);
            _ = SseFloat.CvtPs2Ph(b, immediate, ref second, out _);
            mxcsr = SseFloat.CombineLanes(s->Mxcsr, first, second);
        }

        return Finish(s, op, ok, mxcsr, Vector128.Create(lower, upper), wide: true);
    }

    /// <summary>
    /// R2 is not zero when the destination is memory. The order of exceptions is implementation-specific: on Intel's processors an unmasked
    /// exception of the value has priority over a fault, and a fault leaves the flags of masked ones set.
    /// </summary>
    private static Op* Finish(CpuState* s, Op* op, bool ok, uint mxcsr, Vector128<ulong> result, bool wide)
    {
        s->Mxcsr = mxcsr;
        if (!ok)
        {
            return Enablement.RaiseSimdError(s);
        }

        if (op->R2 == 0)
        {
            VectorLanes.Write(s, op->R0, result);
            return op + 1;
        }

        return (wide ? Operand.Store(s, op, result) : Operand.Store(s, op, result.ToScalar())) ? op + 1 : null;
    }
}
