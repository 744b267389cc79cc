using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SseFloat
{
    public static bool CvtSs2Sd(uint source, ref uint mxcsr, out ulong result)
    {
        float value = BitConverter.UInt32BitsToSingle(source);
        if (IsPlain(value))
        {
            result = BitConverter.DoubleToUInt64Bits(value);
            return true;
        }

        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = SoftFloat.Convert<Format32, uint, Format64, ulong>(source, ref context);
        return Commit(ref mxcsr, context.Flags);
    }

    public static bool CvtSd2Ss(ulong source, ref uint mxcsr, out uint result)
    {
        if (IsFastMode(mxcsr))
        {
            float value = (float)BitConverter.UInt64BitsToDouble(source);
            if (IsSafe(value))
            {
                result = BitConverter.SingleToUInt32Bits(value);
                return true;
            }
        }

        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = SoftFloat.Convert<Format64, ulong, Format32, uint>(source, ref context);
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>CVTPS2PD of the two low elements.</summary>
    public static bool CvtPs2Pd(ulong source, ref uint mxcsr, out Vector128<double> result)
    {
        float a = BitConverter.UInt32BitsToSingle((uint)source);
        float b = BitConverter.UInt32BitsToSingle((uint)(source >> 32));
        if (IsPlain(a) && IsPlain(b))
        {
            result = Vector128.Create((double)a, b);
            return true;
        }

        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        ulong low = SoftFloat.Convert<Format32, uint, Format64, ulong>((uint)source, ref context);
        ulong high = SoftFloat.Convert<Format32, uint, Format64, ulong>((uint)(source >> 32), ref context);
        result = Vector128.Create(low, high).AsDouble();
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>CVTPD2PS; the high half of the result is zero.</summary>
    public static bool CvtPd2Ps(Vector128<double> source, ref uint mxcsr, out Vector128<float> result)
    {
        if (IsFastMode(mxcsr))
        {
            float a = (float)source.GetElement(0);
            float b = (float)source.GetElement(1);
            if (IsSafe(a) && IsSafe(b))
            {
                result = Vector128.Create(a, b, 0, 0);
                return true;
            }
        }

        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        Vector128<ulong> bits = source.AsUInt64();
        uint low = SoftFloat.Convert<Format64, ulong, Format32, uint>(bits.GetElement(0), ref context);
        uint high = SoftFloat.Convert<Format64, ulong, Format32, uint>(bits.GetElement(1), ref context);
        result = Vector128.Create(low, high, 0, 0).AsSingle();
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>CVTSI2SS from a 32-bit (sign-extended) or 64-bit integer.</summary>
    public static bool CvtSi2Ss(long source, ref uint mxcsr, out uint result)
    {
        const long exact = 1L << 24;
        if (source is >= -exact and <= exact)
        {
            result = BitConverter.SingleToUInt32Bits(source);
            return true;
        }

        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = SoftFloat.FromInteger<Format32, uint>(source, ref context);
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>CVTSI2SD from a 32-bit (sign-extended) or 64-bit integer.</summary>
    public static bool CvtSi2Sd(long source, ref uint mxcsr, out ulong result)
    {
        const long exact = 1L << 53;
        if (source is >= -exact and <= exact)
        {
            result = BitConverter.DoubleToUInt64Bits(source);
            return true;
        }

        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = SoftFloat.FromInteger<Format64, ulong>(source, ref context);
        return Commit(ref mxcsr, context.Flags);
    }

    public static bool CvtSs2Si32(uint source, ref uint mxcsr, out int result)
    {
        bool ok = ToInteger<Format32, uint>(source, 32, false, ref mxcsr, out long value);
        result = (int)value;
        return ok;
    }

    public static bool CvtSs2Si64(uint source, ref uint mxcsr, out long result) =>
        ToInteger<Format32, uint>(source, 64, false, ref mxcsr, out result);

    public static bool CvtSd2Si32(ulong source, ref uint mxcsr, out int result)
    {
        bool ok = ToInteger<Format64, ulong>(source, 32, false, ref mxcsr, out long value);
        result = (int)value;
        return ok;
    }

    public static bool CvtSd2Si64(ulong source, ref uint mxcsr, out long result) =>
        ToInteger<Format64, ulong>(source, 64, false, ref mxcsr, out result);

    public static bool CvttSs2Si32(uint source, ref uint mxcsr, out int result)
    {
        if (TruncateFast(BitConverter.UInt32BitsToSingle(source), int.MaxValue, mxcsr, out long value))
        {
            result = (int)value;
            return true;
        }

        bool ok = ToInteger<Format32, uint>(source, 32, true, ref mxcsr, out value);
        result = (int)value;
        return ok;
    }

    public static bool CvttSs2Si64(uint source, ref uint mxcsr, out long result) =>
        TruncateFast(BitConverter.UInt32BitsToSingle(source), long.MaxValue, mxcsr, out result)
        || ToInteger<Format32, uint>(source, 64, true, ref mxcsr, out result);

    public static bool CvttSd2Si32(ulong source, ref uint mxcsr, out int result)
    {
        if (TruncateFast(BitConverter.UInt64BitsToDouble(source), int.MaxValue, mxcsr, out long value))
        {
            result = (int)value;
            return true;
        }

        bool ok = ToInteger<Format64, ulong>(source, 32, true, ref mxcsr, out value);
        result = (int)value;
        return ok;
    }

    public static bool CvttSd2Si64(ulong source, ref uint mxcsr, out long result) =>
        TruncateFast(BitConverter.UInt64BitsToDouble(source), long.MaxValue, mxcsr, out result)
        || ToInteger<Format64, ulong>(source, 64, true, ref mxcsr, out result);

    /// <summary>CVTDQ2PS.</summary>
    public static bool CvtDq2Ps(Vector128<int> source, ref uint mxcsr, out Vector128<float> result)
    {
        if (IsFastMode(mxcsr))
        {
            result = Vector128.ConvertToSingle(source);
            return true;
        }

        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = Vector128.Create(
            SoftFloat.FromInteger<Format32, uint>(source.GetElement(0), ref context),
            SoftFloat.FromInteger<Format32, uint>(source.GetElement(1), ref context),
            SoftFloat.FromInteger<Format32, uint>(source.GetElement(2), ref context),
            SoftFloat.FromInteger<Format32, uint>(source.GetElement(3), ref context)).AsSingle();
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>CVTDQ2PD and CVTPI2PD of two 32-bit integers; exact.</summary>
    public static Vector128<double> CvtDq2Pd(ulong source) => Vector128.Create((double)(int)source, (int)(source >> 32));

    /// <summary>CVTPI2PS of two 32-bit integers, packed into 64 bits.</summary>
    public static bool CvtPi2Ps(ulong source, ref uint mxcsr, out ulong result)
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        uint low = SoftFloat.FromInteger<Format32, uint>((int)source, ref context);
        uint high = SoftFloat.FromInteger<Format32, uint>((int)(source >> 32), ref context);
        result = low | ((ulong)high << 32);
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>CVTPS2DQ, or CVTTPS2DQ when <paramref name="truncate"/>.</summary>
    public static bool CvtPs2Dq(Vector128<float> source, bool truncate, ref uint mxcsr, out Vector128<int> result)
    {
        if (truncate
            && TruncateFast(source.GetElement(0), int.MaxValue, mxcsr, out long a)
            && TruncateFast(source.GetElement(1), int.MaxValue, mxcsr, out long b)
            && TruncateFast(source.GetElement(2), int.MaxValue, mxcsr, out long c)
            && TruncateFast(source.GetElement(3), int.MaxValue, mxcsr, out long d))
        {
            result = Vector128.Create((int)a, (int)b, (int)c, (int)d);
            return true;
        }

        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        FloatRounding rounding = truncate ? FloatRounding.Zero : context.Rounding;
        Vector128<uint> bits = source.AsUInt32();
        result = Vector128.Create(
            (int)SoftFloat.ToInteger<Format32, uint>(bits.GetElement(0), 32, rounding, ref context),
            (int)SoftFloat.ToInteger<Format32, uint>(bits.GetElement(1), 32, rounding, ref context),
            (int)SoftFloat.ToInteger<Format32, uint>(bits.GetElement(2), 32, rounding, ref context),
            (int)SoftFloat.ToInteger<Format32, uint>(bits.GetElement(3), 32, rounding, ref context));
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>CVTPD2DQ and CVTPD2PI (CVTTPD2.. when <paramref name="truncate"/>): two 32-bit integers packed into 64 bits.</summary>
    public static bool CvtPd2Dq(Vector128<double> source, bool truncate, ref uint mxcsr, out ulong result)
    {
        if (truncate
            && TruncateFast(source.GetElement(0), int.MaxValue, mxcsr, out long a)
            && TruncateFast(source.GetElement(1), int.MaxValue, mxcsr, out long b))
        {
            result = (uint)a | ((ulong)(uint)b << 32);
            return true;
        }

        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        FloatRounding rounding = truncate ? FloatRounding.Zero : context.Rounding;
        Vector128<ulong> bits = source.AsUInt64();
        uint low = (uint)SoftFloat.ToInteger<Format64, ulong>(bits.GetElement(0), 32, rounding, ref context);
        uint high = (uint)SoftFloat.ToInteger<Format64, ulong>(bits.GetElement(1), 32, rounding, ref context);
        result = low | ((ulong)high << 32);
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>CVTPS2PI (CVTTPS2PI when <paramref name="truncate"/>) of two elements.</summary>
    public static bool CvtPs2Pi(ulong source, bool truncate, ref uint mxcsr, out ulong result)
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        FloatRounding rounding = truncate ? FloatRounding.Zero : context.Rounding;
        uint low = (uint)SoftFloat.ToInteger<Format32, uint>((uint)source, 32, rounding, ref context);
        uint high = (uint)SoftFloat.ToInteger<Format32, uint>((uint)(source >> 32), 32, rounding, ref context);
        result = low | ((ulong)high << 32);
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>Truncates with the host; no flag can change when the value is integral or PE is already set and masked.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TruncateFast(double value, long limit, uint mxcsr, out long result)
    {
        // Strictly below the limit as a double (2^31 - 1 or 2^63) everything fits; the few other values that fit take the slow path.
        if (Math.Abs(value) < limit)
        {
            result = (long)value;
            const uint inexactIsSilent = FloatFlags.Precision | (FloatFlags.Precision << 7);
            return result == value || (mxcsr & inexactIsSilent) == inexactIsSilent;
        }

        result = 0;
        return false;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool ToInteger<TFormat, TBits>(TBits source, int width, bool truncate, ref uint mxcsr, out long result)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = SoftFloat.ToInteger<TFormat, TBits>(source, width, truncate ? FloatRounding.Zero : context.Rounding, ref context);
        return Commit(ref mxcsr, context.Flags);
    }
}
