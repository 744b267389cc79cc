using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Uml.Core.Cpu.Translate;

/// <summary>Vector instructions that run on the host's unit.</summary>
internal static class VectorForms
{
    public static bool IsNative(in Instruction i, CpuMode mode)
    {
        if ((mode & (CpuMode.VectorDisabled | CpuMode.X87Disabled)) != 0 || !Sse42.IsSupported || UsesOtherRegisters(in i))
        {
            return false;
        }

        switch (i.Mnemonic)
        {
            // An implicit memory operand.
            case Mnemonic.Maskmovdqu:

            // Count as MMX instructions, also when the source is memory.
            case Mnemonic.Cvtpi2ps or Mnemonic.Cvtpi2pd:

            // Approximations: the interpreter's are the same on every host.
            case Mnemonic.Rcpps or Mnemonic.Rcpss or Mnemonic.Rsqrtps or Mnemonic.Rsqrtss:
                return false;
        }

        return i.Encoding == EncodingKind.Legacy && IsSupported(in i);
    }

    private static bool IsSupported(in Instruction i)
    {
        foreach (CpuidFeature feature in i.CpuidFeatures)
        {
            switch (feature)
            {
                case CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSE3 or CpuidFeature.SSSE3 or CpuidFeature.SSE4_1 or CpuidFeature.SSE4_2:
                case CpuidFeature.AES when Aes.IsSupported:
                case CpuidFeature.PCLMULQDQ when Pclmulqdq.IsSupported:
                    break;
                default:
                    return false;
            }
        }

        return true;
    }

    /// <summary>Whether the memory operand has to be aligned (Intel SDM vol. 1, 11.4.1.1; vol. 2, 2.4).</summary>
    public static bool IsAligned(in Instruction i, in Encoding encoding, int size)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu:
            case Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64 or Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64 or Mnemonic.Pcmpistri or Mnemonic.Pcmpistrm:
                return false;
            default:
                return size == 16 && encoding.Vex == 0;
        }
    }

    /// <summary>Only XMM, and general registers that are not in memory.</summary>
    private static bool UsesOtherRegisters(in Instruction i)
    {
        for (int n = 0; n < i.OpCount; n++)
        {
            if (i.GetOpKind(n) == OpKind.Register && !i.GetOpRegister(n).IsXMM() && !i.GetOpRegister(n).IsGPR())
            {
                return true;
            }
        }

        return false;
    }
}
