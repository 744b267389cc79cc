using Iced.Intel;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Translate;

/// <summary>Instructions whose flags can be made again, from their operands or their result.</summary>
internal static class Remake
{
    /// <summary>Whether that is possible as long as the registers in <see cref="FlagSource.Registers"/> are left alone.</summary>
    public static bool IsPossible(in Plan plan)
    {
        if (!IsCandidate(in plan))
        {
            return false;
        }

        ref readonly Instruction i = ref plan.Instruction;
        return i.Mnemonic switch
        {
            Mnemonic.Cmp or Mnemonic.Test or Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Inc or Mnemonic.Dec => true,

            // The other operand has to be there still, as it was.
            Mnemonic.Add or Mnemonic.Sub => i.Op1Kind != OpKind.Memory
                && (i.Op1Kind != OpKind.Register || i.Op0Register.GetFullRegister() != i.Op1Register.GetFullRegister()),
            _ => false,
        };
    }

    /// <summary>Whether it is possible whatever becomes of the registers, when the result of the logic instructions or the operands of others are kept.</summary>
    public static bool IsPossibleFromKept(in Plan plan)
    {
        if (!IsCandidate(in plan))
        {
            return false;
        }

        ref readonly Instruction i = ref plan.Instruction;
        return i.Mnemonic switch
        {
            Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Neg => true,
            Mnemonic.Add or Mnemonic.Sub => i.Op1Kind != OpKind.Memory,

            // With memory, the scratch register is what comes from there.
            Mnemonic.Cmp or Mnemonic.Test => !plan.Encoding.IsMemory || (IsInHost(in i, 0) && IsInHost(in i, 1)),
            Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar => i.Op1Kind == OpKind.Immediate8 && (i.Immediate8 & 31) != 0,
            _ => false,
        };
    }

    /// <summary>The source of an instruction's flags.</summary>
    /// <param name="plan">The instruction.</param>
    /// <param name="kept">Registers that it takes are kept.</param>
    public static FlagSource Describe(in Plan plan, bool kept)
    {
        ref readonly Instruction i = ref plan.Instruction;
        byte size = (byte)(i.Op0Kind == OpKind.Memory ? plan.MemorySize : i.Op0Register.GetSize());
        short first = Location(in i, 0, kept, FlagSource.KeptFirst);
        if (IsMadeOfResult(in plan))
        {
            return new FlagSource(FlagOperation.Test, size, first, first, 0);
        }

        FlagOperation operation = i.Mnemonic switch
        {
            Mnemonic.Cmp => FlagOperation.Cmp,
            Mnemonic.Test => FlagOperation.Test,
            Mnemonic.Add => FlagOperation.Add,
            Mnemonic.Sub => FlagOperation.Sub,
            Mnemonic.Inc => FlagOperation.Inc,
            Mnemonic.Dec => FlagOperation.Dec,
            Mnemonic.Shl => FlagOperation.Shl,
            Mnemonic.Shr => FlagOperation.Shr,
            Mnemonic.Sar => FlagOperation.Sar,
            _ => FlagOperation.Neg,
        };
        short second = i.OpCount > 1 ? Location(in i, 1, kept, FlagSource.KeptSecond) : FlagSource.Constant;
        int immediate = i.OpCount > 1 && second == FlagSource.Constant ? (int)(long)i.GetImmediate(1) : 0;
        return new FlagSource(operation, size, first, second, immediate);
    }

    /// <summary>Whether the flags follow from the result alone, so that it is what is kept.</summary>
    public static bool IsMadeOfResult(in Plan plan) => plan.Instruction.Mnemonic is Mnemonic.And or Mnemonic.Or or Mnemonic.Xor;

    /// <summary>A comparison with memory: what was there has to be kept in any case.</summary>
    public static bool ComparesMemory(in Plan plan) => plan.Encoding.IsMemory && plan.Instruction.Mnemonic is Mnemonic.Cmp or Mnemonic.Test;

    /// <summary>
    /// Whether the carry flag stays, so that it has to be somewhere when the others are made again. In memory these instructions are like
    /// any other that leaves some flags.
    /// </summary>
    public static bool KeepsCarry(in Plan plan) => !plan.Encoding.IsMemory && plan.Instruction.Mnemonic is Mnemonic.Inc or Mnemonic.Dec;

    private static short Location(in Instruction i, int operand, bool kept, short keptAt) => i.GetOpKind(operand) switch
    {
        OpKind.Memory => keptAt,
        OpKind.Register => kept ? keptAt : FlagSource.Of(i.GetOpRegister(operand).GetFullRegister().GetNumber()),
        _ => FlagSource.Constant,
    };

    /// <summary>An instruction on general registers, AH to BH left out, and constants; a comparison may take memory.</summary>
    private static bool IsCandidate(in Plan plan)
    {
        ref readonly Instruction i = ref plan.Instruction;
        if (plan.Form != Form.Plain || plan.IsVector || plan.Encoding.HasHighByte)
        {
            return false;
        }

        return i.Op0Kind == OpKind.Register ? i.Op0Register.IsGPR() : ComparesMemory(in plan);
    }

    private static bool IsInHost(in Instruction i, int operand) =>
        i.GetOpKind(operand) != OpKind.Register || GuestRegisters.Host(i.GetOpRegister(operand)) != GuestRegisters.None;
}
