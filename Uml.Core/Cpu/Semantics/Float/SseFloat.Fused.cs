using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>Which terms of x * y + z an FMA instruction negates.</summary>
[Flags]
internal enum FusedSigns : byte
{
    None = 0,

    /// <summary>VFNM...: the product.</summary>
    Product = 1,

    /// <summary>The addend in even elements, and in scalars.</summary>
    EvenAddend = 2,

    /// <summary>The addend in odd elements.</summary>
    OddAddend = 4,
}

/// <summary>FMA: x * y + z rounded once, whatever operands the form (132, 213, 231) takes for x, y and z.</summary>
internal static partial class SseFloat
{
    public static bool FusedSs(uint x, uint y, uint z, FusedSigns signs, ref uint mxcsr, out uint result)
    {
        if (IsFastMode(mxcsr))
        {
            float a = BitConverter.UInt32BitsToSingle(x);
            float b = BitConverter.UInt32BitsToSingle(y);
            float c = BitConverter.UInt32BitsToSingle(z);
            if (IsPlain(a) && IsPlain(b) && IsPlain(c))
            {
                a = (signs & FusedSigns.Product) != 0 ? -a : a;
                c = (signs & FusedSigns.EvenAddend) != 0 ? -c : c;
                float value = MathF.FusedMultiplyAdd(a, b, c);
                if (IsSafe(value))
                {
                    result = BitConverter.SingleToUInt32Bits(value);
                    return true;
                }
            }
        }

        return FusedSlow<Format32, uint>(x, y, z, signs, ref mxcsr, out result);
    }

    public static bool FusedSd(ulong x, ulong y, ulong z, FusedSigns signs, ref uint mxcsr, out ulong result)
    {
        if (IsFastMode(mxcsr))
        {
            double a = BitConverter.UInt64BitsToDouble(x);
            double b = BitConverter.UInt64BitsToDouble(y);
            double c = BitConverter.UInt64BitsToDouble(z);
            if (IsPlain(a) && IsPlain(b) && IsPlain(c))
            {
                a = (signs & FusedSigns.Product) != 0 ? -a : a;
                c = (signs & FusedSigns.EvenAddend) != 0 ? -c : c;
                double value = Math.FusedMultiplyAdd(a, b, c);
                if (IsSafe(value))
                {
                    result = BitConverter.DoubleToUInt64Bits(value);
                    return true;
                }
            }
        }

        return FusedSlow<Format64, ulong>(x, y, z, signs, ref mxcsr, out result);
    }

    public static bool FusedPs(
        Vector128<float> x, Vector128<float> y, Vector128<float> z, FusedSigns signs, ref uint mxcsr, out Vector128<float> result)
    {
        if (IsFastMode(mxcsr))
        {
            float product = (signs & FusedSigns.Product) != 0 ? -0f : 0;
            float even = (signs & FusedSigns.EvenAddend) != 0 ? -0f : 0;
            float odd = (signs & FusedSigns.OddAddend) != 0 ? -0f : 0;
            result = Vector128.FusedMultiplyAdd(x ^ Vector128.Create(product), y, z ^ Vector128.Create(even, odd, even, odd));
            if (AllTrue(Safe(result) & Plain(x) & Plain(y) & Plain(z)))
            {
                return true;
            }
        }

        bool ok = FusedPackedSlow<Format32, uint>(x.AsUInt32(), y.AsUInt32(), z.AsUInt32(), signs, ref mxcsr, out Vector128<uint> bits);
        result = bits.AsSingle();
        return ok;
    }

    public static bool FusedPd(
        Vector128<double> x, Vector128<double> y, Vector128<double> z, FusedSigns signs, ref uint mxcsr, out Vector128<double> result)
    {
        if (IsFastMode(mxcsr))
        {
            double product = (signs & FusedSigns.Product) != 0 ? -0.0 : 0;
            double even = (signs & FusedSigns.EvenAddend) != 0 ? -0.0 : 0;
            double odd = (signs & FusedSigns.OddAddend) != 0 ? -0.0 : 0;
            result = Vector128.FusedMultiplyAdd(x ^ Vector128.Create(product), y, z ^ Vector128.Create(even, odd));
            if (AllTrue(Safe(result) & Plain(x) & Plain(y) & Plain(z)))
            {
                return true;
            }
        }

        bool ok = FusedPackedSlow<Format64, ulong>(x.AsUInt64(), y.AsUInt64(), z.AsUInt64(), signs, ref mxcsr, out Vector128<ulong> bits);
        result = bits.AsDouble();
        return ok;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool FusedSlow<TFormat, TBits>(TBits x, TBits y, TBits z, FusedSigns signs, ref uint mxcsr, out TBits result)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = SoftFloat.FusedMultiplyAdd<TFormat, TBits>(
            x, y, z, (signs & FusedSigns.Product) != 0, (signs & FusedSigns.EvenAddend) != 0, ref context);
        return Commit(ref mxcsr, context.Flags);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool FusedPackedSlow<TFormat, TBits>(
        Vector128<TBits> x, Vector128<TBits> y, Vector128<TBits> z, FusedSigns signs, ref uint mxcsr, out Vector128<TBits> result)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = default;
        for (int lane = 0; lane < Vector128<TBits>.Count; lane++)
        {
            FusedSigns addend = (lane & 1) == 0 ? FusedSigns.EvenAddend : FusedSigns.OddAddend;
            TBits value = SoftFloat.FusedMultiplyAdd<TFormat, TBits>(
                x.GetElement(lane),
                y.GetElement(lane),
                z.GetElement(lane),
                (signs & FusedSigns.Product) != 0,
                (signs & addend) != 0,
                ref context);
            result = result.WithElement(lane, value);
        }

        return Commit(ref mxcsr, context.Flags);
    }
}
