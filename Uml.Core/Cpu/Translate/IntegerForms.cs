using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Interpreter.Integer;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>Integer instructions whose own encoding is their translation.</summary>
internal static class IntegerForms
{
    /// <param name="i">The instruction.</param>
    /// <param name="encoding">Its encoding.</param>
    /// <param name="features">What the guest's processor has.</param>
    /// <param name="host">What the host's has.</param>
    public static Form Classify(in Instruction i, in Encoding encoding, CpuFeatures features, CpuFeatures host)
    {
        CpuFeatures needed = IntegerBinder.NeededBy(i.Mnemonic);
        if (needed != CpuFeatures.None)
        {
            return ClassifyExtension(in i, in encoding, needed, features, host);
        }

        switch (i.Mnemonic)
        {
            // Loads keep their order on the host as well (Intel SDM vol. 3, 9.2.2).
            case Mnemonic.Lfence:
            case Mnemonic.Nop or Mnemonic.Endbr64 or Mnemonic.Endbr32 or Mnemonic.Pause or Mnemonic.Prefetchnta or Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1
                or Mnemonic.Prefetcht2 or Mnemonic.Prefetchw:
                return Form.Nothing;
            case Mnemonic.Div or Mnemonic.Idiv:
                return Size(in i) >= 4 ? Form.Divide : Form.Handler;
        }

        if (!IsPlain(in i, in encoding) || (encoding.HasHighByte && NeedsRex(in i, in encoding)))
        {
            return Form.Handler;
        }

        return Form.Plain;
    }

    /// <summary>BMI, LZCNT, MOVBE, ADX: on a guest that has them, if the host has them too.</summary>
    private static Form ClassifyExtension(in Instruction i, in Encoding encoding, CpuFeatures needed, CpuFeatures features, CpuFeatures host)
    {
        if ((features & needed) == 0)
        {
            return i.Mnemonic == Mnemonic.Tzcnt ? Form.Plain : Form.Handler;
        }

        // Translation has two registers for operands that are kept in the state, one when an address takes the other.
        int scratch = encoding.IsMemory ? 1 : 2;
        return (host & needed) != 0 && CountInState(in encoding) <= scratch ? Form.Plain : Form.Handler;
    }

    /// <summary>Register operands, if they are general ones, that translation has to bring into scratch registers.</summary>
    public static int CountInState(in Encoding encoding) =>
        InState(encoding.Reg) + InState(encoding.Rm) + InState(encoding.Vvvv);

    private static int InState(int guest) => guest >= 0 && GuestRegisters.IsInState(guest) ? 1 : 0;

    private static int Size(in Instruction i) => i.Op0Kind == OpKind.Register ? i.Op0Register.GetSize() : i.MemorySize.GetSize();

    private static bool IsPlain(in Instruction i, in Encoding encoding)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov:
                return i.Code is >= Code.Mov_rm8_r8 and <= Code.Mov_r64_rm64
                    or >= Code.Mov_r8_imm8 and <= Code.Mov_r64_imm64
                    or >= Code.Mov_rm8_imm8 and <= Code.Mov_rm64_imm32
                    || (i.Code is >= Code.Mov_AL_moffs8 and <= Code.Mov_moffs64_RAX && encoding.Form.HasModRm);
            case Mnemonic.Bt or Mnemonic.Btc or Mnemonic.Btr or Mnemonic.Bts:
                // With a register index, a memory operand is a bit string that reaches beyond the operand.
                return i.Op0Kind == OpKind.Register || i.Op1Kind == OpKind.Immediate8;
            case Mnemonic.Add or Mnemonic.Adc or Mnemonic.Sub or Mnemonic.Sbb or Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Cmp
                or Mnemonic.Test or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Neg or Mnemonic.Not:
            case Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr
                or Mnemonic.Shld or Mnemonic.Shrd:
            case Mnemonic.Movzx or Mnemonic.Movsx or Mnemonic.Movsxd or Mnemonic.Imul or Mnemonic.Mul or Mnemonic.Bswap:
            case Mnemonic.Xchg or Mnemonic.Xadd or Mnemonic.Cmpxchg or Mnemonic.Cmpxchg8b or Mnemonic.Cmpxchg16b:
            case Mnemonic.Bsf or Mnemonic.Bsr or Mnemonic.Popcnt or Mnemonic.Crc32 or Mnemonic.Movnti:
            case Mnemonic.Cbw or Mnemonic.Cwde or Mnemonic.Cdqe or Mnemonic.Cwd or Mnemonic.Cdq or Mnemonic.Cqo:
            case Mnemonic.Mfence or Mnemonic.Sfence:
            case Mnemonic.Lahf or Mnemonic.Sahf or Mnemonic.Clc or Mnemonic.Stc or Mnemonic.Cmc:
            case >= Mnemonic.Seta and <= Mnemonic.Sets:
            case >= Mnemonic.Cmova and <= Mnemonic.Cmovs:
                return true;
            default:
                return false;
        }
    }

    /// <summary>AH to BH cannot be named in an instruction with a REX prefix, which the translation's address register asks for.</summary>
    private static bool NeedsRex(in Instruction i, in Encoding encoding)
    {
        if (encoding.IsMemory)
        {
            return true;
        }

        for (int n = 0; n < i.OpCount; n++)
        {
            if (i.GetOpKind(n) == OpKind.Register)
            {
                Register register = i.GetOpRegister(n);
                bool high = register is >= Register.AH and <= Register.BH;
                int host = high ? 0 : GuestRegisters.Host(register);
                if (host is GuestRegisters.None or >= 8)
                {
                    return true;
                }
            }
        }

        return false;
    }
}
