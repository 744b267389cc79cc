using Iced.Intel;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Comparison;

/// <summary>What one instruction leaves undefined (Intel SDM vol. 2, each instruction's "Flags Affected"), given the state before it.</summary>
internal static class Undefined
{
    private const uint Cf = StateGenerator.Cf, Af = StateGenerator.Af, Of = StateGenerator.Of;

    /// <summary>Status flags in RFLAGS that may come out either way.</summary>
    public static uint Flags(in Instruction instruction, ref MachineSnapshot before)
    {
        switch (instruction.Mnemonic)
        {
            // Documented as undefined AF, cleared by every processor: kept strict, programs have come to see it.
            case Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Test:
                return 0;
            case Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sal or Mnemonic.Sar:
                return Shift(instruction, ref before);
            case Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr:
                return Count(instruction, ref before) is 0 or 1 ? 0 : Of;
            case Mnemonic.Shld or Mnemonic.Shrd:
                return Count(instruction, ref before) switch { 0 => 0, 1 => Af, _ => Af | Of };
        }

        RflagsBits undefined = (RflagsBits)instruction.RflagsUndefined;
        uint flags = 0;
        flags |= (undefined & RflagsBits.OF) != 0 ? Of : 0;
        flags |= (undefined & RflagsBits.SF) != 0 ? StateGenerator.Sf : 0;
        flags |= (undefined & RflagsBits.ZF) != 0 ? StateGenerator.Zf : 0;
        flags |= (undefined & RflagsBits.AF) != 0 ? Af : 0;
        flags |= (undefined & RflagsBits.CF) != 0 ? Cf : 0;
        flags |= (undefined & RflagsBits.PF) != 0 ? StateGenerator.Pf : 0;
        return flags;
    }

    /// <summary>Condition code bits of the x87 status word that may come out either way.</summary>
    public static ushort StatusWord(in Instruction instruction)
    {
        RflagsBits undefined = (RflagsBits)instruction.RflagsUndefined;
        int bits = 0;
        bits |= (undefined & RflagsBits.C0) != 0 ? 0x100 : 0;
        bits |= (undefined & RflagsBits.C1) != 0 ? 0x200 : 0;
        bits |= (undefined & RflagsBits.C2) != 0 ? 0x400 : 0;
        bits |= (undefined & RflagsBits.C3) != 0 ? 0x4000 : 0;
        return (ushort)bits;
    }

    private static uint Shift(in Instruction instruction, ref MachineSnapshot before)
    {
        int count = Count(instruction, ref before);
        int bits = OperandBits(instruction);
        return count switch
        {
            0 => 0,
            1 => Af,
            _ => Af | Of | (count > bits && instruction.Mnemonic != Mnemonic.Sar ? Cf : 0),
        };
    }

    private static int OperandBits(in Instruction instruction) => 8 * (instruction.Op0Kind == OpKind.Memory
        ? Operands.MemorySize(instruction)
        : instruction.Op0Register.GetSize());

    private static int Count(in Instruction instruction, ref MachineSnapshot before)
    {
        int last = instruction.OpCount - 1;
        int count = instruction.GetOpKind(last) == OpKind.Register ? (int)before.Gprs[1] : (int)instruction.GetImmediate(last);
        return count & (OperandBits(instruction) == 64 ? 63 : 31);
    }
}
