using System.Runtime.CompilerServices;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SoftFloat
{
    public static TBits Add<TFormat, TBits>(TBits left, TBits right, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged =>
        AddUnpacked<TFormat, TBits>(
            TFormat.Unpack(left, context.DenormalsAreZero), TFormat.Unpack(right, context.DenormalsAreZero), false, ref context);

    public static TBits Subtract<TFormat, TBits>(TBits left, TBits right, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged =>
        AddUnpacked<TFormat, TBits>(
            TFormat.Unpack(left, context.DenormalsAreZero), TFormat.Unpack(right, context.DenormalsAreZero), true, ref context);

    public static TBits Multiply<TFormat, TBits>(TBits left, TBits right, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged =>
        MultiplyUnpacked<TFormat, TBits>(
            TFormat.Unpack(left, context.DenormalsAreZero), TFormat.Unpack(right, context.DenormalsAreZero), ref context);

    public static TBits Divide<TFormat, TBits>(TBits left, TBits right, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged =>
        DivideUnpacked<TFormat, TBits>(
            TFormat.Unpack(left, context.DenormalsAreZero), TFormat.Unpack(right, context.DenormalsAreZero), ref context);

    public static TBits SquareRoot<TFormat, TBits>(TBits value, ref FloatContext context)
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

        if (a.Sign)
        {
            return Invalid<TFormat, TBits>(ref context);
        }

        if (a.Kind == FloatClass.Infinity)
        {
            return PackInfinity<TFormat, TBits>(false);
        }

        RaiseDenormal(a, a, ref context);
        ulong root = WideMath.SquareRoot(a.Significand, (a.Exponent & 1) != 0, out ulong low);
        return Round<TFormat, TBits>(false, a.Exponent >> 1, root, low, ref context);
    }

    public static TBits AddUnpacked<TFormat, TBits>(Unpacked a, Unpacked b, bool subtract, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        if (a.IsNaN || b.IsNaN)
        {
            return PackNaN<TFormat, TBits>(PropagateNaN(a, b, ref context));
        }

        bool signB = b.Sign ^ subtract;
        if (a.Kind == FloatClass.Infinity || b.Kind == FloatClass.Infinity)
        {
            if (a.Kind == b.Kind && a.Sign != signB)
            {
                return Invalid<TFormat, TBits>(ref context);
            }

            RaiseDenormal(a, b, ref context);
            return PackInfinity<TFormat, TBits>(a.Kind == FloatClass.Infinity ? a.Sign : signB);
        }

        RaiseDenormal(a, b, ref context);
        if (a.Kind == FloatClass.Zero && b.Kind == FloatClass.Zero)
        {
            return PackZero<TFormat, TBits>(a.Sign == signB ? a.Sign : context.Rounding == FloatRounding.Down);
        }

        if (b.Kind == FloatClass.Zero)
        {
            return Round<TFormat, TBits>(a.Sign, a.Exponent, a.Significand, 0, ref context);
        }

        if (a.Kind == FloatClass.Zero)
        {
            return Round<TFormat, TBits>(signB, b.Exponent, b.Significand, 0, ref context);
        }

        return a.Sign == signB
            ? AddMagnitudes<TFormat, TBits>(a, b, a.Sign, ref context)
            : SubtractMagnitudes<TFormat, TBits>(a, b, a.Sign, ref context);
    }

    public static TBits MultiplyUnpacked<TFormat, TBits>(Unpacked a, Unpacked b, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        bool sign = a.Sign ^ b.Sign;
        if (a.IsNumber && b.IsNumber)
        {
            RaiseDenormal(a, b, ref context);
            ulong high = Math.BigMul(a.Significand, b.Significand, out ulong low);
            int exponent = a.Exponent + b.Exponent + 1;
            if ((long)high >= 0)
            {
                high = (high << 1) | (low >> 63);
                low <<= 1;
                exponent--;
            }

            return Round<TFormat, TBits>(sign, exponent, high, low, ref context);
        }

        if (a.IsNaN || b.IsNaN)
        {
            return PackNaN<TFormat, TBits>(PropagateNaN(a, b, ref context));
        }

        bool anyZero = a.Kind == FloatClass.Zero || b.Kind == FloatClass.Zero;
        bool anyInfinity = a.Kind == FloatClass.Infinity || b.Kind == FloatClass.Infinity;
        if (anyZero && anyInfinity)
        {
            return Invalid<TFormat, TBits>(ref context);
        }

        RaiseDenormal(a, b, ref context);
        return anyZero ? PackZero<TFormat, TBits>(sign) : PackInfinity<TFormat, TBits>(sign);
    }

    public static TBits DivideUnpacked<TFormat, TBits>(Unpacked a, Unpacked b, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        bool sign = a.Sign ^ b.Sign;
        if (a.IsNumber && b.IsNumber)
        {
            RaiseDenormal(a, b, ref context);
            ulong quotient = WideMath.DivideSignificands(a.Significand, b.Significand, out ulong low, out int adjust);
            return Round<TFormat, TBits>(sign, a.Exponent - b.Exponent + adjust, quotient, low, ref context);
        }

        if (a.IsNaN || b.IsNaN)
        {
            return PackNaN<TFormat, TBits>(PropagateNaN(a, b, ref context));
        }

        if (a.Kind == b.Kind)
        {
            return Invalid<TFormat, TBits>(ref context);
        }

        if (b.Kind == FloatClass.Zero && a.Kind != FloatClass.Infinity)
        {
            context.Flags |= FloatFlags.ZeroDivide;
            return PackInfinity<TFormat, TBits>(sign);
        }

        RaiseDenormal(a, b, ref context);
        return a.Kind == FloatClass.Infinity || b.Kind == FloatClass.Zero
            ? PackInfinity<TFormat, TBits>(sign)
            : PackZero<TFormat, TBits>(sign);
    }

    /// <summary>Chooses the NaN that an operation with at least one NaN operand delivers, and raises IE (SDM vol. 1, table 4-7).</summary>
    public static Unpacked PropagateNaN(Unpacked a, Unpacked b, ref FloatContext context)
    {
        if (a.Kind == FloatClass.Unsupported || b.Kind == FloatClass.Unsupported)
        {
            context.Flags |= FloatFlags.Invalid;
            return Unpacked.DefaultNaN;
        }

        if (a.Kind == FloatClass.SignalingNaN || b.Kind == FloatClass.SignalingNaN)
        {
            context.Flags |= FloatFlags.Invalid;
        }

        if (!a.IsNaN)
        {
            return b.Quieted;
        }

        if (!b.IsNaN || !context.X87)
        {
            return a.Quieted;
        }

        if (a.Kind != b.Kind)
        {
            return a.Kind == FloatClass.QuietNaN ? a : b;
        }

        if (a.Significand == b.Significand)
        {
            return (a.Sign ? b : a).Quieted;
        }

        return (a.Significand > b.Significand ? a : b).Quieted;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void RaiseDenormal(Unpacked a, Unpacked b, ref FloatContext context)
    {
        if (a.Kind == FloatClass.Denormal || b.Kind == FloatClass.Denormal)
        {
            context.Flags |= FloatFlags.Denormal;
        }
    }

    private static TBits AddMagnitudes<TFormat, TBits>(Unpacked a, Unpacked b, bool sign, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        if (a.Exponent < b.Exponent)
        {
            (a, b) = (b, a);
        }

        ulong high = b.Significand;
        ulong low = 0;
        ShiftRightJam(ref high, ref low, a.Exponent - b.Exponent);
        int exponent = a.Exponent;
        high += a.Significand;
        if (high < a.Significand)
        {
            low = (high << 63) | (low >> 1) | (low & 1);
            high = (high >> 1) | Unpacked.IntegerBit;
            exponent++;
        }

        return Round<TFormat, TBits>(sign, exponent, high, low, ref context);
    }

    private static TBits SubtractMagnitudes<TFormat, TBits>(Unpacked a, Unpacked b, bool sign, ref FloatContext context)
        where TFormat : struct, IFloatFormat<TBits>
        where TBits : unmanaged
    {
        if (a.Exponent < b.Exponent || (a.Exponent == b.Exponent && a.Significand < b.Significand))
        {
            (a, b) = (b, a);
            sign = !sign;
        }

        ulong high = b.Significand;
        ulong low = 0;
        ShiftRightJam(ref high, ref low, a.Exponent - b.Exponent);

        // The jammed bit stands for a remainder below it; with 64 guard bits the difference keeps it as a set bit 0.
        high = a.Significand - high - (low != 0 ? 1UL : 0);
        low = 0 - low;
        if ((high | low) == 0)
        {
            return PackZero<TFormat, TBits>(context.Rounding == FloatRounding.Down);
        }

        int shift = WideMath.Normalize(ref high, ref low);
        return Round<TFormat, TBits>(sign, a.Exponent - shift, high, low, ref context);
    }
}
