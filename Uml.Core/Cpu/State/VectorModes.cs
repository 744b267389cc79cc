namespace Uml.Core.Cpu.State;

/// <summary>Which vector and x87 instructions control registers allow (Intel SDM vol. 3, 2.5 and table 13-1).</summary>
// SAFETY: s is a live processor's state (the handler contract, see Op), which is only read.
internal static unsafe class VectorModes
{
    /// <summary>The bits of the block mode that say whether vector and x87 instructions are disabled.</summary>
    public static CpuMode ModeBits(CpuState* s)
    {
        CpuMode avx = IsAvxEnabled(s) && (s->Cr0 & Cr0.TS) == 0 ? CpuMode.None : CpuMode.AvxDisabled;
        return avx | LegacyModeBits(s);
    }

    private static CpuMode LegacyModeBits(CpuState* s)
    {
        if ((s->Cr0 & (Cr0.EM | Cr0.TS)) != 0)
        {
            return CpuMode.VectorDisabled | CpuMode.X87Disabled;
        }

        return (s->Cr4 & Cr4.OSFXSR) == 0 ? CpuMode.VectorDisabled : CpuMode.None;
    }

    /// <summary>Protected mode, CR4.OSXSAVE, and XCR0 with both SSE and AVX state.</summary>
    public static bool IsAvxEnabled(CpuState* s)
    {
        const ulong states = Xcr0.SSE | Xcr0.AVX;
        return (s->Cr4 & Cr4.OSXSAVE) != 0 && (s->Xcr0 & states) == states
            && (s->Cr0 & Cr0.PE) != 0 && (s->SystemFlags & Flags.VM) == 0;
    }
}
