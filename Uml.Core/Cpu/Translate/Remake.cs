using Iced.Intel;

namespace Uml.Core.Cpu.Translate;

/// <summary>Instructions whose flags can be made again from their operands or their result.</summary>
internal static class Remake
{
    public static bool IsPossible(in Plan plan)
    {
        ref readonly Instruction i = ref plan.Instruction;
        if (plan.Form != Form.Plain || plan.Encoding.IsMemory || !plan.Encoding.HasModRm || plan.IsVector || !IsHomed(in i, 0))
        {
            return false;
        }

        bool register = i.Op1Kind == OpKind.Register;
        if (register && !IsHomed(in i, 1))
        {
            return false;
        }

        return i.Mnemonic switch
        {
            Mnemonic.Cmp or Mnemonic.Test or Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Inc or Mnemonic.Dec => true,

            // The other operand has to be there still, as it was.
            Mnemonic.Add or Mnemonic.Sub => !register || i.Op0Register.GetFullRegister() != i.Op1Register.GetFullRegister(),
            _ => false,
        };
    }

    /// <summary>Whether the carry flag stays, so that it has to be somewhere when the others are made again.</summary>
    public static bool KeepsCarry(in Plan plan) => plan.Instruction.Mnemonic is Mnemonic.Inc or Mnemonic.Dec;

    /// <summary>The registers it takes, a bit each.</summary>
    public static int Sources(in Plan plan)
    {
        ref readonly Instruction i = ref plan.Instruction;
        int sources = 1 << i.Op0Register.GetFullRegister().GetNumber();
        return i.Op1Kind == OpKind.Register ? sources | (1 << i.Op1Register.GetFullRegister().GetNumber()) : sources;
    }

    private static bool IsHomed(in Instruction i, int operand)
    {
        Register register = i.GetOpRegister(operand);
        return register.IsGPR() && register is not (>= Register.AH and <= Register.BH)
            && GuestRegisters.Host(register.GetFullRegister().GetNumber()) != GuestRegisters.None;
    }
}
