using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Native;

/// <summary>What of our CPU model the host's processor lacks: those forms have no reference here.</summary>
internal static class HostProcessor
{
    /// <summary>Whose processor this is (Intel SDM vol. 2, CPUID, leaf 0).</summary>
    public static ProcessorVendor Vendor { get; } = !X86Base.IsSupported ? ProcessorVendor.None : X86Base.CpuId(0, 0).Ebx switch
    {
        0x756E_6547 => ProcessorVendor.Intel, // "Genu"
        0x6874_7541 => ProcessorVendor.Amd, // "Auth"
        _ => ProcessorVendor.None,
    };

    /// <summary>Vendor, family and model, for the reader of a test run's output (Intel SDM vol. 2, CPUID, leaf 1: displayed family and model).</summary>
    public static string Description
    {
        get
        {
            if (!X86Base.IsSupported)
            {
                return "no x86 processor";
            }

            int signature = X86Base.CpuId(1, 0).Eax;
            int family = (signature >> 8) & 15, model = (signature >> 4) & 15;
            model += family is 6 or 15 ? (signature >> 12) & 0xF0 : 0;
            family += family == 15 ? (signature >> 20) & 0xFF : 0;
            return $"{Vendor} family {family} model {model} stepping {signature & 15}";
        }
    }

    /// <summary>AVX, AVX2, FMA and F16C, which our CPU model has all or none of; where one is missing all are left out.</summary>
    /// <remarks>
    /// The kernel's word and not the runtime's: with DOTNET_EnableAVX=0 the interpreter's portable code is compared with a processor
    /// that has AVX.
    /// </remarks>
    public static bool HasAvx { get; } = NativeExecutor.IsSupported && KernelEnables("avx", "avx2", "fma", "f16c");

    /// <summary>
    /// Whether user mode has a 32-bit code segment here: kernels without IA-32 emulation, and some hypervisors, have none.
    /// </summary>
    public static bool HasCode32 { get; } = !NativeExecutor.IsSupported || IsSelector(Layout.UserCode32);

    /// <summary>Whether a selector's descriptor is there, by LAR (Intel SDM vol. 2, LAR: zero flag).</summary>
    private static unsafe bool IsSelector(ushort selector)
    {
        const int protection = Libc.PROT_READ | Libc.PROT_WRITE | Libc.PROT_EXEC;
        byte* page = Libc.Map(0, Layout.PageSize, protection, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS);

        // xor eax, eax; lar edi, edi; setz al; ret
        ReadOnlySpan<byte> code = [0x31, 0xC0, 0x0F, 0x02, 0xFF, 0x0F, 0x94, 0xC0, 0xC3];
        code.CopyTo(new Span<byte>(page, code.Length));
        bool present = ((delegate* unmanaged<int, int>)page)(selector) != 0;
        Libc.Unmap((ulong)page, Layout.PageSize);
        return present;
    }

    /// <summary>The flags of the first processor in /proc/cpuinfo, of which the kernel strikes out what it does not enable.</summary>
    private static bool KernelEnables(params string[] features)
    {
        string? line = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("flags", StringComparison.Ordinal));
        return line is not null && !features.Except(line.Split(' ')).Any();
    }

    public static bool Has(CpuidFeature feature)
    {
        if (!NativeExecutor.IsSupported)
        {
            return true; // nothing is compared on such a host
        }

        return feature switch
        {
            CpuidFeature.SSE3 => Sse3.IsSupported,
            CpuidFeature.SSSE3 => Ssse3.IsSupported,
            CpuidFeature.SSE4_1 => Sse41.IsSupported,
            CpuidFeature.SSE4_2 => Sse42.IsSupported,
            CpuidFeature.POPCNT => Popcnt.IsSupported,
            CpuidFeature.AES => Aes.IsSupported,
            CpuidFeature.PCLMULQDQ => Pclmulqdq.IsSupported,
            CpuidFeature.LZCNT => (X86Base.CpuId(unchecked((int)0x80000001), 0).Ecx & (1 << 5)) != 0,
            CpuidFeature.MOVBE => (X86Base.CpuId(1, 0).Ecx & (1 << 22)) != 0,
            CpuidFeature.BMI1 => (ExtendedFeatures & (1 << 3)) != 0,
            CpuidFeature.BMI2 => (ExtendedFeatures & (1 << 8)) != 0,
            CpuidFeature.ADX => (ExtendedFeatures & (1 << 19)) != 0,
            CpuidFeature.CLFLUSHOPT => (ExtendedFeatures & (1 << 23)) != 0,
            CpuidFeature.CLWB => (ExtendedFeatures & (1 << 24)) != 0,
            CpuidFeature.AVX or CpuidFeature.AVX2 or CpuidFeature.FMA or CpuidFeature.F16C => HasAvx,
            CpuidFeature.FSGSBASE => NativeExecutor.HasGsBase,
            _ => true,
        };
    }

    /// <summary>CPUID.7.0:EBX (Intel SDM vol. 2, CPUID).</summary>
    private static int ExtendedFeatures => X86Base.CpuId(0, 0).Eax >= 7 ? X86Base.CpuId(7, 0).Ebx : 0;
}
