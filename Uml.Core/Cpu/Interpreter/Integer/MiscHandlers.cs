using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>Flag instructions, width conversions, XLAT, CMPXCHG8B and CMPXCHG16B, and unimplemented instructions.</summary>
// SAFETY: handlers: the handler contract (Op). XLAT works on a copy of the operation, on this stack frame; host is used between BeginUpdate
// and EndUpdate only.
internal static unsafe class MiscHandlers
{
    private const ushort Rax = CpuState.GprStart, Rdx = CpuState.GprStart + 16;

    /// <summary>An instruction this CPU does not have: #UD in the guest, logged once.</summary>
    public static Op* NotImplemented(CpuState* s, Op* op)
    {
        CpuLog.Of(s).ReportOnce(SystemReport.NotImplemented, op->Code, Flow.Current(s, op));
        return Raise.UD(s);
    }

    public static Op* Nop(CpuState* s, Op* op) => op + 1;

    public static Op* Clc(CpuState* s, Op* op)
    {
        Flags.SetCarry(s, false);
        return op + 1;
    }

    public static Op* Stc(CpuState* s, Op* op)
    {
        Flags.SetCarry(s, true);
        return op + 1;
    }

    public static Op* Cmc(CpuState* s, Op* op)
    {
        Flags.SetCarry(s, !Flags.Carry(s));
        return op + 1;
    }

    public static Op* Cld(CpuState* s, Op* op)
    {
        s->SystemFlags &= ~(ulong)Flags.DF;
        return op + 1;
    }

    public static Op* Std(CpuState* s, Op* op)
    {
        s->SystemFlags |= Flags.DF;
        return op + 1;
    }

    public static Op* Lahf(CpuState* s, Op* op)
    {
        Operand.SetReg(s, CpuState.GprStart + 1, (byte)((Flags.GetStatus(s) & ~Flags.OF) | Flags.Fixed1));
        return op + 1;
    }

    public static Op* Sahf(CpuState* s, Op* op)
    {
        uint kept = Flags.GetStatus(s) & Flags.OF;
        Flags.SetStatus(s, kept | (Operand.Reg<byte>(s, CpuState.GprStart + 1) & ~Flags.OF & Flags.Status));
        return op + 1;
    }

    /// <summary>SALC: AL becomes all ones or zero, as CF is (AMD APM vol. 3 lists the opcode; Intel's processors have it undocumented).</summary>
    public static Op* Salc(CpuState* s, Op* op)
    {
        Operand.SetReg(s, Rax, Flags.Carry(s) ? byte.MaxValue : (byte)0);
        return op + 1;
    }

    public static Op* Cbw(CpuState* s, Op* op)
    {
        Operand.SetReg(s, Rax, (ushort)(sbyte)s->Gpr[0]);
        return op + 1;
    }

    public static Op* Cwde(CpuState* s, Op* op)
    {
        Operand.SetReg(s, Rax, (uint)(short)s->Gpr[0]);
        return op + 1;
    }

    public static Op* Cdqe(CpuState* s, Op* op)
    {
        Operand.SetReg(s, Rax, (ulong)(int)s->Gpr[0]);
        return op + 1;
    }

    public static Op* Cwd(CpuState* s, Op* op)
    {
        Operand.SetReg(s, Rdx, (ushort)((short)s->Gpr[0] >> 15));
        return op + 1;
    }

    public static Op* Cdq(CpuState* s, Op* op)
    {
        Operand.SetReg(s, Rdx, (uint)((int)s->Gpr[0] >> 31));
        return op + 1;
    }

    public static Op* Cqo(CpuState* s, Op* op)
    {
        Operand.SetReg(s, Rdx, (ulong)((long)s->Gpr[0] >> 63));
        return op + 1;
    }

    /// <summary>XLAT: the memory operand is [rBX + AL].</summary>
    public static Op* Xlat(CpuState* s, Op* op)
    {
        Op indexed = *op;
        indexed.Index = (ushort)EngineState.ZeroOffset;
        indexed.Disp = (byte)s->Gpr[0];
        if (!Operand.Load(s, &indexed, out byte value))
        {
            return null;
        }

        Operand.SetReg(s, Rax, value);
        return op + 1;
    }

    public static Op* Cmpxchg8b(CpuState* s, Op* op)
    {
        if (!Operand.BeginUpdate(s, op, out ulong value, out ulong* host, out ulong linear))
        {
            return null;
        }

        ulong expected = (s->Gpr[2] << 32) | (uint)s->Gpr[0];
        bool equal = value == expected;
        Operand.EndUpdate(s, host, linear, equal ? (s->Gpr[1] << 32) | (uint)s->Gpr[3] : value);
        if (!equal)
        {
            s->Gpr[0] = (uint)value;
            s->Gpr[2] = value >> 32;
        }

        SetZeroOnly(s, equal);
        return op + 1;
    }

    public static Op* Cmpxchg16b(CpuState* s, Op* op)
    {
        if (!Operand.Linear(s, op, 16, write: true, out ulong linear))
        {
            return null;
        }

        if ((linear & 15) != 0)
        {
            return Raise.GP(s);
        }

        if (!Operand.BeginUpdate(s, op, out UInt128 value, out UInt128* host, out linear))
        {
            return null;
        }

        bool equal = value == new UInt128(s->Gpr[2], s->Gpr[0]);
        Operand.EndUpdate(s, host, linear, equal ? new UInt128(s->Gpr[1], s->Gpr[3]) : value);
        if (!equal)
        {
            s->Gpr[0] = (ulong)value;
            s->Gpr[2] = (ulong)(value >> 64);
        }

        SetZeroOnly(s, equal);
        return op + 1;
    }

    private static void SetZeroOnly(CpuState* s, bool zero) =>
        Flags.SetStatus(s, (Flags.GetStatus(s) & ~Flags.ZF) | (zero ? Flags.ZF : 0));
}
