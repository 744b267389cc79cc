using System.Runtime.CompilerServices;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>
/// IEEE 754 arithmetic with x86's choices: tininess detected after rounding, x86 NaN rules, and the six exception flags
/// (SDM vol. 1, chapter 4). One implementation serves binary32, binary64 and the x87 80-bit format.
/// </summary>
/// <remarks>Results are always the masked response, except where unmasked overflow and underflow change an x87 register's value.</remarks>
internal static partial class SoftFloat
{
    /// <summary>Exponent correction of the x87's unmasked overflow and underflow responses (SDM vol. 1, 8.5.4 and 8.5.5).</summary>
    public const int BiasAdjust = 0x6000;

    /// <summary>Rounds (-1)^sign * high.low * 2^(exponent - 63) to the format; bit 63 of <paramref name="high"/> is set.</summary>
    /// <remarks>
    /// Of <paramref name="low"/> it only matters whether it is zero, below, exactly or above one half: a set bit 0 may stand for any
    /// remainder.
    /// </remarks>
    public static TBits Round<TFormat, TBits>(bool sign, int exponent, ulong high, ulong low, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        int drop = 64 - PrecisionOf<TFormat, TBits>(in context);
        ulong kept = RoundSignificand(sign, high, low, drop, context.Rounding, out bool inexact, out bool up);
        int rounded = exponent;
        if (kept == 0)
        {
            kept = Unpacked.IntegerBit;
            rounded++;
        }

        if (rounded < TFormat.MinExponent)
        {
            return Underflow<TFormat, TBits>(sign, exponent, high, low, kept, rounded, inexact, up, ref context);
        }

        if (rounded > TFormat.MaxExponent)
        {
            return Overflow<TFormat, TBits>(sign, kept, rounded, inexact, up, ref context);
        }

        if (inexact)
        {
            context.Flags |= FloatFlags.Precision;
            context.RoundedUp = up;
        }

        return TFormat.Pack(sign, rounded + TFormat.MaxExponent, kept);
    }

    public static TBits PackZero<TFormat, TBits>(bool sign)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged => TFormat.Pack(sign, 0, 0);

    public static TBits PackInfinity<TFormat, TBits>(bool sign)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged => TFormat.Pack(sign, (TFormat.MaxExponent << 1) | 1, Unpacked.IntegerBit);

    public static TBits PackNaN<TFormat, TBits>(Unpacked value)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged =>
        TFormat.Pack(value.Sign, (TFormat.MaxExponent << 1) | 1, value.Significand | Unpacked.IntegerBit | Unpacked.QuietBit);

    /// <summary>Raises IE and delivers the real indefinite.</summary>
    public static TBits Invalid<TFormat, TBits>(ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        context.Flags |= FloatFlags.Invalid;
        return PackNaN<TFormat, TBits>(Unpacked.DefaultNaN);
    }

    /// <summary>Rounds to a left-aligned significand of 64 - <paramref name="drop"/> bits; zero means that it carried out to 2^64.</summary>
    internal static ulong RoundSignificand(
        bool sign, ulong high, ulong low, int drop, FloatRounding rounding, out bool inexact, out bool up)
    {
        ulong rest = low;
        ulong kept = high;
        if (drop != 0)
        {
            rest = (high << (64 - drop)) | (low != 0 ? 1UL : 0);
            kept = high >> drop << drop;
        }

        inexact = rest != 0;
        ulong unit = 1UL << drop;
        up = ShouldRoundUp(sign, rest, (kept & unit) != 0, rounding);
        return up ? kept + unit : kept;
    }

    /// <remarks><paramref name="rest"/> holds the discarded bits, left-aligned: bit 63 is worth one half.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool ShouldRoundUp(bool sign, ulong rest, bool odd, FloatRounding rounding) => rounding switch
    {
        FloatRounding.Nearest => rest > 1UL << 63 || (rest == 1UL << 63 && odd),
        FloatRounding.Down => sign && rest != 0,
        FloatRounding.Up => !sign && rest != 0,
        _ => false,
    };

    /// <summary>Shifts right, keeping in bit 0 of <paramref name="low"/> whether any set bit fell out.</summary>
    internal static void ShiftRightJam(ref ulong high, ref ulong low, int count)
    {
        if (count == 0)
        {
            return;
        }

        if (count < 64)
        {
            ulong lost = low << (64 - count);
            low = (high << (64 - count)) | (low >> count) | (lost != 0 ? 1UL : 0);
            high >>= count;
        }
        else if (count < 128)
        {
            int rest = count - 64;
            bool lost = low != 0 || (rest != 0 && high << (64 - rest) != 0);
            low = (high >> rest) | (lost ? 1UL : 0);
            high = 0;
        }
        else
        {
            low = (high | low) != 0 ? 1UL : 0;
            high = 0;
        }
    }

    private static int PrecisionOf<TFormat, TBits>(in FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged => TFormat.Precision == 64 ? context.Precision : TFormat.Precision;

    /// <summary>The rounded result, were the exponent unbounded, is tiny (SDM vol. 1, 4.9.1.5).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static TBits Underflow<TFormat, TBits>(
        bool sign, int exponent, ulong high, ulong low, ulong kept, int rounded, bool inexact, bool up, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        if (!context.IsMasked(FloatFlags.Underflow))
        {
            context.Flags |= FloatFlags.Underflow | (inexact ? FloatFlags.Precision : 0);
            context.RoundedUp = inexact && up;
            int adjusted = rounded + BiasAdjust;
            if (TFormat.Precision == 64 && adjusted >= TFormat.MinExponent)
            {
                return TFormat.Pack(sign, adjusted + TFormat.MaxExponent, kept);
            }

            // FSCALE can underflow beyond what the correction reaches (SDM vol. 1, 8.5.5). In the other formats nothing is stored.
            if (TFormat.Precision == 64)
            {
                context.Flags |= FloatFlags.Precision;
                context.RoundedUp = false;
            }

            return PackZero<TFormat, TBits>(sign);
        }

        if (context.FlushToZero)
        {
            context.Flags |= FloatFlags.Underflow | FloatFlags.Precision;
            return PackZero<TFormat, TBits>(sign);
        }

        ShiftRightJam(ref high, ref low, TFormat.MinExponent - exponent);
        int drop = 64 - PrecisionOf<TFormat, TBits>(in context);
        kept = RoundSignificand(sign, high, low, drop, context.Rounding, out inexact, out up);
        if (inexact)
        {
            context.Flags |= FloatFlags.Underflow | FloatFlags.Precision;
            context.RoundedUp = up;
        }

        return TFormat.Pack(sign, (int)(kept >> 63), kept);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static TBits Overflow<TFormat, TBits>(
        bool sign, ulong kept, int rounded, bool inexact, bool up, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        context.Flags |= FloatFlags.Overflow;
        if (!context.IsMasked(FloatFlags.Overflow))
        {
            context.Flags |= inexact ? FloatFlags.Precision : 0;
            context.RoundedUp = inexact && up;
            int adjusted = rounded - BiasAdjust;
            if (TFormat.Precision == 64 && adjusted <= TFormat.MaxExponent)
            {
                return TFormat.Pack(sign, adjusted + TFormat.MaxExponent, kept);
            }

            if (TFormat.Precision == 64)
            {
                context.Flags |= FloatFlags.Precision;
                context.RoundedUp = true;
            }

            return PackInfinity<TFormat, TBits>(sign);
        }

        context.Flags |= FloatFlags.Precision;
        bool toInfinity = context.Rounding switch
        {
            FloatRounding.Nearest => true,
            FloatRounding.Down => sign,
            FloatRounding.Up => !sign,
            _ => false,
        };
        context.RoundedUp = toInfinity;
        int drop = 64 - PrecisionOf<TFormat, TBits>(in context);
        return toInfinity
            ? PackInfinity<TFormat, TBits>(sign)
            : TFormat.Pack(sign, TFormat.MaxExponent << 1, ulong.MaxValue >> drop << drop);
    }
}
