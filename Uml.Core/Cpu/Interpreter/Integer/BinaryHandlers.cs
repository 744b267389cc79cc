using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>Operand forms of two-operand integer instructions.</summary>
// SAFETY: handlers: the handler contract (Op). host is used between BeginUpdate and EndUpdate only.
internal static unsafe class BinaryHandlers<TOperation, T>
    where TOperation : struct, IBinaryOperation
    where T : unmanaged
{
    public static Op* RegReg(CpuState* s, Op* op)
    {
        ulong r = TOperation.Apply<T>(s, Operand.Get<T>(s, op->R0), Operand.Get<T>(s, op->R1));
        if (TOperation.Writes)
        {
            Operand.Set<T>(s, op->R0, r);
        }

        return op + 1;
    }

    public static Op* RegImm(CpuState* s, Op* op)
    {
        ulong r = TOperation.Apply<T>(s, Operand.Get<T>(s, op->R0), Operand.Widen(Operand.Narrow<T>((ulong)op->Imm)));
        if (TOperation.Writes)
        {
            Operand.Set<T>(s, op->R0, r);
        }

        return op + 1;
    }

    public static Op* RegMem(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out T b))
        {
            return null;
        }

        ulong r = TOperation.Apply<T>(s, Operand.Get<T>(s, op->R0), Operand.Widen(b));
        if (TOperation.Writes)
        {
            Operand.Set<T>(s, op->R0, r);
        }

        return op + 1;
    }

    public static Op* MemReg(CpuState* s, Op* op) => Mem(s, op, Operand.Get<T>(s, op->R1));

    public static Op* MemImm(CpuState* s, Op* op) => Mem(s, op, Operand.Widen(Operand.Narrow<T>((ulong)op->Imm)));

    private static Op* Mem(CpuState* s, Op* op, ulong b)
    {
        if (TOperation.Writes)
        {
            if (!Operand.BeginUpdate(s, op, out T a, out T* host, out ulong linear))
            {
                return null;
            }

            ulong r = TOperation.Apply<T>(s, Operand.Widen(a), b);
            Operand.EndUpdate(s, host, linear, Operand.Narrow<T>(r));
        }
        else
        {
            if (!Operand.Load(s, op, out T a))
            {
                return null;
            }

            TOperation.Apply<T>(s, Operand.Widen(a), b);
        }

        return op + 1;
    }
}

/// <summary>Operand forms of one-operand integer instructions.</summary>
internal static unsafe class UnaryHandlers<TOperation, T>
    where TOperation : struct, IUnaryOperation
    where T : unmanaged
{
    public static Op* Reg(CpuState* s, Op* op)
    {
        Operand.Set<T>(s, op->R0, TOperation.Apply<T>(s, Operand.Get<T>(s, op->R0)));
        return op + 1;
    }

    public static Op* Mem(CpuState* s, Op* op)
    {
        if (!Operand.BeginUpdate(s, op, out T a, out T* host, out ulong linear))
        {
            return null;
        }

        Operand.EndUpdate(s, host, linear, Operand.Narrow<T>(TOperation.Apply<T>(s, Operand.Widen(a))));
        return op + 1;
    }
}

/// <summary>Operand forms of shifts and rotates.</summary>
internal static unsafe class ShiftHandlers<TOperation, T>
    where TOperation : struct, IShiftOperation
    where T : unmanaged
{
    private static int Mask => sizeof(T) == 8 ? 63 : 31;

    public static Op* RegImm(CpuState* s, Op* op) => Reg(s, op, (int)op->Imm & Mask);

    public static Op* RegCl(CpuState* s, Op* op) => Reg(s, op, (int)s->Gpr[1] & Mask);

    public static Op* MemImm(CpuState* s, Op* op) => Mem(s, op, (int)op->Imm & Mask);

    public static Op* MemCl(CpuState* s, Op* op) => Mem(s, op, (int)s->Gpr[1] & Mask);

    private static Op* Reg(CpuState* s, Op* op, int count)
    {
        ulong a = Operand.Get<T>(s, op->R0);

        // A count of zero changes no flag, but a 32-bit destination is still written.
        Operand.Set<T>(s, op->R0, count == 0 ? a : TOperation.Apply<T>(s, a, count));
        return op + 1;
    }

    private static Op* Mem(CpuState* s, Op* op, int count)
    {
        if (!Operand.BeginUpdate(s, op, out T a, out T* host, out ulong linear))
        {
            return null;
        }

        ulong value = Operand.Widen(a);
        Operand.EndUpdate(s, host, linear, Operand.Narrow<T>(count == 0 ? value : TOperation.Apply<T>(s, value, count)));
        return op + 1;
    }
}

/// <summary>SHLD and SHRD.</summary>
internal static unsafe class DoubleShiftHandlers<T>
    where T : unmanaged
{
    private static int Mask => sizeof(T) == 8 ? 63 : 31;

    public static Op* LeftImm(CpuState* s, Op* op) => Shift(s, op, (int)op->Imm & Mask, left: true, memory: false);

    public static Op* LeftCl(CpuState* s, Op* op) => Shift(s, op, (int)s->Gpr[1] & Mask, left: true, memory: false);

    public static Op* RightImm(CpuState* s, Op* op) => Shift(s, op, (int)op->Imm & Mask, left: false, memory: false);

    public static Op* RightCl(CpuState* s, Op* op) => Shift(s, op, (int)s->Gpr[1] & Mask, left: false, memory: false);

    public static Op* LeftImmMem(CpuState* s, Op* op) => Shift(s, op, (int)op->Imm & Mask, left: true, memory: true);

    public static Op* LeftClMem(CpuState* s, Op* op) => Shift(s, op, (int)s->Gpr[1] & Mask, left: true, memory: true);

    public static Op* RightImmMem(CpuState* s, Op* op) => Shift(s, op, (int)op->Imm & Mask, left: false, memory: true);

    public static Op* RightClMem(CpuState* s, Op* op) => Shift(s, op, (int)s->Gpr[1] & Mask, left: false, memory: true);

    private static Op* Shift(CpuState* s, Op* op, int count, bool left, bool memory)
    {
        T value;
        T* host = null;
        ulong linear = 0;
        if (memory)
        {
            if (!Operand.BeginUpdate(s, op, out value, out host, out linear))
            {
                return null;
            }
        }
        else
        {
            value = Operand.Reg<T>(s, op->R0);
        }

        ulong r = Operand.Widen(value);
        if (count != 0)
        {
            ulong b = Operand.Get<T>(s, op->R1);
            r = left ? DoubleShifts.Left<T>(s, r, b, count) : DoubleShifts.Right<T>(s, r, b, count);
        }

        if (memory)
        {
            Operand.EndUpdate(s, host, linear, Operand.Narrow<T>(r));
        }
        else
        {
            Operand.Set<T>(s, op->R0, r);
        }

        return op + 1;
    }
}
