namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SoftFloat
{
    /// <summary>x * y + z, rounded once; either term may be negated, which leaves a NaN's sign alone (SDM vol. 1, 14.5.2).</summary>
    public static TBits FusedMultiplyAdd<TFormat, TBits>(
        TBits x, TBits y, TBits z, bool negateProduct, bool negateAddend, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        Unpacked a = TFormat.Unpack(x, context.DenormalsAreZero);
        Unpacked b = TFormat.Unpack(y, context.DenormalsAreZero);
        Unpacked c = TFormat.Unpack(z, context.DenormalsAreZero);
        if (a.IsNaN || b.IsNaN || c.IsNaN)
        {
            return PackNaN<TFormat, TBits>(PropagateFusedNaN(a, b, c, ref context));
        }

        bool sign = a.Sign ^ b.Sign ^ negateProduct;
        c = negateAddend ? c.Negated : c;
        if (a.Kind == FloatClass.Infinity || b.Kind == FloatClass.Infinity)
        {
            bool timesZero = a.Kind == FloatClass.Zero || b.Kind == FloatClass.Zero;
            if (timesZero || (c.Kind == FloatClass.Infinity && c.Sign != sign))
            {
                return Invalid<TFormat, TBits>(ref context);
            }

            RaiseFusedDenormal(a, b, c, ref context);
            return PackInfinity<TFormat, TBits>(sign);
        }

        RaiseFusedDenormal(a, b, c, ref context);
        if (c.Kind == FloatClass.Infinity)
        {
            return PackInfinity<TFormat, TBits>(c.Sign);
        }

        if (a.Kind == FloatClass.Zero || b.Kind == FloatClass.Zero)
        {
            if (c.Kind != FloatClass.Zero)
            {
                return Round<TFormat, TBits>(c.Sign, c.Exponent, c.Significand, 0, ref context);
            }

            return PackZero<TFormat, TBits>(sign == c.Sign ? sign : context.Rounding == FloatRounding.Down);
        }

        return AddToProduct<TFormat, TBits>(a, b, sign, c, ref context);
    }

    /// <summary>
    /// The first NaN in the order of the product's factors, then the addend (SDM vol. 1, table 14-17). If there is one, infinity times zero
    /// does not raise IE (measured: Zen 3).
    /// </summary>
    private static Unpacked PropagateFusedNaN(Unpacked a, Unpacked b, Unpacked c, ref FloatContext context)
    {
        if (a.Kind == FloatClass.SignalingNaN || b.Kind == FloatClass.SignalingNaN || c.Kind == FloatClass.SignalingNaN)
        {
            context.Flags |= FloatFlags.Invalid;
        }

        return a.IsNaN ? a.Quieted : b.IsNaN ? b.Quieted : c.Quieted;
    }

    private static void RaiseFusedDenormal(Unpacked a, Unpacked b, Unpacked c, ref FloatContext context)
    {
        RaiseDenormal(a, b, ref context);
        RaiseDenormal(c, c, ref context);
    }

    /// <summary>
    /// The product is exact in 128 bits. What alignment shifts out of them is jammed: the terms are then so far apart that at most one
    /// bit cancels, and more than sixty bits lie between the jammed bit and the one that is rounded.
    /// </summary>
    private static TBits AddToProduct<TFormat, TBits>(Unpacked a, Unpacked b, bool sign, Unpacked c, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        ulong high = Math.BigMul(a.Significand, b.Significand, out ulong low);
        int exponent = a.Exponent + b.Exponent + 1 - WideMath.Normalize(ref high, ref low);
        if (c.Kind == FloatClass.Zero)
        {
            return Round<TFormat, TBits>(sign, exponent, high, low, ref context);
        }

        ulong smallHigh = c.Significand;
        ulong smallLow = 0;
        int difference = exponent - c.Exponent;
        bool otherSign = c.Sign;
        if (difference < 0 || (difference == 0 && (high < smallHigh || (high == smallHigh && low < smallLow))))
        {
            (high, smallHigh) = (smallHigh, high);
            (low, smallLow) = (smallLow, low);
            (sign, otherSign) = (otherSign, sign);
            exponent = c.Exponent;
            difference = -difference;
        }

        ShiftRightJam(ref smallHigh, ref smallLow, difference);
        UInt128 large = new(high, low);
        UInt128 small = new(smallHigh, smallLow);
        UInt128 result;
        if (sign == otherSign)
        {
            result = large + small;
            if (result < large)
            {
                result = (result >> 1) | (UInt128.One << 127) | (result & 1);
                exponent++;
            }
        }
        else
        {
            result = large - small;
        }

        if (result == 0)
        {
            return PackZero<TFormat, TBits>(context.Rounding == FloatRounding.Down);
        }

        high = (ulong)(result >> 64);
        low = (ulong)result;
        exponent -= WideMath.Normalize(ref high, ref low);
        return Round<TFormat, TBits>(sign, exponent, high, low, ref context);
    }
}
