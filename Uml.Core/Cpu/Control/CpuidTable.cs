using System.Numerics;
using System.Text;
using Uml.Core.Bus;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Control;

/// <summary>
/// What CPUID returns (Intel SDM vol. 2, CPUID): an x86-64-v2 processor, with the further features of its model. The signature is that of
/// an in-order Intel Atom (family 6, model 36H), which kernels know not to speculate, so that they enable no mitigations.
/// </summary>
internal sealed class CpuidTable
{
    /// <summary>CPUID.15H: the clock the time-stamp counter and the local APIC's timer derive from, in Hz.</summary>
    public const uint CrystalFrequency = 1_000_000_000;

    private const uint MaximumBasic = 0x1F, MaximumExtended = 0x80000008;
    private const uint Signature = 0x00030661;
    private const string Brand = "Uml Virtual CPU";

    // Leaf 1, ECX and EDX. OSXSAVE and APIC are dynamic.
    private const uint Osxsave = 1 << 27, Apic = 1 << 9, Htt = 1 << 28;

    /// <summary>SSE3, PCLMULQDQ, SSSE3, CX16, PCID, SSE4.1, SSE4.2, x2APIC, POPCNT, TSC-deadline, AES, XSAVE, RDRAND, hypervisor.</summary>
    private const uint Features1C = 1u << 0 | 1u << 1 | 1u << 9 | 1u << 13 | 1u << 17 | 1u << 19 | 1u << 20 | 1u << 21 | 1u << 23 | 1u << 24
        | 1u << 25 | 1u << 26 | 1u << 30 | 1u << 31;

    /// <summary>FPU, DE, PSE, TSC, MSR, PAE, MCE, CX8, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE-36, CLFSH, MMX, FXSR, SSE, SSE2, SS.</summary>
    private const uint Features1D = 1u << 0 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 11 | 1u << 12
        | 1u << 13 | 1u << 14 | 1u << 15 | 1u << 16 | 1u << 17 | 1u << 19 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26 | 1u << 27;

    /// <summary>FSGSBASE, TSC_ADJUST, FDP on exceptions only, SMEP, ERMS, INVPCID, no FCS and FDS, RDSEED, SMAP, CLFLUSHOPT, CLWB.</summary>
    private const uint Features7B = 1u << 0 | 1u << 1 | 1u << 6 | 1u << 7 | 1u << 9 | 1u << 10 | 1u << 13 | 1u << 18 | 1u << 20 | 1u << 23 | 1u << 24;

    /// <summary>What AVX brings to leaf 1, ECX: FMA, AVX, F16C; and to leaf 7, EBX: AVX2.</summary>
    private const uint AvxFeatures1C = 1u << 12 | 1u << 28 | 1u << 29, AvxFeatures7B = 1u << 5;

    /// <summary>UMIP, RDPID.</summary>
    private const uint Features7C = 1u << 2 | 1u << 22;

    /// <summary>FSRM, ARCH_CAPABILITIES.</summary>
    private const uint Features7D = 1u << 4 | 1u << 29;

    /// <summary>LAHF64, PREFETCHW; NX, 1 GiB pages, RDTSCP, LM; SYSCALL is there in 64-bit mode only.</summary>
    private const uint FeaturesExtC = 1u << 0 | 1u << 8, FeaturesExtD = 1u << 20 | 1u << 26 | 1u << 27 | 1u << 29, Syscall = 1 << 11;

    // What CpuFeatures adds: BMI1, BMI2 and ADX in leaf 7, EBX; MOVBE in leaf 1, ECX; LZCNT in leaf 80000001H, ECX.
    private const uint Bmi1 = 1 << 3, Bmi2 = 1 << 8, Adx = 1 << 19, Movbe = 1 << 22, Lzcnt = 1 << 5;

    private readonly uint _apicId;
    private readonly uint _processorCount;
    private readonly IMachineClock _clock;
    private readonly uint _coreShift;
    private readonly uint[] _brand = new uint[12];
    private readonly Dictionary<uint, CpuidValues> _set = [];

    /// <summary>The table of one processor.</summary>
    /// <param name="index">Its number and initial APIC ID.</param>
    /// <param name="processorCount">Processors in the machine: cores of one package, one thread each.</param>
    /// <param name="clock">Gives the frequency of the time-stamp counter.</param>
    public CpuidTable(int index, int processorCount, IMachineClock clock)
    {
        _apicId = (uint)index;
        _processorCount = (uint)processorCount;
        _clock = clock;
        _coreShift = (uint)BitOperations.Log2(BitOperations.RoundUpToPowerOf2(_processorCount));
        Span<byte> brand = stackalloc byte[48];
        brand.Clear();
        Encoding.ASCII.GetBytes(Brand, brand);
        for (int i = 0; i < _brand.Length; i++)
        {
            _brand[i] = BitConverter.ToUInt32(brand[(i * 4)..]);
        }
    }

    /// <summary>Overrides one leaf with all its subleaves; null restores the model's own.</summary>
    public void Set(uint leaf, CpuidValues? values)
    {
        if (values is { } set)
        {
            _set[leaf] = set;
        }
        else
        {
            _set.Remove(leaf);
        }
    }

    /// <summary>The answer to CPUID in the current state; dynamic bits follow CR4, XCR0 and the mode.</summary>
    /// <param name="s">The processor.</param>
    /// <param name="leaf">EAX.</param>
    /// <param name="subleaf">ECX.</param>
    /// <param name="apicEnabled">IA32_APIC_BASE has the local APIC enabled.</param>
    // SAFETY: s is a live processor's state (the handler contract, see Op), which is only read.
    public unsafe CpuidValues Query(CpuState* s, uint leaf, uint subleaf, bool apicEnabled)
    {
        if (_set.TryGetValue(leaf, out CpuidValues set))
        {
            return set;
        }

        if (leaf >= 0x40000000 && leaf < 0x50000000)
        {
            // Reserved for hypervisors: a leaf that no device has set is zero.
            return default;
        }

        if (leaf is > MaximumBasic and < 0x80000000 or > MaximumExtended)
        {
            // Out of range: the highest basic leaf answers (Intel SDM vol. 2, CPUID).
            leaf = MaximumBasic;
        }

        return leaf switch
        {
            1 => Version(s, apicEnabled),
            7 when subleaf == 0 => Structured(s->Features),
            0xD => ExtendedState(s, subleaf),
            0x80000001 => Extended(s),
            _ => Fixed(leaf, subleaf),
        };
    }

    private CpuidValues Fixed(uint leaf, uint subleaf) => leaf switch
    {
        0 => new CpuidValues(MaximumBasic, 0x756E6547, 0x6C65746E, 0x49656E69), // "GenuineIntel"
        2 => new CpuidValues(0x00FFF001, 0, 0, 0), // 64-byte prefetching; caches in leaf 4
        4 => Cache(subleaf),
        6 => new CpuidValues(4, 0, 0, 0), // ARAT: the APIC timer never stops
        0xB or 0x1F => Topology(subleaf),
        0x15 => Clock(),
        0x16 => Frequencies(),
        0x80000000 => new CpuidValues(MaximumExtended, 0, 0, 0),
        >= 0x80000002 and <= 0x80000004 => BrandPart((int)(leaf - 0x80000002) * 4),
        0x80000006 => new CpuidValues(0, 0, 0x04006040, 0), // level 2: 1 MiB, 8 ways, 64-byte lines
        0x80000007 => new CpuidValues(0, 0, 0, 1 << 8), // invariant TSC
        0x80000008 => new CpuidValues((uint)PhysicalAddresses.Bits | 48 << 8, 0, 0, 0),
        _ => default,
    };

    private unsafe CpuidValues Version(CpuState* s, bool apicEnabled)
    {
        uint ebx = (8 << 8) | (Math.Min(_processorCount, 255) << 16) | (_apicId << 24);
        uint ecx = Features1C | ((s->Cr4 & Cr4.OSXSAVE) != 0 ? Osxsave : 0) | Bit(s->Features, CpuFeatures.Movbe, Movbe)
            | Bit(s->Features, CpuFeatures.Avx, AvxFeatures1C);
        uint edx = Features1D | (apicEnabled ? Apic : 0) | (_processorCount > 1 ? Htt : 0);
        return new CpuidValues(Signature, ebx, ecx, edx);
    }

    private static CpuidValues Structured(CpuFeatures features)
    {
        uint ebx = Bit(features, CpuFeatures.Bmi1, Bmi1) | Bit(features, CpuFeatures.Bmi2, Bmi2) | Bit(features, CpuFeatures.Adx, Adx)
            | Bit(features, CpuFeatures.Avx, AvxFeatures7B);
        return new CpuidValues(0, Features7B | ebx, Features7C, Features7D);
    }

    private static unsafe CpuidValues Extended(CpuState* s)
    {
        uint syscall = (s->Mode & CpuMode.Long64) != 0 ? Syscall : 0;
        return new CpuidValues(0, 0, FeaturesExtC | Bit(s->Features, CpuFeatures.Lzcnt, Lzcnt), FeaturesExtD | syscall);
    }

    private static uint Bit(CpuFeatures features, CpuFeatures feature, uint bit) => (features & feature) != 0 ? bit : 0;

    /// <summary>Leaf 4: data and instruction caches of 32 KiB, 1 MiB of level 2, each core its own.</summary>
    private CpuidValues Cache(uint subleaf)
    {
        uint cores = ((1u << (int)_coreShift) - 1) << 26;
        const uint selfInitialising = 1 << 8;
        return subleaf switch
        {
            0 => new CpuidValues(1 | (1 << 5) | selfInitialising | cores, Geometry(8, 64), 63, 0),
            1 => new CpuidValues(2 | (1 << 5) | selfInitialising | cores, Geometry(8, 64), 63, 0),
            2 => new CpuidValues(3 | (2 << 5) | selfInitialising | cores, Geometry(8, 64), 2047, 0),
            _ => default,
        };

        static uint Geometry(uint ways, uint line) => ((ways - 1) << 22) | (line - 1);
    }

    /// <summary>Leaves 0BH and 1FH: one thread a core, all cores in one package.</summary>
    private CpuidValues Topology(uint subleaf) => subleaf switch
    {
        0 => new CpuidValues(0, 1, 1 << 8, _apicId),
        1 => new CpuidValues(_coreShift, _processorCount, (2 << 8) | 1, _apicId),
        _ => new CpuidValues(0, 0, subleaf & 0xFF, _apicId),
    };

    /// <summary>Leaf 0DH: sizes of what XCR0 enables and of what it could, the same for the standard and the compacted format.</summary>
    private static unsafe CpuidValues ExtendedState(CpuState* s, uint subleaf)
    {
        const uint xsaveopt = 1, xsavec = 2, xgetbv1 = 4;
        ulong supported = StateComponents.Supported(s);
        uint size = (uint)StateComponents.SizeOf(s->Xcr0);
        return subleaf switch
        {
            0 => new CpuidValues((uint)supported, size, (uint)StateComponents.SizeOf(supported), (uint)(supported >> 32)),
            1 => new CpuidValues(xsaveopt | xsavec | xgetbv1, size, 0, 0),
            2 when (supported & Xcr0.AVX) != 0 =>
                new CpuidValues(StateComponents.AvxSize, StateComponents.AvxOffset, 0, 0),
            _ => default,
        };
    }

    /// <summary>Leaf 15H: TSC frequency = crystal * EBX / EAX.</summary>
    private CpuidValues Clock()
    {
        ulong divisor = GreatestCommonDivisor(_clock.TscFrequency, CrystalFrequency);
        return new CpuidValues((uint)(CrystalFrequency / divisor), (uint)(_clock.TscFrequency / divisor), CrystalFrequency, 0);
    }

    private CpuidValues Frequencies()
    {
        var megahertz = (uint)(_clock.TscFrequency / 1_000_000);
        return new CpuidValues(megahertz, megahertz, 100, 0);
    }

    private CpuidValues BrandPart(int first) => new(_brand[first], _brand[first + 1], _brand[first + 2], _brand[first + 3]);

    private static ulong GreatestCommonDivisor(ulong a, ulong b)
    {
        while (b != 0)
        {
            (a, b) = (b, a % b);
        }

        return a;
    }
}
