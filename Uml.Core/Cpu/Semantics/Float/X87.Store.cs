using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class X87
{
    /// <summary>FST m32fp, FSTP when <paramref name="pop"/>.</summary>
    public static bool TryStoreFloat32(ref X87State state, bool pop, out uint bits)
    {
        if (state.IsEmpty(0))
        {
            bits = 0xFFC0_0000;
            return StoreUnderflow(ref state, pop);
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        bits = SoftFloat.Convert<Format80, Float80, Format32, uint>(state.St(0), ref context);
        return FinishFloatStore(ref state, pop, ref context);
    }

    /// <summary>FST m64fp, FSTP when <paramref name="pop"/>.</summary>
    public static bool TryStoreFloat64(ref X87State state, bool pop, out ulong bits)
    {
        if (state.IsEmpty(0))
        {
            bits = 0xFFF8_0000_0000_0000;
            return StoreUnderflow(ref state, pop);
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        bits = SoftFloat.Convert<Format80, Float80, Format64, ulong>(state.St(0), ref context);
        return FinishFloatStore(ref state, pop, ref context);
    }

    /// <summary>FSTP m80fp.</summary>
    public static bool TryStoreFloat80(ref X87State state, out Float80 value)
    {
        value = Float80.Indefinite;
        if (state.IsEmpty(0))
        {
            return StoreUnderflow(ref state, true);
        }

        value = state.St(0);
        SetConditions(ref state, 0, C1);
        Pop(ref state);
        return true;
    }

    /// <summary>FIST and FISTP of 16, 32 or 64 bits; FISTTP when <paramref name="truncate"/>.</summary>
    public static bool TryStoreInteger(ref X87State state, int width, bool truncate, bool pop, out long value)
    {
        if (state.IsEmpty(0))
        {
            value = long.MinValue >> (64 - width);
            return StoreUnderflow(ref state, pop);
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        FloatRounding rounding = truncate ? FloatRounding.Zero : context.Rounding;
        value = SoftFloat.ToInteger<Format80, Float80>(state.St(0), width, rounding, ref context);
        return FinishStore(ref state, pop, in context);
    }

    /// <summary>FBSTP; sign and digits 16, 17 in <paramref name="high"/>.</summary>
    public static bool TryStoreDecimal(ref X87State state, out ulong low, out ushort high)
    {
        if (state.IsEmpty(0))
        {
            (low, high) = SoftFloat.DecimalIndefinite;
            return StoreUnderflow(ref state, true);
        }

        FloatContext context = FloatContext.FromControlWord(state.ControlWord);
        (low, high) = SoftFloat.ToDecimal(state.St(0), ref context);
        return FinishStore(ref state, true, in context);
    }

    /// <summary>FST ST(i), FSTP when <paramref name="pop"/>.</summary>
    public static void StoreRegister(ref X87State state, int index, bool pop)
    {
        Float80 value = state.St(0);
        if (state.IsEmpty(0))
        {
            if (!RaiseStackFault(ref state, overflow: false))
            {
                return;
            }

            value = Float80.Indefinite;
        }
        else
        {
            SetConditions(ref state, 0, C1);
        }

        SetRegister(ref state, index, value);
        if (pop)
        {
            Pop(ref state);
        }
    }

    /// <summary>FSTPNCE ST(i) (D9 D8+i, undocumented; measured on Zen 3): FSTP that pops an empty ST(0) without an exception and without storing.</summary>
    public static void StoreRegisterUnchecked(ref X87State state, int index)
    {
        SetConditions(ref state, 0, C1);
        if (!state.IsEmpty(0))
        {
            SetRegister(ref state, index, state.St(0));
        }

        Pop(ref state);
    }

    private static bool StoreUnderflow(ref X87State state, bool pop)
    {
        if (!RaiseStackFault(ref state, overflow: false))
        {
            return false;
        }

        if (pop)
        {
            Pop(ref state);
        }

        return true;
    }

    private static bool FinishFloatStore(ref X87State state, bool pop, ref FloatContext context)
    {
        // A denormal register is no denormal-operand exception for a store (SDM vol. 2A, FST).
        context.Flags &= ~FloatFlags.Denormal;
        return FinishStore(ref state, pop, in context);
    }

    private static bool FinishStore(ref X87State state, bool pop, in FloatContext context)
    {
        if (!CompleteStore(ref state, in context))
        {
            return false;
        }

        if (pop)
        {
            Pop(ref state);
        }

        return true;
    }
}
