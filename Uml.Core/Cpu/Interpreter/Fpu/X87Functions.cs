using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Fpu;

/// <summary>Instructions that are one of the <see cref="X87"/> functions with some arguments fixed.</summary>
internal static class X87Functions
{
    /// <summary>FST ST(i).</summary>
    public static void Store(ref X87State state, int index) => X87.StoreRegister(ref state, index, pop: false);

    /// <summary>FSTP ST(i).</summary>
    public static void StorePop(ref X87State state, int index) => X87.StoreRegister(ref state, index, pop: true);

    /// <summary>The alias of FSTP at D9 D8: does not check whether ST(0) is empty.</summary>
    public static void StorePopUnchecked(ref X87State state, int index) => X87.StoreRegisterUnchecked(ref state, index);

    /// <summary>FCOM ST(i).</summary>
    public static void Compare(ref X87State state, int index) => X87.CompareRegister(ref state, index, signaling: true, pops: 0);

    /// <summary>FCOMP ST(i).</summary>
    public static void ComparePop(ref X87State state, int index) => X87.CompareRegister(ref state, index, signaling: true, pops: 1);

    /// <summary>FCOMPP.</summary>
    public static void ComparePopTwice(ref X87State state) => X87.CompareRegister(ref state, 1, signaling: true, pops: 2);

    /// <summary>FUCOM ST(i).</summary>
    public static void CompareQuiet(ref X87State state, int index) => X87.CompareRegister(ref state, index, signaling: false, pops: 0);

    /// <summary>FUCOMP ST(i).</summary>
    public static void CompareQuietPop(ref X87State state, int index) => X87.CompareRegister(ref state, index, signaling: false, pops: 1);

    /// <summary>FUCOMPP.</summary>
    public static void CompareQuietPopTwice(ref X87State state) => X87.CompareRegister(ref state, 1, signaling: false, pops: 2);

    /// <summary>FPREM.</summary>
    public static void Remainder(ref X87State state) => X87.Remainder(ref state, nearest: false);

    /// <summary>FPREM1.</summary>
    public static void RemainderNearest(ref X87State state) => X87.Remainder(ref state, nearest: true);
}
