namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>
/// Elementary functions to about 120 bits, for the x87's transcendental instructions. Rounded to 64 bits they are the correctly rounded
/// values (but for arguments that are not known), so a processor that keeps its promise of less than one unit in the last place (SDM vol.
/// 1, 8.3.10) is never more than that away.
/// </summary>
internal static class Transcendental
{
    /// <summary>A term further below the sum than this adds nothing to it.</summary>
    private const int NegligibleBits = 127;

    /// <summary>The pi that argument reduction uses: 66 significant bits (SDM vol. 1, 8.3.8), here pi/2 in units of 2^-67.</summary>
    private static UInt128 HalfPi66 => new(0xC, 0x90FD_AA22_168C_234C);

    private static WideFloat Pi => new(false, 1, new(0xC90F_DAA2_2168_C234, 0xC4C6_628B_80DC_1CD1));

    private static WideFloat Ln2 => new(false, -1, new(0xB172_17F7_D1CF_79AB, 0xC9E3_B398_03F2_F6AF));

    private static WideFloat Log2E => new(false, 0, new(0xB8AA_3B29_5C17_F0BB, 0xBE87_FED0_691D_3E89));

    /// <summary>atan(1/16) to atan(16/16), 128-bit significands.</summary>
    private static ReadOnlySpan<ulong> AtanTable =>
    [
        0xFFAA_DDB9_67EF_4E36, 0xCB27_92DC_0E2E_0D51, 0xFEAD_D4D5_617B_6E32, 0xC897_989F_3E88_8EF8,
        0xBDCB_DA5E_72D8_1134, 0x7B0B_4F88_1C9C_7488, 0xFADB_AFC9_6406_EB15, 0x6DC7_9EF5_F7A2_17E6,
        0x9B13_B9B8_3F5E_5E69, 0xC5AB_B498_D27A_F328, 0xB7B0_CA0F_26F7_8473, 0x8AA3_2122_DCFE_4483,
        0xD327_761E_611F_E5B6, 0x427C_95E9_001E_7136, 0xED63_382B_0DDA_7B45, 0x6FE4_45EC_BC3A_8D03,
        0x832B_F4A6_D986_7E2A, 0x4B6A_09CB_61A5_15C1, 0x8F00_5D5E_F7F5_9F9B, 0x5C83_5E16_65C4_3748,
        0x9A2F_80E6_71BD_DA20, 0x4226_F8E2_204F_F3BD, 0xA4BC_7D19_34F7_0924, 0x19A8_7F2A_457D_AC9F,
        0xAEAC_4C38_B4D8_C080, 0x1472_5E2F_3E52_070A, 0xB805_3E2B_C231_9E73, 0xCB2D_A552_10A4_443D,
        0xC0CE_85B8_AC52_6640, 0x89DD_62C4_6E92_FA25, 0xC90F_DAA2_2168_C234, 0xC4C6_628B_80DC_1CD1,
    ];

    /// <summary>pi * numerator / 4.</summary>
    public static WideFloat QuarterPi(uint numerator) => (Pi * WideFloat.FromInteger((int)numerator)).Scale(-2);

    /// <summary>Reduces |x| below 2^63 to within pi/4 of a multiple of pi/2, exactly; <paramref name="quadrant"/> is that multiple mod 4.</summary>
    public static WideFloat ReduceByHalfPi(Unpacked x, out int quadrant)
    {
        quadrant = 0;
        if (x.Exponent < -1)
        {
            return WideFloat.FromUnpacked(x);
        }

        // x in units of 2^-67 is the significand shifted by 3 and then once for each step of the exponent from -1 up.
        UInt128 modulus = HalfPi66;
        UInt128 rest = (UInt128)x.Significand << 3;
        for (int i = -1; i < x.Exponent; i++)
        {
            rest <<= 1;
            quadrant <<= 1;
            if (rest >= modulus)
            {
                rest -= modulus;
                quadrant++;
            }
        }

        bool negative = x.Sign;
        if (rest > modulus >> 1)
        {
            rest = modulus - rest;
            negative = !negative;
            quadrant++;
        }

        quadrant = (x.Sign ? -quadrant : quadrant) & 3;
        if (rest == 0)
        {
            return default;
        }

        int zeros = (int)UInt128.LeadingZeroCount(rest);
        return new(negative, 127 - zeros - 67, rest << zeros);
    }

    /// <summary>Sine of |x| up to pi/4, by its Taylor series.</summary>
    public static WideFloat Sin(WideFloat x) => AlternatingSeries(x, x * x, 2);

    public static WideFloat Cos(WideFloat x) => AlternatingSeries(WideFloat.One, x * x, 1);

    public static WideFloat Tan(WideFloat x, int quadrant)
    {
        // So close to zero the tangent exceeds the angle by less than the precision of a quotient.
        const int tiny = -66;
        if (x.Exponent < tiny && (quadrant & 1) == 0)
        {
            return x;
        }

        return (quadrant & 1) == 0 ? Sin(x) / Cos(x) : -(Cos(x) / Sin(x));
    }

    /// <summary>Angle of the point (x, y), in the quadrants of atan2; neither is zero.</summary>
    public static WideFloat Atan2(WideFloat y, WideFloat x)
    {
        WideFloat opposite = y.Magnitude;
        WideFloat adjacent = x.Magnitude;
        bool steep = IsGreater(opposite, adjacent);
        WideFloat angle = steep ? QuarterPi(2) - AtanRatio(adjacent, opposite) : AtanRatio(opposite, adjacent);
        if (x.Sign)
        {
            angle = Pi - angle;
        }

        return y.Sign ? -angle : angle;
    }

    /// <summary>log2 of a positive number.</summary>
    public static WideFloat Log2(WideFloat x)
    {
        // Centre the significand on 1: above sqrt(2) take half of it.
        const ulong squareRootOf2 = 0xB504_F333_F9DE_6484;
        int exponent = x.Exponent;
        WideFloat m = x.Scale(-exponent);
        if ((ulong)(x.Significand >> 64) > squareRootOf2)
        {
            m = m.Scale(-1);
            exponent++;
        }

        WideFloat ratio = (m - WideFloat.One) / (m + WideFloat.One);
        return WideFloat.FromInteger(exponent) + Log2FromRatio(ratio);
    }

    /// <summary>log2(1 + x) for x above -1; without cancellation where |x| is below 1/2.</summary>
    public static WideFloat Log2Plus1(WideFloat x) => x.Exponent < -1
        ? Log2FromRatio(x / (x + WideFloat.One.Scale(1)))
        : Log2(x + WideFloat.One);

    /// <summary>2^x - 1 for |x| up to 1, by the series of the exponential.</summary>
    public static WideFloat Exp2Minus1(WideFloat x)
    {
        WideFloat t = x * Ln2;
        WideFloat term = t;
        WideFloat sum = t;
        for (uint n = 2; !IsNegligible(term, sum); n++)
        {
            term = term * t / n;
            sum += term;
        }

        return sum.Towards(term);
    }

    /// <summary>first - first * square / (k (k + 1)) + ..., k advancing by two: the series of sine and cosine.</summary>
    private static WideFloat AlternatingSeries(WideFloat first, WideFloat square, uint k)
    {
        WideFloat term = first;
        WideFloat sum = first;
        for (; !IsNegligible(term, sum); k += 2)
        {
            term = -(term * square / (k * (k + 1)));
            sum += term;
        }

        return sum.Towards(term);
    }

    /// <summary>2 / ln 2 * atanh(ratio).</summary>
    private static WideFloat Log2FromRatio(WideFloat ratio) => OddPowers(ratio, alternating: false) * Log2E.Scale(1);

    /// <summary>atan(opposite / adjacent) for a ratio up to 1: the nearest sixteenth from a table, the rest by series.</summary>
    private static WideFloat AtanRatio(WideFloat opposite, WideFloat adjacent)
    {
        int distance = adjacent.Exponent - opposite.Exponent;
        int sixteenths = distance > 6 ? 0 : (int)Math.Round(16 * Approximate(opposite, -distance) / Approximate(adjacent, 0));
        if (sixteenths == 0)
        {
            return OddPowers(opposite / adjacent, alternating: true);
        }

        WideFloat k = WideFloat.FromInteger(sixteenths);
        WideFloat rest = (opposite.Scale(4) - (adjacent * k)) / (adjacent.Scale(4) + (opposite * k));
        return AtanOfSixteenths(sixteenths) + OddPowers(rest, alternating: true);
    }

    /// <summary>The leading bits, as a number in [1, 2) scaled by 2^exponent.</summary>
    private static double Approximate(WideFloat value, int exponent) =>
        Math.ScaleB((double)(ulong)(value.Significand >> 75) / (1UL << 52), exponent);

    /// <summary>x +- x^3/3 + x^5/5 +- ...</summary>
    private static WideFloat OddPowers(WideFloat x, bool alternating)
    {
        WideFloat square = alternating ? -(x * x) : x * x;
        WideFloat power = x;
        WideFloat sum = x;
        for (uint n = 3; !IsNegligible(power, sum); n += 2)
        {
            power *= square;
            sum += power / n;
        }

        return sum.Towards(power);
    }

    private static bool IsNegligible(WideFloat term, WideFloat sum) =>
        term.IsZero || (!sum.IsZero && term.Exponent < sum.Exponent - NegligibleBits);

    private static bool IsGreater(WideFloat left, WideFloat right) =>
        left.Exponent > right.Exponent || (left.Exponent == right.Exponent && left.Significand > right.Significand);

    private static WideFloat AtanOfSixteenths(int k)
    {
        int exponent = k switch
        {
            1 => -5,
            2 => -4,
            3 or 4 => -3,
            <= 8 => -2,
            _ => -1,
        };
        return new(false, exponent, new(AtanTable[2 * (k - 1)], AtanTable[(2 * (k - 1)) + 1]));
    }
}
