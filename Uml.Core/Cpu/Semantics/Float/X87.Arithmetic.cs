using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>The two-operand operations, in the order of the opcode's reg field.</summary>
internal enum X87Operation
{
    Add = 0,
    Multiply = 1,
    Subtract = 4,
    SubtractReversed = 5,
    Divide = 6,
    DivideReversed = 7,
}

internal static partial class X87
{
    /// <summary>FADD ST(dst), ST(src) and relatives: dst = dst op src; the P forms pop.</summary>
    public static void ArithmeticRegisters(ref X87State state, X87Operation operation, int destination, int source, bool pop)
    {
        bool missing = state.IsEmpty(source);
        bool done = Arithmetic(ref state, operation, destination, UnpackSt(ref state, source), missing);
        if (done && pop)
        {
            Pop(ref state);
        }
    }

    /// <summary>FADD m32fp and relatives on ST(0).</summary>
    public static void ArithmeticFloat32(ref X87State state, X87Operation operation, uint bits) =>
        Arithmetic(ref state, operation, 0, Format32.Unpack(bits, false), false);

    /// <summary>FADD m64fp and relatives on ST(0).</summary>
    public static void ArithmeticFloat64(ref X87State state, X87Operation operation, ulong bits) =>
        Arithmetic(ref state, operation, 0, Format64.Unpack(bits, false), false);

    /// <summary>FIADD m16int, m32int and relatives on ST(0).</summary>
    public static void ArithmeticInteger(ref X87State state, X87Operation operation, int value)
    {
        FloatContext exact = FloatContext.FromControlWord(state.ControlWord);
        Float80 converted = SoftFloat.FromInteger<Format80, Float80>(value, ref exact);
        Arithmetic(ref state, operation, 0, Format80.Unpack(converted, false), false);
    }

    public static void SquareRoot(ref X87State state)
    {
        if (!RequireSt0(ref state))
        {
            return;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        context.Precision = FloatContext.PrecisionOf(state.ControlWord);
        Finish(ref state, 0, SoftFloat.SquareRoot<Format80, Float80>(state.St(0), ref context), in context);
    }

    public static void Absolute(ref X87State state)
    {
        if (RequireSt0(ref state))
        {
            state.St(0).SignExponent &= 0x7FFF;
            SetConditions(ref state, 0, C1);
        }
    }

    public static void ChangeSign(ref X87State state)
    {
        if (RequireSt0(ref state))
        {
            state.St(0).SignExponent ^= 0x8000;
            SetConditions(ref state, 0, C1);
        }
    }

    /// <summary>FRNDINT.</summary>
    public static void RoundToInteger(ref X87State state)
    {
        if (!RequireSt0(ref state))
        {
            return;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Unpacked a = UnpackSt(ref state, 0);
        SoftFloat.RaiseDenormal(a, a, ref context);
        Finish(ref state, 0, SoftFloat.RoundToIntegral<Format80, Float80>(state.St(0), context.Rounding, ref context), in context);
    }

    /// <summary>FSCALE.</summary>
    public static void Scale(ref X87State state)
    {
        if (!RequireSt0AndSt1(ref state))
        {
            return;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Finish(ref state, 0, SoftFloat.Scale(UnpackSt(ref state, 0), UnpackSt(ref state, 1), ref context), in context);
    }

    /// <summary>FXTRACT: the exponent replaces ST(0), then the significand is pushed.</summary>
    public static void Extract(ref X87State state)
    {
        if (state.IsEmpty(0) || !state.IsEmpty(7))
        {
            if (RaiseStackFault(ref state, overflow: !state.IsEmpty(0)))
            {
                SetRegister(ref state, 0, Float80.Indefinite);
                Push(ref state, Float80.Indefinite);
            }

            return;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Float80 significand = SoftFloat.Extract(UnpackSt(ref state, 0), ref context, out Float80 exponent);
        if (Finish(ref state, 0, exponent, in context))
        {
            Push(ref state, significand);
        }
    }

    /// <summary>FPREM, FPREM1 when <paramref name="nearest"/>.</summary>
    public static void Remainder(ref X87State state, bool nearest)
    {
        SetConditions(ref state, 0, C2);
        if (!RequireSt0AndSt1(ref state))
        {
            return;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Float80 result = SoftFloat.Remainder(UnpackSt(ref state, 0), UnpackSt(ref state, 1), nearest, ref context, out int quotient, out bool partial);
        if (Finish(ref state, 0, result, in context) && quotient >= 0)
        {
            int conditions = ((quotient & 4) != 0 ? C0 : 0) | ((quotient & 2) != 0 ? C3 : 0) | ((quotient & 1) != 0 ? C1 : 0);
            SetConditions(ref state, partial ? C2 : conditions, Conditions);
        }
    }

    /// <summary>Performs ST(dst) = ST(dst) op source; false if an unmasked exception suppressed it.</summary>
    private static bool Arithmetic(ref X87State state, X87Operation operation, int destination, Unpacked source, bool sourceEmpty)
    {
        if (sourceEmpty || state.IsEmpty(destination))
        {
            if (!RaiseStackFault(ref state, overflow: false))
            {
                return false;
            }

            SetRegister(ref state, destination, Float80.Indefinite);
            return true;
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        context.Precision = FloatContext.PrecisionOf(state.ControlWord);
        Unpacked a = UnpackSt(ref state, destination);
        Float80 result = operation switch
        {
            X87Operation.Add => SoftFloat.AddUnpacked<Format80, Float80>(a, source, false, ref context),
            X87Operation.Multiply => SoftFloat.MultiplyUnpacked<Format80, Float80>(a, source, ref context),
            X87Operation.Subtract => SoftFloat.AddUnpacked<Format80, Float80>(a, source, true, ref context),
            X87Operation.SubtractReversed => SoftFloat.AddUnpacked<Format80, Float80>(source, a, true, ref context),
            X87Operation.Divide => SoftFloat.DivideUnpacked<Format80, Float80>(a, source, ref context),
            _ => SoftFloat.DivideUnpacked<Format80, Float80>(source, a, ref context),
        };
        return Finish(ref state, destination, result, in context);
    }

    private static bool Finish(ref X87State state, int index, Float80 result, in FloatContext context)
    {
        if (!Complete(ref state, in context))
        {
            return false;
        }

        state.St(index) = result;
        return true;
    }

    /// <summary>False after stack underflow, whose masked response leaves the indefinite in ST(0).</summary>
    private static bool RequireSt0(ref X87State state)
    {
        if (!state.IsEmpty(0))
        {
            return true;
        }

        if (RaiseStackFault(ref state, overflow: false))
        {
            SetRegister(ref state, 0, Float80.Indefinite);
        }

        return false;
    }

    private static bool RequireSt0AndSt1(ref X87State state)
    {
        if (!state.IsEmpty(0) && !state.IsEmpty(1))
        {
            return true;
        }

        if (RaiseStackFault(ref state, overflow: false))
        {
            SetRegister(ref state, 0, Float80.Indefinite);
        }

        return false;
    }
}
