using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class X87
{
    /// <summary>FCOM ST(i) with <paramref name="pops"/> 0 to 2; FUCOM is the quiet form.</summary>
    public static void CompareRegister(ref X87State state, int index, bool signaling, int pops)
    {
        bool empty = state.IsEmpty(0) || state.IsEmpty(index);
        if (Compare(ref state, UnpackSt(ref state, index), empty, signaling))
        {
            for (int i = 0; i < pops; i++)
            {
                Pop(ref state);
            }
        }
    }

    /// <summary>FCOM m32fp, FCOMP when <paramref name="pop"/>.</summary>
    public static void CompareFloat32(ref X87State state, uint bits, bool pop) =>
        CompareMemory(ref state, Format32.Unpack(bits, false), pop);

    /// <summary>FCOM m64fp, FCOMP when <paramref name="pop"/>.</summary>
    public static void CompareFloat64(ref X87State state, ulong bits, bool pop) =>
        CompareMemory(ref state, Format64.Unpack(bits, false), pop);

    /// <summary>FICOM of a sign-extended m16int or m32int, FICOMP when <paramref name="pop"/>.</summary>
    public static void CompareInteger(ref X87State state, int value, bool pop)
    {
        FloatContext exact = FloatContext.FromControlWord(state.ControlWord);
        Float80 converted = SoftFloat.FromInteger<Format80, Float80>(value, ref exact);
        CompareMemory(ref state, Format80.Unpack(converted, false), pop);
    }

    /// <summary>FTST: compares ST(0) with 0.0.</summary>
    public static void Test(ref X87State state) => Compare(ref state, Unpacked.Zero(false), state.IsEmpty(0), true);

    /// <summary>
    /// FCOMI, FCOMIP, FUCOMI, FUCOMIP; returns ZF, PF and CF at their EFLAGS positions. An unmasked exception only prevents the pop.
    /// </summary>
    public static uint CompareToFlags(ref X87State state, int index, bool signaling, bool pop)
    {
        FloatRelation relation = FloatRelation.Unordered;
        bool completed;
        if (state.IsEmpty(0) || state.IsEmpty(index))
        {
            completed = RaiseStackFault(ref state, overflow: false);
        }
        else
        {
            // Without a stack fault C1 stays as it was on AMD processors; the SDM clears it.
            FloatContext context = FloatContext.FromControlWord(state.ControlWord);
            relation = SoftFloat.CompareUnpacked(UnpackSt(ref state, 0), UnpackSt(ref state, index), signaling, ref context);
            int kept = state.StatusWord & C1;
            completed = Complete(ref state, in context);
            SetConditions(ref state, kept, C1);
        }

        if (completed && pop)
        {
            Pop(ref state);
        }

        return SseFloat.FlagsOf(relation);
    }

    /// <summary>FXAM: class in C3, C2, C0 and sign in C1 (SDM vol. 2A, FXAM table 3-42).</summary>
    public static void Examine(ref X87State state)
    {
        Float80 value = state.St(0);
        int conditions = state.IsEmpty(0)
            ? C3 | C0
            : Format80.Unpack(value, false).Kind switch
            {
                FloatClass.Zero => C3,
                FloatClass.Denormal => C3 | C2,
                FloatClass.Normal => C2,
                FloatClass.Infinity => C2 | C0,
                FloatClass.Unsupported => 0,
                _ => C0,
            };
        SetConditions(ref state, conditions | (value.Sign ? C1 : 0), Conditions);
    }

    private static void CompareMemory(ref X87State state, Unpacked source, bool pop)
    {
        if (Compare(ref state, source, state.IsEmpty(0), true) && pop)
        {
            Pop(ref state);
        }
    }

    /// <summary>Sets C3, C2 and C0; false if an unmasked exception forbids popping.</summary>
    private static bool Compare(ref X87State state, Unpacked source, bool empty, bool signaling)
    {
        FloatRelation relation = FloatRelation.Unordered;
        bool completed;
        if (empty)
        {
            completed = RaiseStackFault(ref state, overflow: false);
        }
        else
        {
            FloatContext context = FloatContext.FromControlWord(state.ControlWord);
            relation = SoftFloat.CompareUnpacked(UnpackSt(ref state, 0), source, signaling, ref context);
            completed = Complete(ref state, in context);
        }

        int conditions = relation switch
        {
            FloatRelation.Less => C0,
            FloatRelation.Equal => C3,
            FloatRelation.Greater => 0,
            _ => C3 | C2 | C0,
        };
        SetConditions(ref state, conditions, Conditions);
        return completed;
    }
}
