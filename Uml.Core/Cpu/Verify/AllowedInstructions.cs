using Iced.Intel;

namespace Uml.Core.Cpu.Verify;

/// <summary>The allowlist of host instructions in translated code.</summary>
internal static class AllowedInstructions
{
    /// <summary>The defect of an instruction that does not depend on its context; null if it is allowed.</summary>
    public static string? Find(in Instruction i)
    {
        if (i.IsInvalid)
        {
            return "it is no instruction";
        }

        if (i.IsPrivileged || i.SegmentPrefix != Register.None || i.HasRepPrefix || i.HasRepnePrefix)
        {
            return "it is privileged, repeated, or has a segment prefix";
        }

        if (i.IsIPRelativeMemoryOperand)
        {
            return "it takes an address of the host's code";
        }

        bool isAllowed = i.FlowControl switch
        {
            FlowControl.Next => IsOperation(in i),

            // Without any prefix: processors differ in what an operand-size prefix does to branches (Intel SDM and AMD APM, JMP).
            FlowControl.UnconditionalBranch => i.Code == Code.Jmp_rel32_64 && i.Length == 5,
            FlowControl.ConditionalBranch => i.IsJccNear && i.Op0Kind == OpKind.NearBranch64 && i.Length == 6,
            FlowControl.Call => i.Code == Code.Call_rel32_64 && i.Length == 5,
            FlowControl.Exception => i.Code == Code.Ud2,
            FlowControl.IndirectBranch => i.Code == Code.Jmp_rm64 && i.Op0Kind == OpKind.Memory,
            _ => false,
        };
        return isAllowed ? null : "translated code does not have such instructions";
    }

    /// <summary>Whether it is an x87 or MMX instruction: the guest's state is in the host's registers in one flavor only.</summary>
    public static bool IsX87(in Instruction i)
    {
        foreach (CpuidFeature feature in i.CpuidFeatures)
        {
            if (feature is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387 or CpuidFeature.MMX)
            {
                return true;
            }
        }

        // With a source in memory the latter two may change the tags of the x87 registers all the same (Intel SDM vol. 2, CVTPI2PS).
        return i.Mnemonic is Mnemonic.Wait or Mnemonic.Cvtpi2ps or Mnemonic.Cvtpi2pd;
    }

    /// <summary>
    /// Whether it uses vector registers or MXCSR, which are the guest's in some flavors only. Conversions of memory to integers have no
    /// vector register, and still use MXCSR.
    /// </summary>
    public static bool IsVector(in Instruction i)
    {
        foreach (CpuidFeature feature in i.CpuidFeatures)
        {
            if (feature is CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSE3 or CpuidFeature.SSSE3 or CpuidFeature.SSE4_1 or CpuidFeature.SSE4_2
                or CpuidFeature.AES or CpuidFeature.PCLMULQDQ or CpuidFeature.AVX or CpuidFeature.AVX2 or CpuidFeature.FMA or CpuidFeature.F16C)
            {
                return i.Mnemonic is not (Mnemonic.Crc32 or Mnemonic.Movnti or Mnemonic.Lfence or Mnemonic.Mfence or Mnemonic.Sfence);
            }
        }

        return false;
    }

    private static bool IsOperation(in Instruction i)
    {
        foreach (CpuidFeature feature in i.CpuidFeatures)
        {
            switch (feature)
            {
                case CpuidFeature.INTEL8086 or CpuidFeature.INTEL186 or CpuidFeature.INTEL286 or CpuidFeature.INTEL386 or CpuidFeature.INTEL486
                    or CpuidFeature.X64 or CpuidFeature.TSC or CpuidFeature.MULTIBYTENOP:
                    if (!IsInteger(in i))
                    {
                        return false;
                    }

                    break;
                case CpuidFeature.CMOV or CpuidFeature.CX8 or CpuidFeature.CMPXCHG16B or CpuidFeature.POPCNT or CpuidFeature.LZCNT:
                case CpuidFeature.BMI1 or CpuidFeature.BMI2 or CpuidFeature.ADX or CpuidFeature.MOVBE:
                case CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSE3 or CpuidFeature.SSSE3 or CpuidFeature.SSE4_1 or CpuidFeature.SSE4_2:
                case CpuidFeature.AES or CpuidFeature.PCLMULQDQ or CpuidFeature.AVX or CpuidFeature.AVX2 or CpuidFeature.FMA or CpuidFeature.F16C:
                case CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387 or CpuidFeature.MMX:
                    break;
                default:
                    return false;
            }
        }

        return !IsControl(i.Mnemonic);
    }

    private static bool IsInteger(in Instruction i)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov:
                return i.Code is >= Code.Mov_rm8_r8 and <= Code.Mov_r64_rm64 or >= Code.Mov_r8_imm8 and <= Code.Mov_r64_imm64
                    or >= Code.Mov_rm8_imm8 and <= Code.Mov_rm64_imm32;

            // With a memory operand and a bit offset in a register, the address depends on the offset.
            case Mnemonic.Bt or Mnemonic.Btc or Mnemonic.Btr or Mnemonic.Bts:
                return i.Op0Kind == OpKind.Register || i.Op1Kind == OpKind.Immediate8;
            case Mnemonic.Add or Mnemonic.Adc or Mnemonic.Sub or Mnemonic.Sbb or Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Cmp:
            case Mnemonic.Test or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Neg or Mnemonic.Not or Mnemonic.Lea or Mnemonic.Nop:
            case Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr:
            case Mnemonic.Shld or Mnemonic.Shrd or Mnemonic.Movzx or Mnemonic.Movsx or Mnemonic.Movsxd or Mnemonic.Bswap or Mnemonic.Bsf or Mnemonic.Bsr:
            case Mnemonic.Imul or Mnemonic.Mul or Mnemonic.Div or Mnemonic.Idiv or Mnemonic.Xchg or Mnemonic.Xadd or Mnemonic.Cmpxchg:
            case Mnemonic.Cbw or Mnemonic.Cwde or Mnemonic.Cdqe or Mnemonic.Cwd or Mnemonic.Cdq or Mnemonic.Cqo:
            case Mnemonic.Lahf or Mnemonic.Sahf or Mnemonic.Clc or Mnemonic.Stc or Mnemonic.Cmc or Mnemonic.Rdtsc or Mnemonic.Wait:
            case >= Mnemonic.Seta and <= Mnemonic.Sets:
                return true;
            default:
                return false;
        }
    }

    /// <summary>
    /// Instructions of these units that load control registers, save or restore all state, or flush or prefetch cache lines. FLDCW has its
    /// own rule.
    /// </summary>
    private static bool IsControl(Mnemonic mnemonic) => mnemonic is Mnemonic.Ldmxcsr or Mnemonic.Stmxcsr or Mnemonic.Vldmxcsr or Mnemonic.Vstmxcsr
        or Mnemonic.Fldenv or Mnemonic.Fnstenv or Mnemonic.Fstenv or Mnemonic.Fnsave or Mnemonic.Fsave or Mnemonic.Frstor
        or Mnemonic.Prefetchnta or Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1 or Mnemonic.Prefetcht2
        or Mnemonic.Maskmovq or Mnemonic.Maskmovdqu or Mnemonic.Vmaskmovdqu
        or (>= Mnemonic.Vgatherdpd and <= Mnemonic.Vgatherqps) or (>= Mnemonic.Vpgatherdd and <= Mnemonic.Vpgatherqq);
}
