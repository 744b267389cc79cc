namespace Uml.Core.Cpu.State;

/// <summary>
/// Instruction sets that some CPU models have and others lack, fixed when a processor is made. Instruction sets that every model has are
/// not listed.
/// </summary>
[Flags]
internal enum CpuFeatures : uint
{
    None = 0,

    /// <summary>ANDN, BEXTR, BLSI, BLSMSK, BLSR, TZCNT.</summary>
    Bmi1 = 1,

    /// <summary>BZHI, MULX, PDEP, PEXT, RORX, SARX, SHLX, SHRX.</summary>
    Bmi2 = 2,

    Lzcnt = 4,

    Movbe = 8,

    /// <summary>ADCX, ADOX.</summary>
    Adx = 16,

    /// <summary>AVX, AVX2, FMA and F16C: all of them or none.</summary>
    Avx = 32,

    /// <summary>What <c>CpuModel.X64V3</c> has (System V ABI, AMD64 supplement, table 3.1), and ADX.</summary>
    X64V3 = Bmi1 | Bmi2 | Lzcnt | Movbe | Adx | Avx,
}
