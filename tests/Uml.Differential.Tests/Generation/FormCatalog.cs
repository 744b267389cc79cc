using Iced.Intel;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Generation;

/// <summary>Which instruction forms (Iced's <see cref="Code"/>) the differential test runs, and why it leaves the others out.</summary>
internal sealed class FormCatalog
{
    /// <summary>The features of our CPU model (x86-64-v3 without AVX, and what Linux likes to use) that come with user-mode instructions.</summary>
    private static readonly HashSet<CpuidFeature> s_model =
    [
        CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386,
        CpuidFeature.INTEL486, CpuidFeature.X64, CpuidFeature.CMOV, CpuidFeature.CX8, CpuidFeature.CMPXCHG16B, CpuidFeature.FPU,
        CpuidFeature.FPU287, CpuidFeature.FPU387, CpuidFeature.MMX, CpuidFeature.FXSR, CpuidFeature.SSE, CpuidFeature.SSE2,
        CpuidFeature.SSE3, CpuidFeature.SSSE3, CpuidFeature.SSE4_1, CpuidFeature.SSE4_2, CpuidFeature.POPCNT, CpuidFeature.AES,
        CpuidFeature.PCLMULQDQ, CpuidFeature.XSAVE, CpuidFeature.FSGSBASE, CpuidFeature.CLFSH, CpuidFeature.MULTIBYTENOP,
        CpuidFeature.PAUSE, CpuidFeature.CET_IBT, CpuidFeature.INVPCID, CpuidFeature.MSR, CpuidFeature.SMAP, CpuidFeature.SEP,
        CpuidFeature.SYSCALL, CpuidFeature.TSC, CpuidFeature.RDTSCP, CpuidFeature.RDRAND, CpuidFeature.CPUID, CpuidFeature.PREFETCHW,
        CpuidFeature.PREFETCHWT1, CpuidFeature.PREFETCHITI, CpuidFeature.CLDEMOTE, CpuidFeature.CLFLUSHOPT, CpuidFeature.CLWB, CpuidFeature.WBNOINVD,
        CpuidFeature.BMI1, CpuidFeature.BMI2, CpuidFeature.LZCNT, CpuidFeature.MOVBE, CpuidFeature.ADX,
        CpuidFeature.AVX, CpuidFeature.AVX2, CpuidFeature.FMA, CpuidFeature.F16C,
    ];

    public const string NotInModel = "not in the CPU model";

    private readonly Dictionary<Code, string> _excluded = [];

    private FormCatalog(int bitness)
    {
        Bitness = bitness;
        var covered = new List<OpCodeInfo>();
        foreach (Code code in Enum.GetValues<Code>())
        {
            OpCodeInfo info = code.ToOpCode();
            if (!info.IsInstruction || info.Encoding is not (EncodingKind.Legacy or EncodingKind.VEX) || !(bitness == 64 ? info.Mode64 : info.Mode32))
            {
                continue;
            }

            string? reason = ReasonToExclude(info, bitness);
            if (reason is null)
            {
                covered.Add(info);
            }
            else
            {
                _excluded.Add(code, reason);
            }
        }

        Covered = covered;
    }

    public static FormCatalog Mode64 { get; } = new(64);

    public static FormCatalog Mode32 { get; } = new(32);

    public int Bitness { get; }

    public static FormCatalog For(int bitness) => bitness == 64 ? Mode64 : Mode32;

    /// <summary>Forms that are generated, in a fixed order.</summary>
    public IReadOnlyList<OpCodeInfo> Covered { get; }

    /// <summary>Forms of the legacy and the VEX encoding that are not, with the reason.</summary>
    public IReadOnlyDictionary<Code, string> Excluded => _excluded;

    private static string? ReasonToExclude(OpCodeInfo info, int bitness)
    {
        if (ReasonByMnemonic(info) is { } reason)
        {
            return reason;
        }

        // RDSSP does nothing while shadow stacks are off, which is how compilers come to emit it.
        bool isHint = info.Mnemonic is Mnemonic.Rdsspd or Mnemonic.Rdsspq;
        foreach (CpuidFeature feature in info.Code.CpuidFeatures())
        {
            if (!isHint && !s_model.Contains(feature))
            {
                return $"{NotInModel}: {feature}";
            }

            if (!HostProcessor.Has(feature))
            {
                return $"this host's processor lacks it: {feature}";
            }
        }

        if (info.Fwait)
        {
            return "pseudo form of two instructions (WAIT and the no-wait form), each covered";
        }

        if (info.DecoderOption != DecoderOptions.None || !(bitness == 64 ? info.IntelDecoder64 : info.IntelDecoder32))
        {
            return "decoded only on request: the processors of our model do not have it";
        }

        return EncodingChoices.WhyLeftOut(info.Code) ?? ReasonByCode(info.Code);
    }

    private static string? ReasonByMnemonic(OpCodeInfo info) => info.Mnemonic switch
    {
        Mnemonic.Rdtsc or Mnemonic.Rdtscp or Mnemonic.Rdrand or Mnemonic.Rdseed or Mnemonic.Rdpmc => "its result differs each time",
        Mnemonic.Rdpid => "tells which processor the thread runs on",
        Mnemonic.Cpuid or Mnemonic.Xgetbv => "tells the processor's model, which differs by design",
        Mnemonic.Syscall or Mnemonic.Sysenter or Mnemonic.Sysret or Mnemonic.Sysretq or Mnemonic.Sysexit or Mnemonic.Sysexitq => "enters or leaves the kernel: covered by the system tests",
        Mnemonic.Sgdt or Mnemonic.Sidt or Mnemonic.Sldt or Mnemonic.Str or Mnemonic.Smsw =>
            "the host's kernel emulates it for user mode (UMIP): covered by the system tests",
        Mnemonic.Lfs or Mnemonic.Lgs or Mnemonic.Lss =>
            "loads segment registers that the host thread needs (FS, SS) or whose base the thunk restores (GS): covered by the system tests",
        Mnemonic.Wrfsbase or Mnemonic.Rdfsbase => "FS is the host thread's own",
        Mnemonic.Vmcall or Mnemonic.Vmmcall => "would be taken by the host's own hypervisor",
        Mnemonic.Xsaveopt or Mnemonic.Xsaveopt64 or Mnemonic.Xsavec or Mnemonic.Xsavec64 or Mnemonic.Xsaves or Mnemonic.Xsaves64
            or Mnemonic.Xrstors or Mnemonic.Xrstors64 or Mnemonic.Xsave or Mnemonic.Xsave64 or Mnemonic.Xrstor or Mnemonic.Xrstor64 =>
            "its components are those of the host's XCR0, AVX included: covered by the system tests",
        Mnemonic.Xsetbv => "#GP or #UD by CR4.OSXSAVE, which is the kernel's: covered by the system tests",
        _ => null,
    };

    private static string? ReasonByCode(Code code) => code switch
    {
        Code.Popw_FS or Code.Popq_FS or Code.Popw_GS or Code.Popq_GS or Code.Popd_FS or Code.Popd_GS or Code.Popd_SS or Code.Popw_SS =>
            "loads segment registers that the host thread needs (FS, SS) or whose base the thunk restores (GS): covered by the system tests",
        Code.Bswap_r16 => "its result is undefined (Intel SDM vol. 2, BSWAP)",
        Code.Jmp_m1616 or Code.Jmp_m1632 =>
            "a hypervisor was seen that does not come back from it; far calls and returns go the same way, and it is covered by the system tests",
        Code.Int_imm8 => "a hypervisor may have gates of its own, which take another path: covered by the system tests",
        Code.Int1 => "under some hypervisors it reports its own address instead of the next: covered by the system tests",
        _ => null,
    };
}
