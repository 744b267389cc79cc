using Iced.Intel;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Translate;

/// <summary>Registers without a home, used where they are: as the memory operand of an instruction between registers.</summary>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>
    /// Emits an instruction between registers with one of them in the state, if that does the same: a register that is written has to be
    /// written as a whole, for what is narrower would leave the rest, or stall the next load of all of it.
    /// </summary>
    /// <returns>Whether it could be done.</returns>
    private bool TryEmitOnState(in Plan plan)
    {
        ref readonly Encoding e = ref plan.Encoding;
        if (e.IsMemory || e.IsVex || IsOtherWithMemory(plan.Instruction.Mnemonic))
        {
            return false;
        }

        bool regInState = e.RegIsGeneral && GuestRegisters.Host(e.Reg) == GuestRegisters.None;
        if (e.RmIsGeneral && GuestRegisters.Host(e.Rm) == GuestRegisters.None)
        {
            if (!MayBeMemory(in plan, e.Rm) || (regInState && e.Reg == e.Rm))
            {
                return false;
            }

            int reg = regInState ? Home(e.Reg, GuestRegisters.Scratch, IsRead(in plan, e.Reg)) : RegisterField(in e);
            ReencodeMemory(in plan, e.Opcode, reg, vvvv: 0, GuestRegisters.State, StateLayout.Gpr(e.Rm));
            if (regInState && (plan.Writes & (1 << e.Reg)) != 0)
            {
                PutBack(e.Reg, reg);
            }

            return true;
        }

        if (!regInState || plan.IsVector || e.Map != 0 || !MayBeMemory(in plan, e.Reg))
        {
            return false;
        }

        // The same operation in the other direction: bit 1 of the opcode. TEST has no direction.
        bool hasDirection = e.Opcode is < 0x40 or (>= 0x88 and <= 0x8B);
        if (!hasDirection && e.Opcode is not (0x84 or 0x85))
        {
            return false;
        }

        int opcode = hasDirection ? e.Opcode ^ 2 : e.Opcode;
        ReencodeMemory(in plan, opcode, GuestRegisters.Host(e.Rm), vvvv: 0, GuestRegisters.State, StateLayout.Gpr(e.Reg));
        return true;
    }

    /// <summary>Whether all of the register is written or nothing.</summary>
    private static bool MayBeMemory(in Plan plan, int guest) =>
        (plan.Writes & (1 << guest)) == 0 || (!plan.IsVector && plan.Instruction.Op0Register.GetSize() == sizeof(ulong));

    /// <summary>Instructions that do something else with a memory operand: they lock, or take an index for that of a bit string.</summary>
    private static bool IsOtherWithMemory(Mnemonic mnemonic) => mnemonic
        is Mnemonic.Xchg or Mnemonic.Xadd or Mnemonic.Cmpxchg or Mnemonic.Bt or Mnemonic.Btc or Mnemonic.Btr or Mnemonic.Bts;
}
