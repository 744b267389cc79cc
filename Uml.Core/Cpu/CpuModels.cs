using System.Runtime.Intrinsics.X86;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <summary>The features of the CPU models.</summary>
internal static class CpuModels
{
    /// <summary>The model that <see cref="CpuModel.Host"/> stands for on this host; any other is itself.</summary>
    public static CpuModel Resolve(CpuModel model) =>
        model != CpuModel.Host ? model : HostHasX64V3() ? CpuModel.X64V3 : CpuModel.X64V2;

    /// <summary>The features of a resolved model.</summary>
    public static CpuFeatures FeaturesOf(CpuModel model) => model == CpuModel.X64V3 ? CpuFeatures.X64V3 : CpuFeatures.None;

    /// <summary>The features in which models differ that the host's processor has.</summary>
    public static CpuFeatures OfHost()
    {
        CpuFeatures features = CpuFeatures.None;
        features |= HasAvx() ? CpuFeatures.Avx : 0;
        features |= Bmi1.X64.IsSupported ? CpuFeatures.Bmi1 : 0;
        features |= Bmi2.X64.IsSupported ? CpuFeatures.Bmi2 : 0;
        features |= Lzcnt.X64.IsSupported ? CpuFeatures.Lzcnt : 0;
        if (X86Base.IsSupported)
        {
            // .NET has no names for these (Intel SDM vol. 2, CPUID): leaf 1, ECX bit 22, and leaf 7, EBX bit 19.
            features |= (X86Base.CpuId(1, 0).Ecx & (1 << 22)) != 0 ? CpuFeatures.Movbe : 0;
            features |= (X86Base.CpuId(7, 0).Ebx & (1 << 19)) != 0 ? CpuFeatures.Adx : 0;
        }

        return features;
    }

    /// <summary>Whether everything of x86-64-v3 runs here, on the processor and under its operating system.</summary>
    private static bool HostHasX64V3() => (CpuFeatures.X64V3 & ~CpuFeatures.Adx & ~OfHost()) == CpuFeatures.None;

    private static bool HasAvx()
    {
        // .NET has no name for F16C.
        const int f16c = 1 << 29;
        return Avx2.IsSupported && Fma.IsSupported && (X86Base.CpuId(1, 0).Ecx & f16c) != 0;
    }
}
