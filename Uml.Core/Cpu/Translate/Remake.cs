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

    /// <summary>
    /// Whether its flags can be made again from what <see cref="BlockTranslator"/> keeps: the result of the logic instructions, the inputs of
    /// others.
    /// </summary>
    public static bool IsPossibleFromKept(in Plan plan)
    {
        ref readonly Instruction i = ref plan.Instruction;
        if (plan.Form != Form.Plain || !plan.Encoding.HasModRm || plan.IsVector || !IsHomed(in i, 0))
        {
            return false;
        }

        return i.Mnemonic switch
        {
            Mnemonic.And or Mnemonic.Or or Mnemonic.Xor => true,
            Mnemonic.Add or Mnemonic.Sub or Mnemonic.Cmp => i.Op1Kind == OpKind.Register ? IsHomed(in i, 1) : i.Op1Kind != OpKind.Memory,
            Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar => i.Op1Kind == OpKind.Immediate8 && (i.Immediate8 & 31) != 0,
            Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Neg => true,
            _ => false,
        };
    }

    /// <summary>Whether the result tells the flags, so that it is what is kept.</summary>
    public static bool IsTold(in Plan plan) => plan.Instruction.Mnemonic is Mnemonic.And or Mnemonic.Or or Mnemonic.Xor;

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
            && GuestRegisters.Host(register) != GuestRegisters.None;
    }
}
