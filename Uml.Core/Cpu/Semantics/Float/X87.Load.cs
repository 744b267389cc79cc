using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class X87
{
    /// <summary>FLD m32fp.</summary>
    public static void LoadFloat32(ref X87State state, uint bits)
    {
        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Float80 value = SoftFloat.Convert<Format32, uint, Format80, Float80>(bits, ref context);
        LoadConverted(ref state, value, in context);
    }

    /// <summary>FLD m64fp.</summary>
    public static void LoadFloat64(ref X87State state, ulong bits)
    {
        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        Float80 value = SoftFloat.Convert<Format64, ulong, Format80, Float80>(bits, ref context);
        LoadConverted(ref state, value, in context);
    }

    /// <summary>FLD m80fp; raises nothing but stack overflow.</summary>
    public static void LoadFloat80(ref X87State state, Float80 value) => LoadExact(ref state, value);

    /// <summary>FILD of a sign-extended m16int, m32int or m64int.</summary>
    public static void LoadInteger(ref X87State state, long value)
    {
        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        LoadExact(ref state, SoftFloat.FromInteger<Format80, Float80>(value, ref context));
    }

    /// <summary>FBLD; <paramref name="low"/> holds digits 0 to 15, <paramref name="high"/> digits 16 and 17 and the sign.</summary>
    public static void LoadDecimal(ref X87State state, ulong low, ushort high) =>
        LoadExact(ref state, SoftFloat.FromDecimal(low, high));

    /// <summary>FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ in opcode order; the constants obey RC (SDM vol. 1, 8.3.2).</summary>
    public static void LoadConstant(ref X87State state, int selector)
    {
        // Significands have 64 bits plus the bits that decide rounding: all of the irrational ones are inexact.
        (ushort exponent, ulong significand, bool roundsUpInNearest) = selector switch
        {
            0 => ((ushort)0x3FFF, 0x8000_0000_0000_0000UL, false),
            1 => ((ushort)0x4000, 0xD49A_784B_CD1B_8AFEUL, false),
            2 => ((ushort)0x3FFF, 0xB8AA_3B29_5C17_F0BBUL, true),
            3 => ((ushort)0x4000, 0xC90F_DAA2_2168_C234UL, true),
            4 => ((ushort)0x3FFD, 0x9A20_9A84_FBCF_F798UL, true),
            5 => ((ushort)0x3FFE, 0xB172_17F7_D1CF_79ABUL, true),
            _ => ((ushort)0, 0UL, false),
        };
        if (selector is >= 1 and <= 5)
        {
            bool up = ((state.ControlWord >> 10) & 3) switch
            {
                (int)FloatRounding.Nearest => roundsUpInNearest,
                (int)FloatRounding.Up => true,
                _ => false,
            };
            significand += up ? 1UL : 0;
        }

        LoadExact(ref state, new Float80(exponent, significand));
    }

    /// <summary>FLD ST(i).</summary>
    public static void LoadRegister(ref X87State state, int index)
    {
        if (state.IsEmpty(index))
        {
            if (RaiseStackFault(ref state, overflow: false))
            {
                Push(ref state, Float80.Indefinite);
            }

            return;
        }

        LoadExact(ref state, state.St(index));
    }

    /// <summary>FXCH ST(i).</summary>
    public static void Exchange(ref X87State state, int index)
    {
        if (state.IsEmpty(0) || state.IsEmpty(index))
        {
            if (!RaiseStackFault(ref state, overflow: false))
            {
                return;
            }

            FillEmpty(ref state, 0);
            FillEmpty(ref state, index);
        }

        SetConditions(ref state, 0, C1);
        (state.St(0), state.St(index)) = (state.St(index), state.St(0));
    }

    /// <summary>FCMOVcc ST(0), ST(i); the caller evaluates the condition.</summary>
    public static void ConditionalMove(ref X87State state, int index, bool condition)
    {
        if (state.IsEmpty(0) || state.IsEmpty(index))
        {
            // The masked response does not depend on the condition.
            if (RaiseStackFault(ref state, overflow: false))
            {
                SetRegister(ref state, 0, Float80.Indefinite);
            }

            return;
        }

        if (condition)
        {
            state.St(0) = state.St(index);
        }
    }

    private static void FillEmpty(ref X87State state, int index)
    {
        if (state.IsEmpty(index))
        {
            SetRegister(ref state, index, Float80.Indefinite);
        }
    }

    private static void LoadExact(ref X87State state, Float80 value)
    {
        if (!state.IsEmpty(7))
        {
            if (RaiseStackFault(ref state, overflow: true))
            {
                Push(ref state, Float80.Indefinite);
            }

            return;
        }

        SetConditions(ref state, 0, C1);
        Push(ref state, value);
    }

    private static void LoadConverted(ref X87State state, Float80 value, in FloatContext context)
    {
        // A denormal operand is loaded even when DE is unmasked; only a signaling NaN keeps the stack unchanged.
        if (state.IsEmpty(7) && !Complete(ref state, in context) && (context.Flags & FloatFlags.Invalid) != 0)
        {
            return;
        }

        LoadExact(ref state, value);
    }
}
