using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics;

/// <summary>A double-width product: each half zero-extended from the operand width.</summary>
internal readonly record struct Wide(ulong High, ulong Low);

/// <summary>Integer multiplication and division (Intel SDM vol. 2, MUL, IMUL, DIV, IDIV).</summary>
// SAFETY: s is a live processor's state (the handler contract, see Op), of which only flags are touched; T is an integer type.
internal static unsafe class MultiplyDivide
{
    public static Wide Multiply<T>(ulong a, ulong b) where T : unmanaged
    {
        if (sizeof(T) == 8)
        {
            ulong high = Math.BigMul(a, b, out ulong low);
            return new Wide(high, low);
        }

        return Split<T>(a * b);
    }

    public static Wide MultiplySigned<T>(ulong a, ulong b) where T : unmanaged
    {
        if (sizeof(T) == 8)
        {
            long high = Math.BigMul((long)a, (long)b, out long low);
            return new Wide((ulong)high, (ulong)low);
        }

        return Split<T>(Flags.SignExtend<T>(a) * Flags.SignExtend<T>(b));
    }

    /// <summary>
    /// CF and OF are set if the upper half is significant; SF, ZF and PF follow the lower half (undefined by the manual).
    /// </summary>
    public static void SetFlags<T>(CpuState* s, ulong low, bool significant) where T : unmanaged =>
        Flags.SetResult<T>(s, low, significant, significant);

    /// <summary>Divides high:low.</summary>
    /// <returns>False for #DE: division by zero, or a quotient that does not fit.</returns>
    public static bool Divide<T>(ulong high, ulong low, ulong divisor, bool signed, out ulong quotient, out ulong remainder)
        where T : unmanaged
    {
        quotient = remainder = 0;
        if (divisor == 0)
        {
            return false;
        }

        if (sizeof(T) == 8)
        {
            return signed
                ? DivideSigned128(high, low, (long)divisor, out quotient, out remainder)
                : Divide128(high, low, divisor, out quotient, out remainder);
        }

        int width = sizeof(T) * 8;
        ulong dividend = (high << width) | low;
        if (!signed)
        {
            quotient = dividend / divisor;
            remainder = dividend % divisor;
            return quotient >> width == 0;
        }

        long wide = sizeof(T) switch { 1 => (short)dividend, 2 => (int)dividend, _ => (long)dividend };
        long by = (long)Flags.SignExtend<T>(divisor);
        if (wide == long.MinValue && by == -1)
        {
            return false;
        }

        long q = wide / by;
        quotient = (ulong)q;
        remainder = (ulong)(wide % by);
        return (long)Flags.SignExtend<T>(quotient) == q;
    }

    private static Wide Split<T>(ulong product) where T : unmanaged
    {
        int width = sizeof(T) * 8;
        ulong mask = (1UL << width) - 1;
        return new Wide((product >> width) & mask, product & mask);
    }

    private static bool Divide128(ulong high, ulong low, ulong divisor, out ulong quotient, out ulong remainder)
    {
        quotient = remainder = 0;
        if (high >= divisor)
        {
            return false;
        }

        if (high == 0)
        {
            (quotient, remainder) = Math.DivRem(low, divisor);
            return true;
        }

        UInt128 dividend = new(high, low);
        UInt128 q = dividend / divisor;
        quotient = (ulong)q;
        remainder = (ulong)(dividend - (q * divisor));
        return true;
    }

    private static bool DivideSigned128(ulong high, ulong low, long divisor, out ulong quotient, out ulong remainder)
    {
        bool negative = (long)high < 0;
        UInt128 dividend = new(high, low);
        dividend = negative ? 0 - dividend : dividend;
        ulong magnitude = divisor < 0 ? 0 - (ulong)divisor : (ulong)divisor;
        if (!Divide128((ulong)(dividend >> 64), (ulong)dividend, magnitude, out quotient, out remainder))
        {
            return false;
        }

        bool negativeQuotient = negative != divisor < 0;
        ulong limit = negativeQuotient ? 1UL << 63 : (1UL << 63) - 1;
        if (quotient > limit)
        {
            return false;
        }

        quotient = negativeQuotient ? 0 - quotient : quotient;
        remainder = negative ? 0 - remainder : remainder;
        return true;
    }
}
