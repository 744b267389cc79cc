namespace Uml.Core.Cpu.State;

/// <summary>Bits of CR0 (Intel SDM vol. 3, 2.5).</summary>
internal static class Cr0
{
    public const ulong PE = 1, MP = 1 << 1, EM = 1 << 2, TS = 1 << 3, ET = 1 << 4, NE = 1 << 5, WP = 1 << 16, AM = 1 << 18,
        NW = 1 << 29, CD = 1 << 30, PG = 1UL << 31;
}

/// <summary>Bits of CR3 with CR4.PCIDE set (Intel SDM vol. 3, 2.5 and 4.10.1): the PCID, and whether to keep its translations.</summary>
internal static class Cr3
{
    public const ulong Pcid = 0xFFF, NoFlush = 1UL << 63;
}

/// <summary>Bits of CR4 (Intel SDM vol. 3, 2.5).</summary>
internal static class Cr4
{
    public const ulong TSD = 1 << 2, DE = 1 << 3, PSE = 1 << 4, PAE = 1 << 5, MCE = 1 << 6, PGE = 1 << 7, PCE = 1 << 8, OSFXSR = 1 << 9,
        OSXMMEXCPT = 1 << 10, UMIP = 1 << 11, FSGSBASE = 1 << 16, PCIDE = 1 << 17, OSXSAVE = 1 << 18, SMEP = 1 << 20, SMAP = 1 << 21;
}

/// <summary>Bits of XCR0: state components (Intel SDM vol. 1, 13.3).</summary>
internal static class Xcr0
{
    public const ulong X87 = 1, SSE = 2, AVX = 4;
}

/// <summary>Bits of IA32_EFER (Intel SDM vol. 3, table 2-1).</summary>
internal static class Efer
{
    public const ulong SCE = 1, LME = 1 << 8, LMA = 1 << 10, NXE = 1 << 11;
}
