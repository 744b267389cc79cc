using System.Numerics;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SoftFloat
{
    /// <summary>Compares; a QNaN operand raises IE only when <paramref name="signaling"/>.</summary>
    public static FloatRelation Compare<TFormat, TBits>(TBits left, TBits right, bool signaling, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged =>
        CompareUnpacked(
            TFormat.Unpack(left, context.DenormalsAreZero), TFormat.Unpack(right, context.DenormalsAreZero), signaling, ref context);

    public static FloatRelation CompareUnpacked(Unpacked a, Unpacked b, bool signaling, ref FloatContext context)
    {
        if (a.IsNaN || b.IsNaN)
        {
            if (signaling || a.Kind > FloatClass.QuietNaN || b.Kind > FloatClass.QuietNaN)
            {
                context.Flags |= FloatFlags.Invalid;
            }

            return FloatRelation.Unordered;
        }

        RaiseDenormal(a, b, ref context);
        if (a.Kind == FloatClass.Zero && b.Kind == FloatClass.Zero)
        {
            return FloatRelation.Equal;
        }

        if (a.Kind == FloatClass.Zero)
        {
            return b.Sign ? FloatRelation.Greater : FloatRelation.Less;
        }

        if (b.Kind == FloatClass.Zero || a.Sign != b.Sign)
        {
            return a.Sign ? FloatRelation.Less : FloatRelation.Greater;
        }

        int magnitude = CompareMagnitudes(a, b);
        return magnitude == 0 ? FloatRelation.Equal : (magnitude < 0) ^ a.Sign ? FloatRelation.Less : FloatRelation.Greater;
    }

    /// <summary>MINPS/MAXPS: the second operand wins when either is a NaN and when both are zeros (SDM vol. 2B, MINPS).</summary>
    public static TBits MinMax<TFormat, TBits>(TBits left, TBits right, bool maximum, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        Unpacked a = TFormat.Unpack(left, context.DenormalsAreZero);
        Unpacked b = TFormat.Unpack(right, context.DenormalsAreZero);
        FloatRelation relation = CompareUnpacked(a, b, true, ref context);
        bool first = relation == (maximum ? FloatRelation.Greater : FloatRelation.Less);
        Unpacked chosen = first ? a : b;

        // Repacking turns a denormal that DAZ zeroed into that zero.
        return chosen.Kind == FloatClass.Zero ? PackZero<TFormat, TBits>(chosen.Sign) : first ? left : right;
    }

    /// <summary>Converts between floating-point formats.</summary>
    public static TTo Convert<TFromFormat, TFrom, TToFormat, TTo>(TFrom value, ref FloatContext context)
        where TFromFormat : struct, IFloatFormat<TFrom>
        where TFrom : unmanaged
        where TToFormat : struct, IFloatFormat<TTo>
        where TTo : unmanaged
    {
        Unpacked a = TFromFormat.Unpack(value, context.DenormalsAreZero);
        RaiseDenormal(a, a, ref context);
        return a.Kind switch
        {
            FloatClass.Zero => PackZero<TToFormat, TTo>(a.Sign),
            FloatClass.Infinity => PackInfinity<TToFormat, TTo>(a.Sign),
            FloatClass.Normal or FloatClass.Denormal => Round<TToFormat, TTo>(a.Sign, a.Exponent, a.Significand, 0, ref context),
            _ => PackNaN<TToFormat, TTo>(PropagateNaN(a, a, ref context)),
        };
    }

    public static TBits FromInteger<TFormat, TBits>(long value, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        if (value == 0)
        {
            return PackZero<TFormat, TBits>(false);
        }

        ulong magnitude = value < 0 ? 0UL - (ulong)value : (ulong)value;
        int shift = BitOperations.LeadingZeroCount(magnitude);
        return Round<TFormat, TBits>(value < 0, 63 - shift, magnitude << shift, 0, ref context);
    }

    public static long ToInteger<TFormat, TBits>(TBits value, int width, FloatRounding rounding, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged =>
        UnpackedToInteger(TFormat.Unpack(value, context.DenormalsAreZero), width, rounding, ref context);

    /// <summary>
    /// Rounds to a signed integer of 16, 32 or 64 bits. What does not fit raises IE and delivers the integer indefinite,
    /// the most negative value (SDM vol. 1, 4.2.1 table 4-1). Conversions to integer never raise DE.
    /// </summary>
    public static long UnpackedToInteger(Unpacked a, int width, FloatRounding rounding, ref FloatContext context)
    {
        long indefinite = long.MinValue >> (64 - width);
        if (a.Kind == FloatClass.Zero)
        {
            return 0;
        }

        if (!a.IsNumber || a.Exponent >= width)
        {
            context.Flags |= FloatFlags.Invalid;
            return indefinite;
        }

        ulong magnitude = RoundMagnitude(a, rounding, out bool inexact, out bool up);
        ulong limit = 1UL << (width - 1);
        if (magnitude > limit || (magnitude == limit && !a.Sign))
        {
            context.Flags |= FloatFlags.Invalid;
            return indefinite;
        }

        if (inexact)
        {
            context.Flags |= FloatFlags.Precision;
            context.RoundedUp = up;
        }

        return a.Sign ? (long)(0UL - magnitude) : (long)magnitude;
    }

    /// <summary>Rounds to an integral value in the same format (ROUNDSS and relatives, FRNDINT).</summary>
    public static TBits RoundToIntegral<TFormat, TBits>(TBits value, FloatRounding rounding, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        Unpacked a = TFormat.Unpack(value, context.DenormalsAreZero);
        if (a.IsNaN)
        {
            return PackNaN<TFormat, TBits>(PropagateNaN(a, a, ref context));
        }

        if (a.Kind == FloatClass.Zero)
        {
            return PackZero<TFormat, TBits>(a.Sign);
        }

        if (a.Kind == FloatClass.Infinity || a.Exponent >= 63)
        {
            return value;
        }

        ulong magnitude = RoundMagnitude(a, rounding, out bool inexact, out bool up);
        if (inexact)
        {
            context.Flags |= FloatFlags.Precision;
            context.RoundedUp = up;
        }

        if (magnitude == 0)
        {
            return PackZero<TFormat, TBits>(a.Sign);
        }

        int shift = BitOperations.LeadingZeroCount(magnitude);
        return TFormat.Pack(a.Sign, 63 - shift + TFormat.MaxExponent, magnitude << shift);
    }

    internal static int CompareMagnitudes(Unpacked a, Unpacked b)
    {
        if (a.Kind == FloatClass.Infinity || b.Kind == FloatClass.Infinity)
        {
            return (a.Kind == FloatClass.Infinity ? 1 : 0) - (b.Kind == FloatClass.Infinity ? 1 : 0);
        }

        return a.Exponent != b.Exponent ? a.Exponent.CompareTo(b.Exponent) : a.Significand.CompareTo(b.Significand);
    }

    /// <summary>Integral magnitude of a number below 2^64.</summary>
    private static ulong RoundMagnitude(Unpacked a, FloatRounding rounding, out bool inexact, out bool up)
    {
        ulong whole = 0;
        ulong rest;
        if (a.Exponent >= 63)
        {
            whole = a.Significand;
            rest = 0;
        }
        else if (a.Exponent >= 0)
        {
            whole = a.Significand >> (63 - a.Exponent);
            rest = a.Significand << (a.Exponent + 1);
        }
        else
        {
            rest = a.Exponent == -1 ? a.Significand : 1;
        }

        inexact = rest != 0;
        up = ShouldRoundUp(a.Sign, rest, (whole & 1) != 0, rounding);
        return up ? whole + 1 : whole;
    }
}
