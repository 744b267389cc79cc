using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Writes an instruction of the guest again, with the host's registers for the guest's and a memory operand near the address register.</summary>
/// <param name="code">Writes it.</param>
/// <param name="homes">Brings registers that are kept in the state.</param>
internal sealed class InstructionEncoder(HostAssembler code, RegisterHomes homes)
{
    /// <summary>Writes an instruction.</summary>
    /// <param name="plan">The instruction.</param>
    /// <param name="offset">From the address register to its memory operand, if it has one.</param>
    public void Emit(in Plan plan, int offset)
    {
        if (!plan.Encoding.Form.HasModRm)
        {
            EmitOpcodeRegister(in plan);
        }
        else if (plan.Encoding.HasHighByte || !TryEmitOnState(in plan))
        {
            EmitModRm(in plan, offset);
        }
    }

    /// <summary>No ModR/M byte: nothing, or a register in the opcode's low bits.</summary>
    private void EmitOpcodeRegister(in Plan plan)
    {
        ref readonly Encoding e = ref plan.Encoding;
        int guest = e.OpcodeRegister;
        bool isGeneral = guest >= 0 && !plan.IsVector && !e.HasHighByte;
        int used = isGeneral ? homes.Use(guest, GuestRegisters.Scratch, load: IsRead(in plan, guest)) : Math.Max(guest, 0);
        code.Instruction(in e.Form.Opcode, used, e.Immediate, e.ImmediateSize);
        if (isGeneral)
        {
            homes.PutBack(guest, used);
        }
    }

    private void EmitModRm(in Plan plan, int offset)
    {
        ref readonly Encoding e = ref plan.Encoding;
        int guestReg = e.Reg;
        int guestRm = e.Rm;
        int reg = RegisterField(in e);
        bool regInState = reg == GuestRegisters.None;
        if (regInState)
        {
            reg = homes.Use(guestReg, GuestRegisters.Scratch, load: IsRead(in plan, guestReg));
        }

        int guestOther = e.Vvvv;
        int vvvv = Math.Max(guestOther, 0);
        bool isOtherGeneral = guestOther >= 0 && !plan.IsVector;
        bool otherInState = isOtherGeneral && GuestRegisters.IsInState(guestOther);
        if (isOtherGeneral)
        {
            vvvv = guestOther == guestReg ? reg : homes.Use(guestOther, regInState ? GuestRegisters.Address : GuestRegisters.Scratch, load: true);
            otherInState &= vvvv != reg;
        }

        if (e.IsMemory)
        {
            code.InstructionOnMemory(in e.Form.Opcode, reg, vvvv, GuestRegisters.Address, offset, e.Immediate, e.ImmediateSize);
        }
        else
        {
            int rm = RmField(in e);
            if (rm == GuestRegisters.None)
            {
                // The same register twice has to be one copy.
                rm = regInState && guestReg == guestRm ? reg
                    : otherInState && guestOther == guestRm ? vvvv
                    : homes.Use(guestRm, regInState || otherInState ? GuestRegisters.Address : GuestRegisters.Scratch, load: IsRead(in plan, guestRm));
            }

            code.InstructionOnRegister(in e.Form.Opcode, reg, vvvv, rm, e.Immediate, e.ImmediateSize);
            PutBackWritten(in plan, e.RmIsGeneral && !e.HasHighByte, guestRm, rm);
        }

        PutBackWritten(in plan, regInState, guestReg, reg);
        PutBackWritten(in plan, otherInState, guestOther, vvvv);
    }

    private void PutBackWritten(in Plan plan, bool isCopy, int guest, int used)
    {
        if (isCopy && (plan.Writes & (1 << guest)) != 0)
        {
            homes.PutBack(guest, used);
        }
    }

    /// <summary>
    /// Writes an instruction between registers with one of them in the state, as its memory operand, if that does the same: a register that is
    /// written has to be written as a whole, for what is narrower would leave the rest, or stall the next load of all of it.
    /// </summary>
    /// <returns>Whether it could be done.</returns>
    private bool TryEmitOnState(in Plan plan)
    {
        ref readonly Encoding e = ref plan.Encoding;
        if (e.IsMemory || e.IsVex || IsOtherWithMemory(plan.Instruction.Mnemonic))
        {
            return false;
        }

        bool regInState = e.RegIsGeneral && GuestRegisters.IsInState(e.Reg);
        if (e.RmIsGeneral && GuestRegisters.IsInState(e.Rm))
        {
            if (!MayBeMemory(in plan, e.Rm) || (regInState && e.Reg == e.Rm))
            {
                return false;
            }

            int reg = regInState ? homes.Use(e.Reg, GuestRegisters.Scratch, IsRead(in plan, e.Reg)) : RegisterField(in e);
            EmitOnState(in e, in e.Form.Opcode, reg, e.Rm);
            PutBackWritten(in plan, regInState, e.Reg, reg);
            return true;
        }

        if (!regInState || plan.IsVector || e.Map != 0 || !MayBeMemory(in plan, e.Reg))
        {
            return false;
        }

        // The same operation in the other direction: bit 1 of the opcode. TEST has no direction.
        Opcode opcode = e.Form.Opcode;
        bool hasDirection = opcode.Value is < 0x40 or (>= 0x88 and <= 0x8B);
        if (!hasDirection && opcode.Value is not (0x84 or 0x85))
        {
            return false;
        }

        opcode.Value ^= hasDirection ? (byte)2 : (byte)0;
        EmitOnState(in e, in opcode, GuestRegisters.Host(e.Rm), e.Reg);
        return true;
    }

    private void EmitOnState(in Encoding e, in Opcode opcode, int reg, int guest) =>
        code.InstructionOnMemory(in opcode, reg, vvvv: 0, GuestRegisters.State, StateLayout.Gpr(guest), e.Immediate, e.ImmediateSize);

    private static bool IsRead(in Plan plan, int guest) => (plan.Reads & (1 << guest)) != 0;

    /// <summary>
    /// The host's number for the register field: a general register's (or none), another register, part of the opcode, or zero where
    /// the field means nothing (SETcc).
    /// </summary>
    private static int RegisterField(in Encoding e) =>
        e.Reg < 0 ? Math.Max((int)e.Digit, 0) : e.RegIsGeneral && !e.HasHighByte ? GuestRegisters.Host(e.Reg) : e.Reg;

    /// <summary>The host's number for the r/m field when it is a register. With AH to BH all registers are where the encoding says.</summary>
    private static int RmField(in Encoding e) => e.RmIsGeneral && !e.HasHighByte ? GuestRegisters.Host(e.Rm) : e.Rm;

    /// <summary>Whether all of the register is written or nothing.</summary>
    private static bool MayBeMemory(in Plan plan, int guest) =>
        (plan.Writes & (1 << guest)) == 0 || (!plan.IsVector && plan.Instruction.Op0Register.GetSize() == sizeof(ulong));

    /// <summary>Instructions that do something else with a memory operand: they lock, or take an index for that of a bit string.</summary>
    private static bool IsOtherWithMemory(Mnemonic mnemonic) => mnemonic
        is Mnemonic.Xchg or Mnemonic.Xadd or Mnemonic.Cmpxchg or Mnemonic.Bt or Mnemonic.Btc or Mnemonic.Btr or Mnemonic.Bts;
}
