using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class X87
{
    /// <summary>FSIN.</summary>
    public static void Sine(ref X87State state) => SineOrCosine(ref state, cosine: false);

    /// <summary>FCOS.</summary>
    public static void Cosine(ref X87State state) => SineOrCosine(ref state, cosine: true);

    /// <summary>FSINCOS: the sine replaces ST(0), then the cosine is pushed.</summary>
    public static void SineAndCosine(ref X87State state)
    {
        if (!BeginAngle(ref state, pushes: true, out Unpacked x))
        {
            return;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Float80 sine = SineOf(x, false, ref context);
        Float80 cosine = SineOf(x, true, ref context);
        if (Finish(ref state, 0, sine, in context))
        {
            Push(ref state, cosine);
        }
    }

    /// <summary>FPTAN: the tangent replaces ST(0), then 1.0 is pushed.</summary>
    public static void Tangent(ref X87State state)
    {
        if (!BeginAngle(ref state, pushes: true, out Unpacked x))
        {
            return;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Float80 tangent = TangentOf(x, ref context);
        if (Finish(ref state, 0, tangent, in context))
        {
            Push(ref state, x.IsNaN || x.Kind == FloatClass.Infinity ? tangent : new Float80(0x3FFF, Unpacked.IntegerBit));
        }
    }

    /// <summary>FPATAN: ST(1) = angle of the point (ST(0), ST(1)), then pops.</summary>
    public static void ArcTangent(ref X87State state) => TwoOperands(ref state, TwoOperandFunction.ArcTangent);

    /// <summary>FYL2X: ST(1) = ST(1) * log2(ST(0)), then pops.</summary>
    public static void TimesLog2(ref X87State state) => TwoOperands(ref state, TwoOperandFunction.TimesLog2);

    /// <summary>FYL2XP1: ST(1) = ST(1) * log2(ST(0) + 1), then pops.</summary>
    public static void TimesLog2Plus1(ref X87State state) => TwoOperands(ref state, TwoOperandFunction.TimesLog2Plus1);

    /// <summary>F2XM1: 2^ST(0) - 1 for |ST(0)| up to 1; beyond that the result is undefined, and here the operand stays.</summary>
    public static void Exp2Minus1(ref X87State state)
    {
        if (!RequireSt0(ref state))
        {
            return;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Unpacked x = UnpackSt(ref state, 0);
        Float80 result = state.St(0);
        if (x.IsNaN)
        {
            result = SoftFloat.PackNaN<Format80, Float80>(SoftFloat.PropagateNaN(x, x, ref context));
        }
        else if (x.Kind == FloatClass.Infinity)
        {
            result = x.Sign ? new Float80(0xBFFF, Unpacked.IntegerBit) : result;
        }
        else if (x.IsNumber)
        {
            SoftFloat.RaiseDenormal(x, x, ref context);
            bool isMinusOne = x.Sign && x.Exponent == 0 && x.Significand == Unpacked.IntegerBit;
            result = x.Exponent < 0 || isMinusOne
                ? Transcendental.Exp2Minus1(WideFloat.FromUnpacked(x)).RoundInexact(ref context)
                : OutOfRange(x, ref context);
        }

        Finish(ref state, 0, result, in context);
    }

    /// <summary>Where the SDM leaves the result undefined, AMD processors deliver the operand as an inexact result.</summary>
    private static Float80 OutOfRange(Unpacked x, ref FloatContext context)
    {
        context.Flags |= FloatFlags.Precision;
        return Format80.Pack(x.Sign, x.Exponent + Format80.MaxExponent, x.Significand);
    }

    private static void SineOrCosine(ref X87State state, bool cosine)
    {
        if (BeginAngle(ref state, pushes: false, out Unpacked x))
        {
            FloatContext context = FloatContext.FromControlWord(state.ControlWord);
            Finish(ref state, 0, SineOf(x, cosine, ref context), in context);
        }
    }

    /// <summary>Checks the stack and the range; false when the instruction is already complete.</summary>
    private static bool BeginAngle(ref X87State state, bool pushes, out Unpacked x)
    {
        x = UnpackSt(ref state, 0);
        SetConditions(ref state, 0, C2);
        if (state.IsEmpty(0) || (pushes && !state.IsEmpty(7)))
        {
            if (RaiseStackFault(ref state, overflow: !state.IsEmpty(0)))
            {
                SetRegister(ref state, 0, Float80.Indefinite);
                if (pushes)
                {
                    Push(ref state, Float80.Indefinite);
                }
            }

            return false;
        }

        if (x.Kind == FloatClass.Normal && x.Exponent >= 63)
        {
            SetConditions(ref state, C2, C1 | C2);
            return false;
        }

        return true;
    }

    private static Float80 SineOf(Unpacked x, bool cosine, ref FloatContext context)
    {
        if (x.IsNaN)
        {
            return SoftFloat.PackNaN<Format80, Float80>(SoftFloat.PropagateNaN(x, x, ref context));
        }

        if (x.Kind == FloatClass.Infinity)
        {
            return SoftFloat.Invalid<Format80, Float80>(ref context);
        }

        if (x.Kind == FloatClass.Zero)
        {
            return cosine ? new Float80(0x3FFF, Unpacked.IntegerBit) : SoftFloat.PackZero<Format80, Float80>(x.Sign);
        }

        SoftFloat.RaiseDenormal(x, x, ref context);
        WideFloat rest = Transcendental.ReduceByHalfPi(x, out int quadrant);
        return SineInQuadrant(rest, quadrant + (cosine ? 1 : 0)).RoundInexact(ref context);
    }

    private static Float80 TangentOf(Unpacked x, ref FloatContext context)
    {
        if (!x.IsNumber)
        {
            return SineOf(x, false, ref context);
        }

        SoftFloat.RaiseDenormal(x, x, ref context);
        WideFloat rest = Transcendental.ReduceByHalfPi(x, out int quadrant);
        return Transcendental.Tan(rest, quadrant).RoundInexact(ref context);
    }

    private static WideFloat SineInQuadrant(WideFloat rest, int quadrant)
    {
        WideFloat value = (quadrant & 1) == 0 ? Transcendental.Sin(rest) : Transcendental.Cos(rest);
        return (quadrant & 2) == 0 ? value : -value;
    }

    private enum TwoOperandFunction
    {
        ArcTangent,
        TimesLog2,
        TimesLog2Plus1,
    }

    /// <summary>ST(1) = f(ST(0), ST(1)), then pops.</summary>
    private static void TwoOperands(ref X87State state, TwoOperandFunction function)
    {
        if (state.IsEmpty(0) || state.IsEmpty(1))
        {
            if (RaiseStackFault(ref state, overflow: false))
            {
                SetRegister(ref state, 1, Float80.Indefinite);
                Pop(ref state);
            }

            return;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Unpacked x = UnpackSt(ref state, 0);
        Unpacked y = UnpackSt(ref state, 1);
        Float80 result;
        if (x.IsNaN || y.IsNaN)
        {
            result = SoftFloat.PackNaN<Format80, Float80>(SoftFloat.PropagateNaN(x, y, ref context));
        }
        else
        {
            result = function switch
            {
                TwoOperandFunction.ArcTangent => ArcTangentOf(x, y, ref context),
                TwoOperandFunction.TimesLog2 => TimesLog2Of(x, y, ref context),
                _ => TimesLog2Plus1Of(x, y, ref context),
            };
        }

        if (Finish(ref state, 1, result, in context))
        {
            Pop(ref state);
        }
    }

    /// <summary>SDM vol. 2A, FPATAN table 3-30.</summary>
    private static Float80 ArcTangentOf(Unpacked x, Unpacked y, ref FloatContext context)
    {
        SoftFloat.RaiseDenormal(x, y, ref context);
        if (y.Kind == FloatClass.Infinity)
        {
            return Angle(y.Sign, x.Kind != FloatClass.Infinity ? 2u : x.Sign ? 3u : 1u, ref context);
        }

        if (y.Kind == FloatClass.Zero || x.Kind == FloatClass.Infinity)
        {
            return x.Sign ? Angle(y.Sign, 4, ref context) : SoftFloat.PackZero<Format80, Float80>(y.Sign);
        }

        return x.Kind == FloatClass.Zero
            ? Angle(y.Sign, 2, ref context)
            : Transcendental.Atan2(WideFloat.FromUnpacked(y), WideFloat.FromUnpacked(x)).RoundInexact(ref context);
    }

    private static Float80 Angle(bool sign, uint quarters, ref FloatContext context)
    {
        WideFloat angle = Transcendental.QuarterPi(quarters);
        return (sign ? -angle : angle).RoundInexact(ref context);
    }

    /// <summary>SDM vol. 2A, FYL2X table 3-58.</summary>
    private static Float80 TimesLog2Of(Unpacked x, Unpacked y, ref FloatContext context)
    {
        if (x.Kind == FloatClass.Zero)
        {
            if (y.Kind == FloatClass.Zero)
            {
                return SoftFloat.Invalid<Format80, Float80>(ref context);
            }

            context.Flags |= y.IsNumber ? FloatFlags.ZeroDivide : 0;
            return SoftFloat.PackInfinity<Format80, Float80>(!y.Sign);
        }

        bool isOne = x.Kind == FloatClass.Normal && x.Exponent == 0 && x.Significand == Unpacked.IntegerBit;
        if (x.Sign || (isOne && y.Kind == FloatClass.Infinity) || (x.Kind == FloatClass.Infinity && y.Kind == FloatClass.Zero))
        {
            return SoftFloat.Invalid<Format80, Float80>(ref context);
        }

        SoftFloat.RaiseDenormal(x, y, ref context);
        if (isOne)
        {
            return SoftFloat.PackZero<Format80, Float80>(y.Sign);
        }

        if (x.Kind == FloatClass.Infinity)
        {
            return SoftFloat.PackInfinity<Format80, Float80>(y.Sign);
        }

        WideFloat log = Transcendental.Log2(WideFloat.FromUnpacked(x));
        return TimesLog(log, y, x.Significand == Unpacked.IntegerBit, ref context);
    }

    /// <summary>SDM vol. 2A, FYL2XP1 table 3-60.</summary>
    private static Float80 TimesLog2Plus1Of(Unpacked x, Unpacked y, ref FloatContext context)
    {
        if (x.Kind == FloatClass.Zero)
        {
            if (y.Kind == FloatClass.Infinity)
            {
                return SoftFloat.Invalid<Format80, Float80>(ref context);
            }

            SoftFloat.RaiseDenormal(x, y, ref context);
            return SoftFloat.PackZero<Format80, Float80>(x.Sign ^ y.Sign);
        }

        if (x.Kind == FloatClass.Infinity && (x.Sign || y.Kind == FloatClass.Zero))
        {
            return SoftFloat.Invalid<Format80, Float80>(ref context);
        }

        SoftFloat.RaiseDenormal(x, y, ref context);
        bool sign = x.Sign ^ y.Sign;
        if (x.Kind == FloatClass.Infinity || y.Kind == FloatClass.Infinity)
        {
            return SoftFloat.PackInfinity<Format80, Float80>(sign);
        }

        if (y.Kind == FloatClass.Zero)
        {
            return SoftFloat.PackZero<Format80, Float80>(sign);
        }

        return x.Sign && x.Exponent >= 0
            ? OutOfRange(x, ref context)
            : TimesLog(Transcendental.Log2Plus1(WideFloat.FromUnpacked(x)), y, false, ref context);
    }

    /// <summary>y times a logarithm that is not zero.</summary>
    private static Float80 TimesLog(WideFloat log, Unpacked y, bool exactLog, ref FloatContext context)
    {
        bool sign = log.Sign ^ y.Sign;
        if (y.Kind == FloatClass.Infinity)
        {
            return SoftFloat.PackInfinity<Format80, Float80>(sign);
        }

        if (y.Kind == FloatClass.Zero)
        {
            return SoftFloat.PackZero<Format80, Float80>(sign);
        }

        WideFloat product = log * WideFloat.FromUnpacked(y);
        if (!exactLog)
        {
            return product.RoundInexact(ref context);
        }

        // Processors report inexactness even for powers of two, where the result is exact.
        context.Flags |= FloatFlags.Precision;
        Float80 result = SoftFloat.Round<Format80, Float80>(
            sign, product.Exponent, (ulong)(product.Significand >> 64), (ulong)product.Significand, ref context);
        context.Flags |= result.BiasedExponent == 0 ? FloatFlags.Underflow : 0;
        return result;
    }
}
