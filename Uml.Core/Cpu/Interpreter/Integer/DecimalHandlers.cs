using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>Decimal adjustment (Intel SDM vol. 2, AAA to DAS); not in 64-bit mode.</summary>
// SAFETY: handlers: the handler contract (Op). Registers are AL and AH, by constant offsets.
internal static unsafe class DecimalHandlers
{
    private const ushort Al = CpuState.GprStart, Ah = CpuState.GprStart + 1;

    public static Op* Daa(CpuState* s, Op* op)
    {
        byte al = Operand.Reg<byte>(s, Al);
        bool carry = Flags.Carry(s);
        bool adjust = (al & 0xF) > 9 || Flags.Adjust(s);
        bool high = al > 0x99 || carry;
        int r = al + (adjust ? 6 : 0) + (high ? 0x60 : 0);
        return Finish(s, op, (byte)r, high, adjust);
    }

    public static Op* Das(CpuState* s, Op* op)
    {
        byte al = Operand.Reg<byte>(s, Al);
        bool carry = Flags.Carry(s);
        bool adjust = (al & 0xF) > 9 || Flags.Adjust(s);
        bool high = al > 0x99 || carry;
        bool borrow = high || (adjust && al < 6);
        int r = al - (adjust ? 6 : 0) - (high ? 0x60 : 0);
        return Finish(s, op, (byte)r, borrow, adjust);
    }

    public static Op* Aaa(CpuState* s, Op* op)
    {
        bool adjust = (Operand.Reg<byte>(s, Al) & 0xF) > 9 || Flags.Adjust(s);
        return AdjustAscii(s, op, adjust, adjust ? 0x106 : 0);
    }

    public static Op* Aas(CpuState* s, Op* op)
    {
        bool adjust = (Operand.Reg<byte>(s, Al) & 0xF) > 9 || Flags.Adjust(s);
        return AdjustAscii(s, op, adjust, adjust ? -0x106 : 0);
    }

    public static Op* Aam(CpuState* s, Op* op)
    {
        byte by = (byte)op->Imm;
        if (by == 0)
        {
            return Raise.Exception(s, ExceptionVector.DE);
        }

        byte al = Operand.Reg<byte>(s, Al);
        Operand.SetReg(s, Ah, (byte)(al / by));
        return Finish(s, op, (byte)(al % by), carry: false, adjust: false);
    }

    public static Op* Aad(CpuState* s, Op* op)
    {
        int r = Operand.Reg<byte>(s, Al) + (Operand.Reg<byte>(s, Ah) * (byte)op->Imm);
        Operand.SetReg(s, Ah, (byte)0);
        return Finish(s, op, (byte)r, carry: false, adjust: false);
    }

    private static Op* AdjustAscii(CpuState* s, Op* op, bool adjust, int by)
    {
        ushort ax = (ushort)(Operand.Reg<ushort>(s, Al) + by);
        Operand.SetReg(s, Al, (ushort)(ax & 0xFF0F));
        Flags.SetResult<byte>(s, (byte)(ax & 0xF), adjust, overflow: false, adjust);
        return op + 1;
    }

    private static Op* Finish(CpuState* s, Op* op, byte al, bool carry, bool adjust)
    {
        Operand.SetReg(s, Al, al);
        Flags.SetResult<byte>(s, al, carry, overflow: false, adjust);
        return op + 1;
    }
}
