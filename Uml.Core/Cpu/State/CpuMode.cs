namespace Uml.Core.Cpu.State;

/// <summary>The processor state that decoding and translation of code depend on; part of a block's key.</summary>
[Flags]
internal enum CpuMode : uint
{
    None = 0,

    /// <summary>64-bit mode: EFER.LMA and CS.L.</summary>
    Long64 = 1,

    /// <summary>CS.D: default operand and address size 32 bits.</summary>
    Code32 = 2,

    /// <summary>Protected mode (CR0.PE).</summary>
    Protected = 4,

    /// <summary>EFER.LMA.</summary>
    LongActive = 8,

    /// <summary>CPL 3.</summary>
    User = 16,

    /// <summary>Not in 64-bit mode, and DS, ES or SS is not a flat, writable 4 GiB segment: accesses check limits and add bases.</summary>
    Segmented = 32,

    /// <summary>SS.B: implicit stack accesses use ESP.</summary>
    Stack32 = 64,

    /// <summary>Virtual-8086 mode.</summary>
    Virtual8086 = 128,

    /// <summary>SSE instructions raise #UD or #NM (CR0.EM, CR0.TS, CR4.OSFXSR).</summary>
    VectorDisabled = 256,

    /// <summary>x87 and MMX instructions raise #NM or #UD (CR0.EM, CR0.TS).</summary>
    X87Disabled = 512,

    /// <summary>AVX instructions raise #UD or #NM (CR4.OSXSAVE, XCR0, CR0.TS, real-address and virtual-8086 mode).</summary>
    AvxDisabled = 1024,

    /// <summary>Not in 64-bit mode, and FS is a writable segment of 4 GiB, wherever it begins.</summary>
    UnlimitedFs = 2048,

    /// <summary>Likewise GS.</summary>
    UnlimitedGs = 4096,
}
