using Iced.Intel;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>What an instruction's operands come to in a given state.</summary>
internal static class Operands
{
    /// <summary>Number of the general register that holds <paramref name="register"/>, or -1.</summary>
    public static int GprNumber(Register register)
    {
        Register full = register.GetFullRegister();
        return full is >= Register.RAX and <= Register.R15 ? full - Register.RAX : -1;
    }

    public static bool HasMemory(in Instruction instruction) => FindMemory(instruction) >= 0;

    /// <summary>Number of the ModRM or moffs memory operand, or -1.</summary>
    public static int FindMemory(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Memory)
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>Bits of the addresses the instruction computes.</summary>
    public static int AddressBits(in Instruction instruction, int bitness)
    {
        Register register = instruction.MemoryBase != Register.None ? instruction.MemoryBase : instruction.MemoryIndex;
        if (register is Register.RIP)
        {
            return 64;
        }

        if (register is Register.EIP)
        {
            return 32;
        }

        if (register != Register.None && !register.IsXMM())
        {
            return register.GetSize() * 8;
        }

        // An absolute address: Iced has extended the displacement as the address size asks.
        return bitness == 64 ? 64 : instruction.MemoryDisplSize == 2 ? 16 : 32;
    }

    /// <summary>Sum of base, index and displacement and of a GS base, as the instruction would access it.</summary>
    public static ulong EffectiveAddress(in Instruction instruction, int bitness, ref MachineSnapshot state)
    {
        int bits = AddressBits(instruction, bitness);
        ulong sum = instruction.MemoryDisplacement64;
        if (!instruction.IsIPRelativeMemoryOperand)
        {
            sum += Value(instruction.MemoryBase, ref state);
            sum += Value(instruction.MemoryIndex, ref state) * (ulong)instruction.MemoryIndexScale;
        }

        return Wrap(sum, bits) + (UsesGs(instruction) ? state.GsBase : 0);
    }

    public static ulong Wrap(ulong value, int bits) => bits == 64 ? value : value & ((1UL << bits) - 1);

    public static bool UsesGs(in Instruction instruction) => instruction.SegmentPrefix == Register.GS;

    /// <summary>Value of a general register as an address part: 0 for none.</summary>
    public static ulong Value(Register register, ref MachineSnapshot state)
    {
        int number = GprNumber(register);
        if (number < 0)
        {
            return 0;
        }

        return register == Register.AL ? (byte)state.Gprs[0] : Wrap(state.Gprs[number], register.GetSize() * 8);
    }

    /// <summary>Bytes a memory operand takes, at least.</summary>
    public static int MemorySize(in Instruction instruction) => Math.Max(1, instruction.MemorySize.GetSize());

    /// <summary>Whether bits beyond the operand are addressed by a register (BT m, r and its kin).</summary>
    public static bool IsBitString(in Instruction instruction) =>
        instruction.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc
        && instruction.Op0Kind == OpKind.Memory && instruction.Op1Kind == OpKind.Register;
}
