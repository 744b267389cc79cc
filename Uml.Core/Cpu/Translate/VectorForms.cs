using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>Vector instructions that run on the host's unit.</summary>
/// <param name="features">What both the guest's processor and the host's have.</param>
internal sealed class VectorForms(CpuFeatures features)
{
    /// <summary>Whether it works on vector registers.</summary>
    public static bool Is(in Instruction i)
    {
        if (i.Mnemonic is Mnemonic.Vzeroupper or Mnemonic.Vzeroall)
        {
            return true;
        }

        for (int n = 0; n < i.OpCount; n++)
        {
            if (i.GetOpRegister(n).IsVectorRegister())
            {
                return true;
            }
        }

        return false;
    }

    public bool IsNative(in Instruction i, CpuMode mode)
    {
        if (!Sse42.IsSupported || UsesOtherRegisters(in i))
        {
            return false;
        }

        switch (i.Mnemonic)
        {
            // An implicit memory operand, one that is a vector of addresses, or one of which a mask says how much is accessed.
            case Mnemonic.Maskmovdqu or Mnemonic.Vmaskmovdqu:
            case >= Mnemonic.Vgatherdpd and <= Mnemonic.Vgatherqps or >= Mnemonic.Vpgatherdd and <= Mnemonic.Vpgatherqq:
            case Mnemonic.Vmaskmovps or Mnemonic.Vmaskmovpd or Mnemonic.Vpmaskmovd or Mnemonic.Vpmaskmovq:

            // Count as MMX instructions, also when the source is memory.
            case Mnemonic.Cvtpi2ps or Mnemonic.Cvtpi2pd:

            // Approximations: the interpreter's are the same on every host.
            case Mnemonic.Rcpps or Mnemonic.Rcpss or Mnemonic.Rsqrtps or Mnemonic.Rsqrtss:
            case Mnemonic.Vrcpps or Mnemonic.Vrcpss or Mnemonic.Vrsqrtps or Mnemonic.Vrsqrtss:
                return false;
        }

        CpuMode disabled = i.Encoding switch
        {
            EncodingKind.Legacy => CpuMode.VectorDisabled | CpuMode.X87Disabled,
            EncodingKind.VEX when (features & CpuFeatures.Avx) != 0 => CpuMode.AvxDisabled,
            _ => mode,
        };
        return (mode & disabled) == 0 && IsSupported(in i);
    }

    private static bool IsSupported(in Instruction i)
    {
        foreach (CpuidFeature feature in i.CpuidFeatures)
        {
            switch (feature)
            {
                case CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSE3 or CpuidFeature.SSSE3 or CpuidFeature.SSE4_1 or CpuidFeature.SSE4_2:
                case CpuidFeature.AVX or CpuidFeature.AVX2 or CpuidFeature.FMA or CpuidFeature.F16C:
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
            case Mnemonic.Vmovaps or Mnemonic.Vmovapd or Mnemonic.Vmovdqa or Mnemonic.Vmovntps or Mnemonic.Vmovntpd or Mnemonic.Vmovntdq
                or Mnemonic.Vmovntdqa:
                return true;
            default:
                return size == 16 && !encoding.IsVex;
        }
    }

    /// <summary>Anything but XMM, YMM, and general registers.</summary>
    private static bool UsesOtherRegisters(in Instruction i)
    {
        for (int n = 0; n < i.OpCount; n++)
        {
            Register register = i.GetOpKind(n) == OpKind.Register ? i.GetOpRegister(n) : Register.None;
            if (register != Register.None && !register.IsXMM() && !register.IsYMM() && !register.IsGPR())
            {
                return true;
            }
        }

        return false;
    }
}
