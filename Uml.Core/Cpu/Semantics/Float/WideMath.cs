using System.Numerics;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>128-bit integer operations that the base library does not have, or only slow ones.</summary>
internal static class WideMath
{
    /// <summary>Shifts left until bit 63 of <paramref name="high"/> is set and returns the count; the value must not be zero.</summary>
    public static int Normalize(ref ulong high, ref ulong low)
    {
        int shift = 0;
        if (high == 0)
        {
            high = low;
            low = 0;
            shift = 64;
        }

        int zeros = BitOperations.LeadingZeroCount(high);
        if (zeros != 0)
        {
            high = (high << zeros) | (low >> (64 - zeros));
            low <<= zeros;
        }

        return shift + zeros;
    }

    /// <summary>Divides high.low by a divisor with bit 63 set and <paramref name="high"/> below it (schoolbook division, 32-bit digits).</summary>
    public static ulong Divide(ulong high, ulong low, ulong divisor, out ulong remainder)
    {
        ulong upper = DivideDigit(high, low >> 32, divisor, out ulong rest);
        ulong lower = DivideDigit(rest, low & uint.MaxValue, divisor, out remainder);
        return (upper << 32) | lower;
    }

    /// <summary>Quotient of two left-aligned significands, left-aligned; <paramref name="adjust"/> corrects the exponent difference.</summary>
    /// <remarks><paramref name="low"/>: Zero, below half, half or above half: all that rounding needs to know of the remainder.</remarks>
    public static ulong DivideSignificands(ulong numerator, ulong denominator, out ulong low, out int adjust)
    {
        ulong quotient;
        ulong remainder;
        if (numerator < denominator)
        {
            adjust = -1;
            quotient = Divide(numerator, 0, denominator, out remainder);
        }
        else
        {
            adjust = 0;
            quotient = Divide(numerator >> 1, numerator << 63, denominator, out remainder);
        }

        low = 0;
        if (remainder != 0)
        {
            ulong complement = denominator - remainder;
            low = remainder < complement ? 1UL : remainder == complement ? 1UL << 63 : (1UL << 63) | 1;
        }

        return quotient;
    }

    /// <summary>Left-aligned square root of a left-aligned significand, times two first when the exponent is odd.</summary>
    /// <remarks><paramref name="low"/>: The remainder, for rounding. It is never exactly half.</remarks>
    public static ulong SquareRoot(ulong significand, bool odd, out ulong low)
    {
        UInt128 radicand = (UInt128)significand << (odd ? 64 : 63);
        ulong high = (ulong)(radicand >> 64);
        ulong bottom = (ulong)radicand;

        // A double estimate is good to 52 bits and one Newton step doubles that; what is left is a unit or two.
        double estimate = Math.Sqrt((double)high) * 4294967296.0;
        ulong root = estimate >= 18446744073709551615.0 ? ulong.MaxValue : (ulong)estimate;
        root |= 1UL << 63;
        if (high < root)
        {
            ulong quotient = Divide(high, bottom, root, out _);
            root = (ulong)(((UInt128)root + quotient) >> 1);
        }

        ulong squareHigh = Math.BigMul(root, root, out ulong squareLow);
        UInt128 square = new(squareHigh, squareLow);
        while (square > radicand)
        {
            square -= ((UInt128)root << 1) - 1;
            root--;
        }

        UInt128 remainder = radicand - square;
        while (remainder > (UInt128)root << 1)
        {
            remainder -= ((UInt128)root << 1) + 1;
            root++;
        }

        low = remainder == 0 ? 0 : remainder > root ? (1UL << 63) | 1 : 1;
        return root;
    }

    private static ulong DivideDigit(ulong high, ulong digit, ulong divisor, out ulong remainder)
    {
        ulong top = divisor >> 32;
        ulong bottom = divisor & uint.MaxValue;
        ulong quotient = high / top;
        ulong rest = high - (quotient * top);

        // The estimate from the top digit is at most two too large, and may itself be one digit too long.
        while (quotient > uint.MaxValue || quotient * bottom > ((rest << 32) | digit))
        {
            quotient--;
            rest += top;
            if (rest > uint.MaxValue)
            {
                break;
            }
        }

        remainder = (high << 32) + digit - (quotient * divisor);
        return quotient;
    }
}
