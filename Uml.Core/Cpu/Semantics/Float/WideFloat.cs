using System.Numerics;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>
/// A number with a 128-bit significand and unlimited exponent: (-1)^Sign * Significand * 2^(Exponent - 127), bit 127 set, or zero.
/// Operations truncate, so each loses less than one unit in the 128th bit; the 64 bits beyond an x87 significand absorb that.
/// </summary>
internal readonly struct WideFloat(bool sign, int exponent, UInt128 significand)
{
    public readonly UInt128 Significand = significand;
    public readonly int Exponent = exponent;
    public readonly bool Sign = sign;

    public static WideFloat One => new(false, 0, UInt128.One << 127);

    public bool IsZero => Significand == 0;

    public WideFloat Magnitude => new(false, Exponent, Significand);

    public static WideFloat operator -(WideFloat value) => new(!value.Sign, value.Exponent, value.Significand);

    public static WideFloat operator *(WideFloat left, WideFloat right)
    {
        if (left.IsZero || right.IsZero)
        {
            return default;
        }

        ulong a1 = (ulong)(left.Significand >> 64);
        ulong a0 = (ulong)left.Significand;
        ulong b1 = (ulong)(right.Significand >> 64);
        ulong b0 = (ulong)right.Significand;
        UInt128 low = (UInt128)a0 * b0;
        UInt128 cross1 = (UInt128)a1 * b0;
        UInt128 cross2 = (UInt128)a0 * b1;
        UInt128 middle = (low >> 64) + (ulong)cross1 + (ulong)cross2;
        UInt128 high = ((UInt128)a1 * b1) + (cross1 >> 64) + (cross2 >> 64) + (middle >> 64);
        int exponent = left.Exponent + right.Exponent + 1;
        if ((high >> 127) == 0)
        {
            high = (high << 1) | ((middle >> 63) & 1);
            exponent--;
        }

        return new(left.Sign ^ right.Sign, exponent, high);
    }

    public static WideFloat operator +(WideFloat left, WideFloat right)
    {
        if (left.IsZero)
        {
            return right;
        }

        if (right.IsZero)
        {
            return left;
        }

        if (left.Exponent < right.Exponent || (left.Exponent == right.Exponent && left.Significand < right.Significand))
        {
            (left, right) = (right, left);
        }

        int shift = left.Exponent - right.Exponent;
        UInt128 aligned = shift > 127 ? 0 : right.Significand >> shift;
        if (left.Sign != right.Sign)
        {
            return Normalize(left.Sign, left.Exponent, left.Significand - aligned);
        }

        UInt128 sum = left.Significand + aligned;
        return sum < aligned
            ? new(left.Sign, left.Exponent + 1, (sum >> 1) | (UInt128.One << 127))
            : new(left.Sign, left.Exponent, sum);
    }

    public static WideFloat operator -(WideFloat left, WideFloat right) => left + -right;

    /// <summary>Quotient, bit by bit; the divisor is not zero.</summary>
    public static WideFloat operator /(WideFloat left, WideFloat right)
    {
        if (left.IsZero)
        {
            return default;
        }

        int exponent = left.Exponent - right.Exponent;
        UInt128 rest = left.Significand;
        UInt128 quotient = 0;
        bool carry = false;
        if (rest < right.Significand)
        {
            exponent--;
            carry = (rest >> 127) != 0;
            rest <<= 1;
        }

        for (int i = 0; i < 128; i++)
        {
            quotient <<= 1;
            if (carry || rest >= right.Significand)
            {
                rest -= right.Significand;
                quotient |= 1;
            }

            carry = (rest >> 127) != 0;
            rest <<= 1;
        }

        return new(left.Sign ^ right.Sign, exponent, quotient);
    }

    /// <summary>Quotient by a small positive integer.</summary>
    public static WideFloat operator /(WideFloat left, uint right)
    {
        if (left.IsZero)
        {
            return left;
        }

        (UInt128 quotient, UInt128 rest) = UInt128.DivRem(left.Significand, right);
        int zeros = (int)UInt128.LeadingZeroCount(quotient);
        UInt128 tail = zeros == 0 ? 0 : (rest << zeros) / right;
        return new(left.Sign, left.Exponent - zeros, (quotient << zeros) | tail);
    }

    public static WideFloat FromUnpacked(Unpacked value) => value.IsNumber
        ? new(value.Sign, value.Exponent, (UInt128)value.Significand << 64)
        : default;

    public static WideFloat FromInteger(int value)
    {
        if (value == 0)
        {
            return default;
        }

        uint magnitude = (uint)Math.Abs(value);
        int log = BitOperations.Log2(magnitude);
        return new(value < 0, log, (UInt128)magnitude << (127 - log));
    }

    /// <summary>
    /// One unit smaller if the direction's sign is opposite: represents a negligible rest, which directed rounding depends on.
    /// </summary>
    public WideFloat Towards(WideFloat direction)
    {
        if (IsZero || direction.IsZero || direction.Sign == Sign)
        {
            return this;
        }

        return Significand == UInt128.One << 127 ? new(Sign, Exponent - 1, UInt128.MaxValue) : new(Sign, Exponent, Significand - 1);
    }

    public WideFloat Scale(int exponent) => new(Sign, Exponent + exponent, Significand);

    /// <summary>Rounds to an x87 register; the value is taken to be inexact whatever its bits.</summary>
    public Float80 RoundInexact(ref FloatContext context) => IsZero
        ? SoftFloat.PackZero<Format80, Float80>(Sign)
        : SoftFloat.Round<Format80, Float80>(Sign, Exponent, (ulong)(Significand >> 64), (ulong)Significand | 1, ref context);

    private static WideFloat Normalize(bool sign, int exponent, UInt128 significand)
    {
        if (significand == 0)
        {
            return default;
        }

        int zeros = (int)UInt128.LeadingZeroCount(significand);
        return new(sign, exponent - zeros, significand << zeros);
    }
}
