using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Fpu;

// SAFETY: as in X87Binder.cs. A function and the handler that calls it are chosen together: Indexed for those that take an index, Implicit
// and NoWait for the others. R2 of constants is 0 to 6.
internal static unsafe partial class X87Binder
{
    /// <summary>Instructions with an operand ST(i), already in <see cref="Op.R2"/>.</summary>
    private static Handler BindX87Indexed(Mnemonic mnemonic, Op* op)
    {
        delegate*<ref X87State, int, void> function = mnemonic switch
        {
            Mnemonic.Fld => &X87.LoadRegister,
            Mnemonic.Fxch => &X87.Exchange,
            Mnemonic.Fst => &X87Functions.Store,
            Mnemonic.Fstp => &X87Functions.StorePop,
            Mnemonic.Fstpnce => &X87Functions.StorePopUnchecked,
            Mnemonic.Fcom => &X87Functions.Compare,
            Mnemonic.Fcomp => &X87Functions.ComparePop,
            Mnemonic.Fucom => &X87Functions.CompareQuiet,
            Mnemonic.Fucomp => &X87Functions.CompareQuietPop,
            Mnemonic.Ffree => &X87.Free,
            Mnemonic.Ffreep => &X87.FreeAndPop,
            _ => null,
        };
        if (function != null)
        {
            op->Imm = (long)function;
            return &X87Handlers.Indexed;
        }

        return BindX87Flags(mnemonic, op);
    }

    /// <summary>Instructions that read or write RFLAGS.</summary>
    private static Handler BindX87Flags(Mnemonic mnemonic, Op* op)
    {
        uint condition = mnemonic switch
        {
            Mnemonic.Fcmovb => Flags.CF,
            Mnemonic.Fcmove => Flags.ZF,
            Mnemonic.Fcmovbe => Flags.CF | Flags.ZF,
            Mnemonic.Fcmovu => Flags.PF,
            Mnemonic.Fcmovnb => Flags.CF | X87Handlers.MoveIfClear,
            Mnemonic.Fcmovne => Flags.ZF | X87Handlers.MoveIfClear,
            Mnemonic.Fcmovnbe => Flags.CF | Flags.ZF | X87Handlers.MoveIfClear,
            Mnemonic.Fcmovnu => Flags.PF | X87Handlers.MoveIfClear,
            _ => 0,
        };
        if (condition != 0)
        {
            op->Imm = condition;
            return &X87Handlers.ConditionalMove;
        }

        int variant = mnemonic switch
        {
            Mnemonic.Fcomi => X87Handlers.Signaling,
            Mnemonic.Fcomip => X87Handlers.Signaling | X87Handlers.Popping,
            Mnemonic.Fucomi => 0,
            Mnemonic.Fucomip => X87Handlers.Popping,
            _ => -1,
        };
        op->Imm = variant;
        return variant >= 0 ? &X87Handlers.CompareToFlags : null;
    }

    /// <summary>Instructions without operands.</summary>
    private static Handler BindX87Implicit(Mnemonic mnemonic, Op* op)
    {
        int constant = Constant(mnemonic);
        if (constant >= 0)
        {
            op->R2 = (ushort)constant;
            op->Imm = (long)(delegate*<ref X87State, int, void>)&X87.LoadConstant;
            return &X87Handlers.Indexed;
        }

        switch (mnemonic)
        {
            case Mnemonic.Fninit:
                op->Imm = (long)(delegate*<ref X87State, void>)&X87.Initialize;
                return &X87Handlers.NoWait;
            case Mnemonic.Fnclex:
                op->Imm = (long)(delegate*<ref X87State, void>)&X87.ClearExceptions;
                return &X87Handlers.NoWait;
            case Mnemonic.Fneni or Mnemonic.Fndisi or Mnemonic.Fnsetpm:
                return &X87Handlers.NoOperation;
            case Mnemonic.Fnop:
                return &X87Handlers.WaitOnly;
        }

        delegate*<ref X87State, void> function = X87Function(mnemonic);
        op->Imm = (long)function;
        return function != null ? &X87Handlers.Implicit : null;
    }

    private static delegate*<ref X87State, void> X87Function(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Fchs => &X87.ChangeSign,
        Mnemonic.Fabs => &X87.Absolute,
        Mnemonic.Ftst => &X87.Test,
        Mnemonic.Fxam => &X87.Examine,
        Mnemonic.Fxtract => &X87.Extract,
        Mnemonic.Fprem => &X87Functions.Remainder,
        Mnemonic.Fprem1 => &X87Functions.RemainderNearest,
        Mnemonic.Fsqrt => &X87.SquareRoot,
        Mnemonic.Frndint => &X87.RoundToInteger,
        Mnemonic.Fscale => &X87.Scale,
        Mnemonic.Fincstp => &X87.IncrementTop,
        Mnemonic.Fdecstp => &X87.DecrementTop,
        Mnemonic.Fcompp => &X87Functions.ComparePopTwice,
        Mnemonic.Fucompp => &X87Functions.CompareQuietPopTwice,
        _ => X87Transcendental(mnemonic),
    };

    private static delegate*<ref X87State, void> X87Transcendental(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.F2xm1 => &X87.Exp2Minus1,
        Mnemonic.Fyl2x => &X87.TimesLog2,
        Mnemonic.Fyl2xp1 => &X87.TimesLog2Plus1,
        Mnemonic.Fptan => &X87.Tangent,
        Mnemonic.Fpatan => &X87.ArcTangent,
        Mnemonic.Fsin => &X87.Sine,
        Mnemonic.Fcos => &X87.Cosine,
        Mnemonic.Fsincos => &X87.SineAndCosine,
        _ => null,
    };

    /// <summary>FLD1 to FLDZ in opcode order, else negative.</summary>
    private static int Constant(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Fld1 => 0,
        Mnemonic.Fldl2t => 1,
        Mnemonic.Fldl2e => 2,
        Mnemonic.Fldpi => 3,
        Mnemonic.Fldlg2 => 4,
        Mnemonic.Fldln2 => 5,
        Mnemonic.Fldz => 6,
        _ => -1,
    };
}
