using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>x87 and MMX instructions that run on the host's unit.</summary>
internal static class X87Forms
{
    /// <summary>Whether it needs the x87 unit's registers or control words.</summary>
    public static bool Is(in Instruction i, in Encoding encoding)
    {
        if (encoding is { Map: 0, OpcodeByte: >= 0xD8 and <= 0xDF or 0x9B } || i.Code == Code.Emms)
        {
            return true;
        }

        for (int n = 0; n < i.OpCount; n++)
        {
            if (i.GetOpRegister(n) is >= Register.ST0 and <= Register.ST7 or >= Register.MM0 and <= Register.MM7)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether an instruction's handler may look at the x87 unit's state.</summary>
    public static bool MayTouch(in Instruction i, in Encoding encoding) => Is(in i, in encoding)
        || i.Mnemonic is Mnemonic.Fxsave or Mnemonic.Fxsave64 or Mnemonic.Fxrstor or Mnemonic.Fxrstor64 or Mnemonic.Xsave or Mnemonic.Xsave64
            or Mnemonic.Xsaveopt or Mnemonic.Xsaveopt64 or Mnemonic.Xsavec or Mnemonic.Xsavec64 or Mnemonic.Xsaves or Mnemonic.Xsaves64
            or Mnemonic.Xrstor or Mnemonic.Xrstor64 or Mnemonic.Xrstors or Mnemonic.Xrstors64 or Mnemonic.Cvtpi2ps or Mnemonic.Cvtpi2pd
        || !encoding.IsKnown;

    public static Form Classify(in Instruction i, CpuMode mode)
    {
        if ((mode & (CpuMode.VectorDisabled | CpuMode.X87Disabled)) != 0)
        {
            return Form.Handler;
        }

        switch (i.Mnemonic)
        {
            case Mnemonic.Fldcw:
                return Form.LoadControlWord;

            // The whole unit at once, with pointers that the host does not have.
            case Mnemonic.Fldenv or Mnemonic.Fnstenv or Mnemonic.Fnsave or Mnemonic.Frstor:

            // Results differ between processors in the last place: the interpreter's are the same on every host.
            case Mnemonic.F2xm1 or Mnemonic.Fyl2x or Mnemonic.Fyl2xp1 or Mnemonic.Fptan or Mnemonic.Fpatan or Mnemonic.Fsin or Mnemonic.Fcos
                or Mnemonic.Fsincos:

            // An implicit memory operand.
            case Mnemonic.Maskmovq:
                return Form.Handler;
            default:
                return Form.Plain;
        }
    }
}
