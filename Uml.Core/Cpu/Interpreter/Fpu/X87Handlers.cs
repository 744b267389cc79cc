using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Fpu;

/// <summary>
/// x87 instructions on registers. They have no immediate, so the binder sets <see cref="Op.Imm"/> to the function to call, or to a variant.
/// </summary>
// SAFETY: handlers: the handler contract (Op). Imm is called as a function only where X87Binder has put one of that signature.
internal static unsafe class X87Handlers
{
    /// <summary>An instruction on ST(0) and its neighbours; <see cref="Op.Imm"/> is a <c>delegate*</c> on the state.</summary>
    public static Op* Implicit(CpuState* s, Op* op)
    {
        if (!Begin(s, op))
        {
            return null;
        }

        // SAFETY: the binder put a function of this signature there.
        ((delegate*<ref X87State, void>)op->Imm)(ref s->X87);
        return op + 1;
    }

    /// <summary>An instruction on ST(i), its number in <see cref="Op.R2"/>.</summary>
    public static Op* Indexed(CpuState* s, Op* op)
    {
        if (!Begin(s, op))
        {
            return null;
        }

        // SAFETY: the binder put a function of this signature there.
        ((delegate*<ref X87State, int, void>)op->Imm)(ref s->X87, op->R2);
        return op + 1;
    }

    /// <summary>FNINIT and FNCLEX: raise no pending exception, and leave the pointers to the last instruction unchanged.</summary>
    public static Op* NoWait(CpuState* s, Op* op)
    {
        // SAFETY: the binder put a function of this signature there.
        ((delegate*<ref X87State, void>)op->Imm)(ref s->X87);
        return op + 1;
    }

    /// <summary>FNENI, FNDISI, FNSETPM: no effect since the 387.</summary>
    public static Op* NoOperation(CpuState* s, Op* op) => op + 1;

    /// <summary>FNOP.</summary>
    public static Op* WaitOnly(CpuState* s, Op* op) => Enablement.IsX87ErrorPending(s) ? Enablement.RaiseX87Error(s) : op + 1;

    /// <summary>FADD ST(i), ST(j) and relatives; <see cref="Op.Imm"/> is the operation.</summary>
    public static Op* Arithmetic(CpuState* s, Op* op)
    {
        if (!Begin(s, op))
        {
            return null;
        }

        X87.ArithmeticRegisters(ref s->X87, (X87Operation)op->Imm, op->R0, op->R1, pop: false);
        return op + 1;
    }

    /// <summary>FADDP ST(i), ST(0) and relatives.</summary>
    public static Op* ArithmeticPop(CpuState* s, Op* op)
    {
        if (!Begin(s, op))
        {
            return null;
        }

        X87.ArithmeticRegisters(ref s->X87, (X87Operation)op->Imm, op->R0, op->R1, pop: true);
        return op + 1;
    }

    /// <summary>FCMOVcc ST(0), ST(i); <see cref="Op.Imm"/> holds the flags of which one is to be set, and <see cref="MoveIfClear"/>.</summary>
    public static Op* ConditionalMove(CpuState* s, Op* op)
    {
        if (!Begin(s, op))
        {
            return null;
        }

        bool condition = (Flags.GetStatus(s) & op->Imm & ~MoveIfClear) != 0;
        X87.ConditionalMove(ref s->X87, op->R2, condition != ((op->Imm & MoveIfClear) != 0));
        return op + 1;
    }

    /// <summary>Makes the condition of <see cref="ConditionalMove"/> its opposite.</summary>
    public const uint MoveIfClear = 1u << 31;

    /// <summary>FCOMI, FCOMIP, FUCOMI, FUCOMIP; <see cref="Op.Imm"/> has <see cref="Signaling"/> and <see cref="Popping"/>.</summary>
    public static Op* CompareToFlags(CpuState* s, Op* op)
    {
        if (!Begin(s, op))
        {
            return null;
        }

        uint flags = X87.CompareToFlags(ref s->X87, op->R2, (op->Imm & Signaling) != 0, (op->Imm & Popping) != 0);
        Flags.SetStatus(s, flags);
        return op + 1;
    }

    public const int Signaling = 1, Popping = 2;

    /// <summary>FNSTSW AX.</summary>
    public static Op* StoreStatusWord(CpuState* s, Op* op)
    {
        Operand.SetReg(s, op->R0, s->X87.StatusWord);
        return op + 1;
    }

    /// <summary>
    /// The start of every waiting instruction without a memory operand: raises a pending exception, else notes the pointers.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Begin(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            Enablement.RaiseX87Error(s);
            return false;
        }

        X87Pointers.Note(s, op);
        return true;
    }
}
