using Uml.Core.Cpu.Contract;

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
        if (plan.Encoding.Form.HasModRm)
        {
            EmitModRm(in plan);
        }
        else
        {
            EmitOpcodeRegister(in plan);
        }
    }

    /// <summary>No ModR/M byte: nothing, or a register in the opcode's low bits.</summary>
    private void EmitOpcodeRegister(in Plan plan)
    {
        ref readonly Encoding e = ref plan.Encoding;
        int guest = e.OpcodeRegister;
        bool isGeneral = guest >= 0 && !plan.IsVector && !e.HasHighByte;
        int used = isGeneral ? Home(guest, GuestRegisters.Scratch, load: IsRead(in plan, guest)) : Math.Max(guest, 0);
        EmitPrefixes(in plan, 0, vvvv: 0, used);
        if (e.Form.SecondOpcode != 0)
        {
            // The register of an x87 instruction is in its second byte.
            _code.Byte(e.Opcode);
            _code.Byte(e.Form.SecondOpcode | (used & 7));
        }
        else
        {
            _code.Byte(e.Opcode | (used & 7));
        }

        EmitImmediate(in plan);
        if (isGeneral)
        {
            PutBack(guest, used);
        }
    }

    private void EmitModRm(in Plan plan)
    {
        if (!plan.Encoding.HasHighByte && TryEmitOnState(in plan))
        {
            return;
        }

        ref readonly Encoding e = ref plan.Encoding;
        int guestReg = e.Reg;
        int guestRm = e.Rm;
        int reg = RegisterField(in e);
        bool regInMemory = reg == GuestRegisters.None;
        if (regInMemory)
        {
            reg = Home(guestReg, GuestRegisters.Scratch, load: IsRead(in plan, guestReg));
        }

        int guestOther = e.Vvvv;
        int vvvv = Math.Max(guestOther, 0);
        bool isOtherGeneral = guestOther >= 0 && !plan.IsVector;
        bool otherInMemory = isOtherGeneral && GuestRegisters.Host(guestOther) == GuestRegisters.None;
        if (isOtherGeneral)
        {
            vvvv = guestOther == guestReg ? reg : Home(guestOther, regInMemory ? GuestRegisters.Address : GuestRegisters.Scratch, load: true);
            otherInMemory &= vvvv != reg;
        }

        if (e.IsMemory)
        {
            ReencodeMemory(in plan, e.Opcode, reg, vvvv, GuestRegisters.Address, _operandOffset);
        }
        else
        {
            int rm = RmField(in e);
            bool rmInMemory = rm == GuestRegisters.None;
            if (rmInMemory)
            {
                // The same register twice has to be one copy.
                rm = regInMemory && guestReg == guestRm ? reg
                    : otherInMemory && guestOther == guestRm ? vvvv
                    : Home(guestRm, regInMemory || otherInMemory ? GuestRegisters.Address : GuestRegisters.Scratch, load: IsRead(in plan, guestRm));
            }

            Reencode(in plan, e.Opcode, reg, vvvv, rm);
            if (rmInMemory && (plan.Writes & (1 << guestRm)) != 0)
            {
                PutBack(guestRm, rm);
            }
        }

        if (regInMemory && (plan.Writes & (1 << guestReg)) != 0)
        {
            PutBack(guestReg, reg);
        }

        if (otherInMemory && (plan.Writes & (1 << guestOther)) != 0)
        {
            PutBack(guestOther, vvvv);
        }
    }

    private static bool IsRead(in Plan plan, int guest) => (plan.Reads & (1 << guest)) != 0;

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

    /// <summary>
    /// The host's number for the register field: a general register's home (or none), another register, part of the opcode, or zero where
    /// the field means nothing (SETcc).
    /// </summary>
    private static int RegisterField(in Encoding e) =>
        e.Reg < 0 ? Math.Max((int)e.Digit, 0) : e.RegIsGeneral && !e.HasHighByte ? GuestRegisters.Host(e.Reg) : e.Reg;

    /// <summary>The host's number for the r/m field when it is a register. With AH to BH all registers are where the encoding says.</summary>
    private static int RmField(in Encoding e) => e.RmIsGeneral && !e.HasHighByte ? GuestRegisters.Host(e.Rm) : e.Rm;

    /// <summary>The instruction with other registers.</summary>
    private void Reencode(in Plan plan, int opcode, int reg, int vvvv, int rm)
    {
        EmitPrefixes(in plan, reg, vvvv, rm);
        _code.Byte(opcode);
        _code.ModRmRegister(reg, rm);
        EmitImmediate(in plan);
    }

    /// <summary>The instruction with another register, and with memory near one of the host's as its other operand.</summary>
    private void ReencodeMemory(in Plan plan, int opcode, int reg, int vvvv, int @base, int displacement)
    {
        EmitPrefixes(in plan, reg, vvvv, @base);
        _code.Byte(opcode);
        _code.ModRmMemory(reg, @base, displacement);
        EmitImmediate(in plan);
    }

    private void EmitImmediate(in Plan plan) => _code.Immediate(plan.Encoding.Immediate, plan.Encoding.ImmediateSize);

    /// <summary>All that comes in front of the opcode. The second source counts in VEX instructions only.</summary>
    private void EmitPrefixes(in Plan plan, int reg, int vvvv, int rm)
    {
        ref readonly Encoding e = ref plan.Encoding;
        if (e.IsVex)
        {
            int pp = e.OperandSize ? 1 : e.Form.Repeat switch { 0xF3 => 2, 0xF2 => 3, _ => 0 };
            _code.Vex(e.Map, pp, e.Wide, e.Form.Is256, reg, vvvv, rm);
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

        if (e.Form.Repeat != 0)
        {
            _code.Byte(e.Form.Repeat);
        }

        // Without REX the byte registers 4 to 7 would be AH to BH.
        _code.Rex(e.Wide, reg, 0, rm, force: e.HasLowByte && !e.HasHighByte);
        if (e.Map != 0)
        {
            _code.Byte(0x0F);
            if (e.Map >= 2)
            {
                _code.Byte(e.Map == 2 ? 0x38 : 0x3A);
            }
        }
    }
}
