namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SoftFloat
{
    /// <summary>The packed BCD indefinite (SDM vol. 1, table 4-4), low 8 and high 2 bytes.</summary>
    public static (ulong Low, ushort High) DecimalIndefinite => (0xC000_0000_0000_0000, 0xFFFF);

    /// <summary>ST(0) * 2^trunc(ST(1)) (SDM vol. 2A, FSCALE table 3-39).</summary>
    public static Float80 Scale(Unpacked a, Unpacked b, ref FloatContext context)
    {
        if (a.IsNaN || b.IsNaN)
        {
            return PackNaN<Format80, Float80>(PropagateNaN(a, b, ref context));
        }

        if (b.Kind == FloatClass.Infinity)
        {
            if (a.Kind == (b.Sign ? FloatClass.Infinity : FloatClass.Zero))
            {
                return Invalid<Format80, Float80>(ref context);
            }

            RaiseDenormal(a, b, ref context);
            return b.Sign ? PackZero<Format80, Float80>(a.Sign) : PackInfinity<Format80, Float80>(a.Sign);
        }

        RaiseDenormal(a, b, ref context);
        if (a.Kind == FloatClass.Zero)
        {
            return PackZero<Format80, Float80>(a.Sign);
        }

        if (a.Kind == FloatClass.Infinity)
        {
            return PackInfinity<Format80, Float80>(a.Sign);
        }

        // Beyond 2^16 every scale overflows or underflows all the way.
        int scale = b.Kind == FloatClass.Zero || b.Exponent < 0 ? 0
            : b.Exponent >= 16 ? 0x1_0000
            : (int)(b.Significand >> (63 - b.Exponent));
        return Round<Format80, Float80>(a.Sign, a.Exponent + (b.Sign ? -scale : scale), a.Significand, 0, ref context);
    }

    /// <summary>Splits into significand (returned) and unbiased exponent (SDM vol. 2A, FXTRACT).</summary>
    public static Float80 Extract(Unpacked a, ref FloatContext context, out Float80 exponent)
    {
        switch (a.Kind)
        {
            case FloatClass.Zero:
                context.Flags |= FloatFlags.ZeroDivide;
                exponent = PackInfinity<Format80, Float80>(true);
                return PackZero<Format80, Float80>(a.Sign);
            case FloatClass.Infinity:
                exponent = PackInfinity<Format80, Float80>(false);
                return PackInfinity<Format80, Float80>(a.Sign);
            case FloatClass.Normal:
            case FloatClass.Denormal:
                RaiseDenormal(a, a, ref context);
                exponent = FromInteger<Format80, Float80>(a.Exponent, ref context);
                return Format80.Pack(a.Sign, Format80.MaxExponent, a.Significand);
            default:
                exponent = PackNaN<Format80, Float80>(PropagateNaN(a, a, ref context));
                return exponent;
        }
    }

    /// <summary>
    /// FPREM and FPREM1; <paramref name="quotient"/> has the low three bits of the quotient, or is negative when the result is a NaN
    /// (SDM vol. 2A, FPREM).
    /// </summary>
    public static Float80 Remainder(Unpacked a, Unpacked b, bool nearest, ref FloatContext context, out int quotient, out bool partial)
    {
        quotient = -1;
        partial = false;
        if (a.IsNaN || b.IsNaN)
        {
            return PackNaN<Format80, Float80>(PropagateNaN(a, b, ref context));
        }

        if (a.Kind == FloatClass.Infinity || b.Kind == FloatClass.Zero)
        {
            return Invalid<Format80, Float80>(ref context);
        }

        quotient = 0;
        RaiseDenormal(a, b, ref context);
        if (a.Kind == FloatClass.Zero)
        {
            return PackZero<Format80, Float80>(a.Sign);
        }

        int difference = a.Exponent - b.Exponent;
        if (b.Kind == FloatClass.Infinity || difference < -1 || (difference == -1 && !(nearest && a.Significand > b.Significand)))
        {
            return Round<Format80, Float80>(a.Sign, a.Exponent, a.Significand, 0, ref context);
        }

        if (difference == -1)
        {
            // Between one half and one divisor: the nearest multiple is one, and 2b - a fits after the shift.
            quotient = 1;
            return PackRemainder(!a.Sign, (b.Significand - a.Significand) + b.Significand, a.Exponent, ref context);
        }

        int steps = difference;
        if (difference >= 64)
        {
            // An implementation may take any step of 32 to 63 bits.
            partial = true;
            steps = 32 + (difference % 32);
        }

        ulong rest = LongDivide(a.Significand, b.Significand, steps, out quotient);
        bool sign = a.Sign;
        if (!partial && nearest && rest != 0 && IsAboveHalf(rest, b.Significand, quotient))
        {
            quotient++;
            rest = b.Significand - rest;
            sign = !sign;
        }

        quotient &= 7;
        int exponent = b.Exponent + difference - steps;
        return rest == 0 ? PackZero<Format80, Float80>(a.Sign) : PackRemainder(sign, rest, exponent, ref context);
    }

    /// <summary>Value of packed BCD; digits above 9 count as their value.</summary>
    public static Float80 FromDecimal(ulong low, ushort high)
    {
        ulong value = 0;
        for (int digit = 17; digit >= 0; digit--)
        {
            ulong nibble = digit >= 16 ? (ulong)(high >> ((digit - 16) * 4)) & 0xF : (low >> (digit * 4)) & 0xF;
            value = (value * 10) + nibble;
        }

        bool sign = (high & 0x8000) != 0;
        if (value == 0)
        {
            return PackZero<Format80, Float80>(sign);
        }

        int shift = System.Numerics.BitOperations.LeadingZeroCount(value);
        return Format80.Pack(sign, 63 - shift + Format80.MaxExponent, value << shift);
    }

    public static (ulong Low, ushort High) ToDecimal(Float80 value, ref FloatContext context)
    {
        const long limit = 999_999_999_999_999_999;
        FloatContext trial = context;
        long number = ToInteger<Format80, Float80>(value, 64, context.Rounding, ref trial);
        if ((trial.Flags & FloatFlags.Invalid) != 0 || number is > limit or < -limit)
        {
            context.Flags |= FloatFlags.Invalid;
            return DecimalIndefinite;
        }

        context = trial;
        ulong rest = (ulong)Math.Abs(number);
        ulong low = 0;
        for (int digit = 0; digit < 16; digit++)
        {
            (rest, ulong nibble) = Math.DivRem(rest, 10);
            low |= nibble << (digit * 4);
        }

        return (low, (ushort)((value.Sign ? 0x8000UL : 0) | (rest / 10 << 4) | (rest % 10)));
    }

    private static bool IsAboveHalf(ulong rest, ulong divisor, int quotient)
    {
        ulong complement = divisor - rest;
        return rest > complement || (rest == complement && (quotient & 1) != 0);
    }

    private static Float80 PackRemainder(bool sign, ulong significand, int exponent, ref FloatContext context)
    {
        int shift = System.Numerics.BitOperations.LeadingZeroCount(significand);
        return Round<Format80, Float80>(sign, exponent - shift, significand << shift, 0, ref context);
    }

    /// <summary>Remainder of numerator * 2^steps by the divisor, one bit a step, and the quotient's low bits.</summary>
    private static ulong LongDivide(ulong numerator, ulong divisor, int steps, out int quotient)
    {
        quotient = 0;
        ulong rest = numerator;
        if (rest >= divisor)
        {
            rest -= divisor;
            quotient = 1;
        }

        for (int i = 0; i < steps; i++)
        {
            bool carry = (long)rest < 0;
            rest <<= 1;
            quotient = (quotient << 1) & 0xFF;
            if (carry || rest >= divisor)
            {
                rest -= divisor;
                quotient |= 1;
            }
        }

        return rest;
    }
}
