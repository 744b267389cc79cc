using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>MOV, XCHG, XADD, CMPXCHG, CMOVcc, SETcc at one operand width.</summary>
// SAFETY: handlers: the handler contract (Op). host is used between BeginUpdate and EndUpdate only.
internal static unsafe class MoveHandlers<T>
    where T : unmanaged
{
    public static Op* RegReg(CpuState* s, Op* op)
    {
        Operand.SetReg(s, op->R0, Operand.Reg<T>(s, op->R1));
        return op + 1;
    }

    public static Op* RegImm(CpuState* s, Op* op)
    {
        Operand.Set<T>(s, op->R0, (ulong)op->Imm);
        return op + 1;
    }

    public static Op* RegMem(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out T value))
        {
            return null;
        }

        Operand.SetReg(s, op->R0, value);
        return op + 1;
    }

    public static Op* MemReg(CpuState* s, Op* op) => Operand.Store(s, op, Operand.Reg<T>(s, op->R1)) ? op + 1 : null;

    public static Op* MemImm(CpuState* s, Op* op) => Operand.Store(s, op, Operand.Narrow<T>((ulong)op->Imm)) ? op + 1 : null;

    public static Op* Lea(CpuState* s, Op* op)
    {
        Operand.Set<T>(s, op->R0, Operand.Effective(s, op));
        return op + 1;
    }

    public static Op* XchgRegReg(CpuState* s, Op* op)
    {
        T a = Operand.Reg<T>(s, op->R0);
        T b = Operand.Reg<T>(s, op->R1);
        Operand.SetReg(s, op->R0, b);
        Operand.SetReg(s, op->R1, a);
        return op + 1;
    }

    public static Op* XchgMemReg(CpuState* s, Op* op)
    {
        if (!Operand.BeginUpdate(s, op, out T a, out T* host, out ulong linear))
        {
            return null;
        }

        Operand.EndUpdate(s, host, linear, Operand.Reg<T>(s, op->R1));
        Operand.SetReg(s, op->R1, a);
        return op + 1;
    }

    public static Op* XaddRegReg(CpuState* s, Op* op)
    {
        ulong a = Operand.Get<T>(s, op->R0);
        ulong r = Add.Apply<T>(s, a, Operand.Get<T>(s, op->R1));
        Operand.Set<T>(s, op->R1, a);
        Operand.Set<T>(s, op->R0, r);
        return op + 1;
    }

    public static Op* XaddMemReg(CpuState* s, Op* op)
    {
        if (!Operand.BeginUpdate(s, op, out T a, out T* host, out ulong linear))
        {
            return null;
        }

        ulong r = Add.Apply<T>(s, Operand.Widen(a), Operand.Get<T>(s, op->R1));
        Operand.SetReg(s, op->R1, a);
        Operand.EndUpdate(s, host, linear, Operand.Narrow<T>(r));
        return op + 1;
    }

    public static Op* CmpxchgRegReg(CpuState* s, Op* op)
    {
        ulong destination = Operand.Get<T>(s, op->R0);
        ulong accumulator = Operand.Get<T>(s, CpuState.GprStart);
        Sub.Apply<T>(s, accumulator, destination);
        if (accumulator == destination)
        {
            Operand.Set<T>(s, op->R0, Operand.Get<T>(s, op->R1));
        }
        else
        {
            Operand.Set<T>(s, CpuState.GprStart, destination);
        }

        return op + 1;
    }

    public static Op* CmpxchgMemReg(CpuState* s, Op* op)
    {
        if (!Operand.BeginUpdate(s, op, out T value, out T* host, out ulong linear))
        {
            return null;
        }

        ulong destination = Operand.Widen(value);
        ulong accumulator = Operand.Get<T>(s, CpuState.GprStart);
        Sub.Apply<T>(s, accumulator, destination);
        if (accumulator == destination)
        {
            Operand.EndUpdate(s, host, linear, Operand.Reg<T>(s, op->R1));
        }
        else
        {
            // The destination is written back in any case (Intel SDM vol. 2, CMPXCHG).
            Operand.EndUpdate(s, host, linear, value);
            Operand.Set<T>(s, CpuState.GprStart, destination);
        }

        return op + 1;
    }
}

/// <summary>Moves that widen.</summary>
internal static unsafe class ExtendHandlers<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    public static Op* ZeroRegReg(CpuState* s, Op* op)
    {
        Operand.Set<TTo>(s, op->R0, Operand.Get<TFrom>(s, op->R1));
        return op + 1;
    }

    public static Op* ZeroRegMem(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out TFrom value))
        {
            return null;
        }

        Operand.Set<TTo>(s, op->R0, Operand.Widen(value));
        return op + 1;
    }

    public static Op* SignRegReg(CpuState* s, Op* op)
    {
        Operand.Set<TTo>(s, op->R0, Flags.SignExtend<TFrom>(Operand.Get<TFrom>(s, op->R1)));
        return op + 1;
    }

    public static Op* SignRegMem(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out TFrom value))
        {
            return null;
        }

        Operand.Set<TTo>(s, op->R0, Flags.SignExtend<TFrom>(Operand.Widen(value)));
        return op + 1;
    }
}

/// <summary>CMOVcc at one width.</summary>
internal static unsafe class ConditionalMoveHandlers<TCondition, T>
    where TCondition : struct, ICondition
    where T : unmanaged
{
    public static Op* RegReg(CpuState* s, Op* op)
    {
        // A 32-bit destination is zero-extended whether or not it moves.
        Operand.SetReg(s, op->R0, Operand.Reg<T>(s, TCondition.Holds(s) ? op->R1 : op->R0));
        return op + 1;
    }

    public static Op* RegMem(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out T value))
        {
            return null;
        }

        Operand.SetReg(s, op->R0, TCondition.Holds(s) ? value : Operand.Reg<T>(s, op->R0));
        return op + 1;
    }
}

/// <summary>SETcc and Jcc.</summary>
internal static unsafe class ConditionHandlers<TCondition>
    where TCondition : struct, ICondition
{
    public static Op* SetReg(CpuState* s, Op* op)
    {
        Operand.SetReg(s, op->R0, TCondition.Holds(s) ? (byte)1 : (byte)0);
        return op + 1;
    }

    public static Op* SetMem(CpuState* s, Op* op) => Operand.Store(s, op, TCondition.Holds(s) ? (byte)1 : (byte)0) ? op + 1 : null;

    [SkipLocalsInit]
    public static Op* Jump(CpuState* s, Op* op)
    {
        if (op->Continues)
        {
            return TCondition.Holds(s) ? Flow.FollowOut(s, op) : op + 1;
        }

        return Flow.Follow(s, TCondition.Holds(s) ? op : op + 1);
    }
}
