using Iced.Intel;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    /// <summary>An instruction that is its own translation.</summary>
    private void EmitPlain(int index)
    {
        ref Plan plan = ref _plans[index];
        if (TryEmitGrouped(in plan))
        {
            return;
        }

        if (plan.Encoding.IsMemory)
        {
            EmitLinear(in plan);
            int cold = EmitProbe(index);
            EmitOperation(in plan);
            EndAccess(cold);
        }
        else
        {
            EmitOperation(in plan);
        }
    }

    /// <summary>The instruction itself, once the address register points to the operand. Emitted twice when a write may be out of the ordinary.</summary>
    private void EmitOperation(in Plan plan)
    {
        switch (plan.Form)
        {
            case Form.Push or Form.PushImmediate or Form.PushMemory or Form.PushFlags or Form.Call or Form.CallIndirect: EmitPushOperation(in plan); return;
            case Form.Pop: EmitPopOperation(in plan); return;
            case Form.LeaveFrame: _code.Load(GuestRegisters.Scratch, GuestRegisters.Address, 0, IsLong); return;
            case Form.Return or Form.JumpIndirect: _code.Load(GuestRegisters.Address, GuestRegisters.Address, _operandOffset, IsLong); return;
        }

        if (plan.Fate is FlagFate.Remade or FlagFate.Kept && Remake.ComparesMemory(in plan))
        {
            EmitKeptComparison(in plan);
            return;
        }

        RequireFlags(in plan);
        if (!plan.Encoding.HasModRm)
        {
            EmitOpcodeRegister(in plan);
        }
        else
        {
            EmitModRm(in plan);
        }
    }

    /// <summary>No ModR/M byte: nothing, or a register in the opcode's low bits.</summary>
    private void EmitOpcodeRegister(in Plan plan)
    {
        ref readonly Encoding e = ref plan.Encoding;
        bool inOpcode = (e.Map == 1 && e.Opcode is >= 0xC8 and <= 0xCF) || e.Opcode is (>= 0x91 and <= 0x97) or (>= 0xB0 and <= 0xBF) || (e.Opcode == 0x90 && e.Rex != 0);
        int guest = (e.Opcode & 7) | e.ExtensionB;
        bool byteRegister = e.Map == 0 && e.Opcode is >= 0xB0 and < 0xB8;
        if (!inOpcode || GuestRegisters.Host(guest) == guest || (byteRegister && e.Rex == 0))
        {
            _code.Bytes(plan.Code, e.Length);
            return;
        }

        int used = Home(guest, GuestRegisters.Scratch, load: IsRead(in plan, guest));
        if (e.OperandSize)
        {
            _code.Byte(0x66);
        }

        _code.Rex(e.Wide, 0, 0, used, force: byteRegister);
        if (e.Map == 1)
        {
            _code.Byte(0x0F);
        }

        _code.Byte((e.Opcode & ~7) | (used & 7));
        EmitImmediate(in plan);
        PutBack(guest, used);
    }

    private void EmitModRm(in Plan plan)
    {
        ref readonly Encoding e = ref plan.Encoding;
        if (IntegerForms.HasHighByte(in plan.Instruction) || (!e.IsMemory && e is { Map: 0, Opcode: >= 0xD8 and <= 0xDF } or { Map: 1, Opcode: 0xAE }))
        {
            // With AH to BH all registers are where the encoding says, or it would not have come here; x87 registers are always; fences
            // have none.
            _code.Bytes(plan.Code, e.Length);
            return;
        }

        if (TryEmitOnState(in plan))
        {
            return;
        }

        int reg = RegisterField(in plan);
        int guestReg = e.Reg;
        int guestRm = e.Rm;
        bool regInMemory = reg == GuestRegisters.None;
        if (regInMemory)
        {
            reg = Home(guestReg, GuestRegisters.Scratch, load: IsRead(in plan, guestReg));
        }

        _vvvv = e.Vvvv;
        int vvvv = _vvvv;
        bool otherInMemory = e.Vex != 0 && !plan.IsVector && GuestRegisters.Host(vvvv) == GuestRegisters.None;
        if (e.Vex != 0 && !plan.IsVector)
        {
            _vvvv = vvvv == guestReg && !IsGroup(in e) ? reg : Home(vvvv, regInMemory ? GuestRegisters.Address : GuestRegisters.Scratch, load: true);
            otherInMemory &= _vvvv != reg;
        }

        if (e.IsMemory)
        {
            ReencodeMemory(in plan, e.Opcode, reg, GuestRegisters.Address, _operandOffset);
        }
        else
        {
            bool general = RmIsGeneral(in plan);
            int rm = general ? GuestRegisters.Host(guestRm) : guestRm;
            bool rmInMemory = rm == GuestRegisters.None;
            if (rmInMemory)
            {
                // The same register twice has to be one copy.
                rm = regInMemory && guestReg == guestRm ? reg
                    : otherInMemory && vvvv == guestRm ? _vvvv
                    : Home(guestRm, regInMemory || otherInMemory ? GuestRegisters.Address : GuestRegisters.Scratch, load: IsRead(in plan, guestRm));
            }

            Reencode(in plan, e.Opcode, reg, rm);
            if (rmInMemory && (plan.Writes & (1 << guestRm)) != 0)
            {
                PutBack(guestRm, rm);
            }
        }

        if (regInMemory && (plan.Writes & (1 << guestReg)) != 0)
        {
            PutBack(guestReg, reg);
        }

        if (otherInMemory && (plan.Writes & (1 << vvvv)) != 0)
        {
            PutBack(vvvv, _vvvv);
        }
    }

    private static bool IsRead(in Plan plan, int guest) => (plan.Reads & (1 << guest)) != 0;

    /// <summary>The host's number for the second source of the VEX instruction that is being emitted.</summary>
    private int _vvvv;

    /// <summary>A register of the guest in a register of the host: its own, or a scratch one.</summary>
    private int Home(int guest, int scratch, bool load)
    {
        int host = GuestRegisters.Host(guest);
        if (host != GuestRegisters.None)
        {
            return host;
        }

        if (load)
        {
            _code.Load(scratch, GuestRegisters.State, StateLayout.Gpr(guest));
        }

        return scratch;
    }

    private void PutBack(int guest, int used)
    {
        if (GuestRegisters.Host(guest) == GuestRegisters.None)
        {
            _code.Store(GuestRegisters.State, StateLayout.Gpr(guest), used);
        }
    }

    /// <summary>The host's number for the register field: a general register's home (or none), a vector register, or part of the opcode.</summary>
    private static int RegisterField(in Plan plan)
    {
        ref readonly Encoding e = ref plan.Encoding;
        if (IsGroup(in e))
        {
            return (e.ModRm >> 3) & 7;
        }

        return plan.IsVector && !RegIsGeneral(in plan) ? e.Reg : GuestRegisters.Host(e.Reg);
    }

    /// <summary>Whether the register field extends the opcode (Intel SDM vol. 2, table A-6).</summary>
    private static bool IsGroup(in Encoding e) => e.Map switch
    {
        0 => e.Opcode is (>= 0x80 and <= 0x83) or 0x8F or 0xC0 or 0xC1 or 0xC6 or 0xC7 or (>= 0xD0 and <= 0xD3) or 0xF6 or 0xF7 or 0xFE or 0xFF
            or (>= 0xD8 and <= 0xDF),
        1 => e.Opcode is 0x18 or (>= 0x71 and <= 0x73) or 0xAE or 0xBA or 0xC7,
        2 => e.Vex != 0 && e.Opcode == 0xF3,
        _ => false,
    };

    /// <summary>Vector instructions with a general register in the register field.</summary>
    private static bool RegIsGeneral(in Plan plan)
    {
        Register first = plan.Instruction.Op0Register;
        return plan.Encoding.Map == 1 && plan.Encoding.Opcode is 0x2C or 0x2D or 0x50 or 0xC5 or 0xD7 && first.IsGPR();
    }

    /// <summary>Whether the r/m field, when it is a register, is a general one.</summary>
    private static bool RmIsGeneral(in Plan plan)
    {
        ref readonly Encoding e = ref plan.Encoding;
        if (!plan.IsVector)
        {
            return true;
        }

        return e.Map switch
        {
            1 => e.Opcode is 0x6E or 0xC4 || (e.Opcode == 0x2A && plan.Instruction.GetOpRegister(plan.Instruction.OpCount - 1).IsGPR()) || (e.Opcode == 0x7E && e.Repeat == 0 && (e.Vex == 0 || (e.VexSecond & 3) == 1)),
            3 => e.Opcode is >= 0x14 and <= 0x17 or 0x20 or 0x22,
            _ => false,
        };
    }

    /// <summary>The instruction with other registers.</summary>
    private void Reencode(in Plan plan, int opcode, int reg, int rm)
    {
        EmitPrefixes(in plan, opcode, reg, rm);
        _code.ModRmRegister(reg, rm);
        EmitImmediate(in plan);
    }

    /// <summary>The instruction with another register, and with memory near one of the host's as its other operand.</summary>
    private void ReencodeMemory(in Plan plan, int opcode, int reg, int @base, int displacement)
    {
        EmitPrefixes(in plan, opcode, reg, @base);
        _code.ModRmMemory(reg, @base, displacement);
        EmitImmediate(in plan);
    }

    private void EmitImmediate(in Plan plan) =>
        _code.Bytes(plan.Code + plan.Encoding.ImmediateStart, plan.Encoding.Length - plan.Encoding.ImmediateStart);

    private void EmitPrefixes(in Plan plan, int opcode, int reg, int rm)
    {
        ref readonly Encoding e = ref plan.Encoding;
        if (e.Vex != 0)
        {
            _code.Byte(0xC4);
            _code.Byte((e.VexFirst & 0x1F) | (reg < 8 ? 0x80 : 0) | 0x40 | (rm < 8 ? 0x20 : 0));
            _code.Byte((e.VexSecond & ~0x78) | ((~_vvvv & 15) << 3));
            _code.Byte(opcode);
            return;
        }

        if (e.Lock)
        {
            _code.Byte(0xF0);
        }

        if (e.OperandSize)
        {
            _code.Byte(0x66);
        }

        if (e.Repeat != 0)
        {
            _code.Byte(e.Repeat);
        }

        // Without REX the byte registers 4 to 7 would be AH to BH.
        _code.Rex(e.Wide, reg, 0, rm, force: HasLowByte(in plan.Instruction));
        if (e.Map != 0)
        {
            _code.Byte(0x0F);
            if (e.Map >= 2)
            {
                _code.Byte(e.Map == 2 ? 0x38 : 0x3A);
            }
        }

        _code.Byte(opcode);
    }

    /// <summary>Whether an operand is a byte register other than AH to BH.</summary>
    private static bool HasLowByte(in Instruction i)
    {
        for (int n = 0; n < i.OpCount; n++)
        {
            Register register = i.GetOpKind(n) == OpKind.Register ? i.GetOpRegister(n) : Register.None;
            if (register.IsGPR8() && register is not (>= Register.AH and <= Register.BH))
            {
                return true;
            }
        }

        return false;
    }
}
