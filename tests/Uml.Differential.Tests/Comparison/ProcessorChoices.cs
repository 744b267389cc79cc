using Iced.Intel;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Comparison;

/// <summary>
/// What manuals leave to the processor and processors do in different ways: one row for each kind, with the vendors that do not do as the
/// model (docs/engine.md, "Choices the manuals leave to the processor"). Single instructions, sequences and programs around page ends all
/// ask here. Encodings that are not the same instruction to all are in <see cref="EncodingChoices"/>.
/// </summary>
internal static class ProcessorChoices
{
    private static readonly ProcessorChoice[] s_all =
    [
        // Every vendor.
        new(null, Is(Mnemonic.Rcpps, Mnemonic.Rcpss, Mnemonic.Rsqrtps, Mnemonic.Rsqrtss, Mnemonic.Vrcpps, Mnemonic.Vrcpss, Mnemonic.Vrsqrtps, Mnemonic.Vrsqrtss),
            new Tolerance { XmmRelative = 3 * 1.5f / 4096 }, "approximations: each may be off by 1.5 * 2^-12 (Intel SDM vol. 2)"),
        new(null, Is(Mnemonic.Fsin, Mnemonic.Fcos, Mnemonic.Fsincos, Mnemonic.Fptan, Mnemonic.Fpatan, Mnemonic.F2xm1, Mnemonic.Fyl2x, Mnemonic.Fyl2xp1),
            new Tolerance { X87UnitsInLastPlace = 2, UndefinedStatusWord = 0x200 }, "the last place, and C1 that tells its rounding (Intel SDM vol. 1, 8.3.10)"),
        new(null, Is(Mnemonic.Fxsave, Mnemonic.Fxsave64),
            new Tolerance { IgnoredStore = [(6, 24), (28, 32)], AnyFaultAddress = true }, "FPU pointers are saved only on exceptions by some; MXCSR_MASK tells of AMD's misaligned mode"),
        new(null, Is(Mnemonic.Fxrstor, Mnemonic.Fxrstor64, Mnemonic.Fldenv, Mnemonic.Frstor, Mnemonic.Retf, Mnemonic.Iret, Mnemonic.Iretd, Mnemonic.Iretq),
            new Tolerance { AnyFaultAddress = true }, "the order of several accesses"),
        new(null, Is(Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Cmpsd, Mnemonic.Cmpsq), new Tolerance { AnyFault = true }, "which of two operands faults first"),
        new(null, Is(Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Cmpsd, Mnemonic.Cmpsq), Outcomes.TakeOtherOperand, "which of two operands faults first: CR2 in a program"),
        new(null, Is(Mnemonic.Popa, Mnemonic.Popad), new Tolerance { PartialOnFault = true }, "registers that were read before a fault"),
        new(null, (in Instruction i) => i.Code is Code.Fnstenv_m14byte or Code.Fnsave_m94byte,
            new Tolerance { AnyFaultAddress = true, IgnoredStore = [(6, 14)] }, "FPU pointers, and the order of accesses"),
        new(null, (in Instruction i) => i.Mnemonic is Mnemonic.Fnstenv or Mnemonic.Fnsave && i.Code is not (Code.Fnstenv_m14byte or Code.Fnsave_m94byte),
            new Tolerance { AnyFaultAddress = true, IgnoredStore = [(12, 28)] }, "FPU pointers, and the order of accesses"),

        // Intel, and code that the translator emits on Intel's processors.
        new(ProcessorVendor.Intel, (in Instruction i) => IsDotProduct(i.Mnemonic), Outcomes.TakeOtherNan, "which of several NaNs is kept"),

        // AMD.
        new(ProcessorVendor.Amd, IsAlignmentFree, Outcomes.IsAlignmentFault, "#AC for 16 and 32 bytes, by VCVTPH2PS, VCVTPS2PH and a 32-bit POP of a segment register"),
        new(ProcessorVendor.Amd, (in Instruction i) => i.HasRepPrefix || i.HasRepnePrefix, Outcomes.ClearUpperHalves, "REP with 32-bit addresses and no repetition leaves upper halves"),
        new(ProcessorVendor.Amd, (in Instruction i) => (i.HasRepPrefix || i.HasRepnePrefix) && IsStringComparison(i.Mnemonic),
            Outcomes.RestoreFlags, "a comparison that faults leaves the flags of the last repetition"),
        new(ProcessorVendor.Amd, (in Instruction i) => i.IsVsib, Outcomes.ExtendGatherMask, "a gather that faults leaves the mask elements it did not come to, and upper halves"),
        new(ProcessorVendor.Amd, (in Instruction i) => IsMaskedStore(i), Outcomes.TakeFaultAddress, "CR2 of a masked store that faults is its first byte in the page"),
        new(ProcessorVendor.Amd, (in Instruction i) => i.Code is Code.Movd_rm32_mm or Code.Movq_rm64_mm or Code.Movq_mmm64_mm or Code.Movntq_m64_mm,
            Outcomes.ResetTop, "an MMX store that faults leaves TOP"),
        new(ProcessorVendor.Amd, (in Instruction i) => IsX87Store(i), Outcomes.TakeX87Exception, "a store that an unmasked x87 exception suppresses faults all the same"),
        new(ProcessorVendor.Amd, (in Instruction i) => i.Code is Code.Fstp_m80fp or Code.Fbstp_m80bcd, Outcomes.TakeFirstEightBytes, "ten bytes that fault are not stored in part"),
        new(ProcessorVendor.Amd, (in Instruction i) => IsSelectorPush(i.Code), Outcomes.TakeUpperBytes, "PUSH of a segment register of 32 bits writes all of them"),
        new(ProcessorVendor.Amd, (in Instruction i) => IsSelectorPush(i.Code) || IsSelectorPop(i.Code), Outcomes.TakeShortAccess, "PUSH and POP of a segment register of 32 bits access all of them, in the next page too"),
        new(ProcessorVendor.Amd, Is(Mnemonic.Vcvtps2ph), Outcomes.TakeConversionFlags, "VCVTPS2PH whose store faults sets no flag and raises no #XM"),
    ];

    /// <summary>Forms whose results processors choose and that no program can go on with; single instructions test them.</summary>
    public static bool IsLeftOutOfPrograms(Code code) => IsSelectorPush(code) || IsDotProduct(code.Mnemonic());

    /// <summary>Which of several NaNs these keep is the processor's choice.</summary>
    public static bool IsDotProduct(Mnemonic mnemonic) => mnemonic is Mnemonic.Dpps or Mnemonic.Dppd or Mnemonic.Vdpps or Mnemonic.Vdppd;

    /// <summary>Whether #AC or another exception comes first, or comes at all, is each processor's own choice.</summary>
    public static bool LeavesAlignmentOpen(Mnemonic mnemonic) => mnemonic is Mnemonic.Fxsave or Mnemonic.Fxsave64 or Mnemonic.Fxrstor
        or Mnemonic.Fxrstor64 or Mnemonic.Maskmovq or Mnemonic.Maskmovdqu or Mnemonic.Vmaskmovdqu or Mnemonic.Retf or Mnemonic.Iret or Mnemonic.Iretd
        or Mnemonic.Iretq;

    /// <summary>
    /// Whose x87 units do as the model where the manual leaves C1 undefined or clears it (Intel SDM vol. 1, 8.1.3), and with arguments that
    /// are out of an instruction's range.
    /// </summary>
    public static bool HasX87OfModel(ProcessorVendor vendor) => vendor == ProcessorVendor.Amd;

    /// <summary>What is tolerated of an instruction whoever runs it.</summary>
    public static Tolerance ToleranceOf(in Instruction instruction)
    {
        Tolerance all = default;
        foreach (ProcessorChoice choice in s_all)
        {
            if (choice.Tolerance is { } own && choice.Applies(in instruction))
            {
                all |= own;
            }
        }

        return all;
    }

    /// <summary>Makes of what a processor did what the model does, where it chose otherwise.</summary>
    /// <param name="vendor">Whose processor <see cref="ChoiceCase.Expected"/> or <see cref="ChoiceCase.Actual"/> is of.</param>
    /// <param name="single">The case.</param>
    /// <returns>What has to be done besides.</returns>
    public static Explanation Adjust(ProcessorVendor vendor, ChoiceCase single)
    {
        Explanation result = Explanation.None;
        foreach (ProcessorChoice choice in s_all)
        {
            if (choice.Adjust is { } adjust && (choice.Vendor is null || choice.Vendor == vendor) && choice.Applies(in single.Instruction))
            {
                result = (Explanation)Math.Max((int)result, (int)adjust(single));
            }
        }

        return result;
    }

    /// <summary>
    /// Operands of 16 and 32 bytes, whose alignment Intel's processors do not check; the eight of VCVTPH2PS and VCVTPS2PH; the selector that a
    /// 32-bit POP reads.
    /// </summary>
    private static bool IsAlignmentFree(in Instruction i) => i.MemorySize.GetSize() is 16 or 32
        || i.Mnemonic is Mnemonic.Vcvtph2ps or Mnemonic.Vcvtps2ph || IsSelectorPop(i.Code) || IsSelectorPush(i.Code);

    private static bool IsStringComparison(Mnemonic mnemonic) => mnemonic is Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd or Mnemonic.Cmpsq
        or Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd or Mnemonic.Scasq;

    private static bool IsMaskedStore(in Instruction i) => i.Mnemonic is Mnemonic.Maskmovdqu or Mnemonic.Vmaskmovdqu
        || (i.Op0Kind == OpKind.Memory && i.Mnemonic is Mnemonic.Vmaskmovps or Mnemonic.Vmaskmovpd or Mnemonic.Vpmaskmovd or Mnemonic.Vpmaskmovq);

    private static bool IsX87Store(in Instruction i) => i.Op0Kind == OpKind.Memory
        && i.Mnemonic is Mnemonic.Fst or Mnemonic.Fstp or Mnemonic.Fist or Mnemonic.Fistp or Mnemonic.Fisttp or Mnemonic.Fbstp;

    private static bool IsSelectorPush(Code code) =>
        code is Code.Pushd_CS or Code.Pushd_SS or Code.Pushd_DS or Code.Pushd_ES or Code.Pushd_FS or Code.Pushd_GS;

    private static bool IsSelectorPop(Code code) => code is Code.Popd_SS or Code.Popd_DS or Code.Popd_ES or Code.Popd_FS or Code.Popd_GS;

    private static ProcessorChoice.Test Is(params Mnemonic[] mnemonics) => (in Instruction i) => Array.IndexOf(mnemonics, i.Mnemonic) >= 0;
}

/// <summary>One row.</summary>
/// <param name="Vendor">Whose processors do not do as the model; null when all may do otherwise.</param>
/// <param name="Applies">To which instructions.</param>
/// <param name="Why">What they do.</param>
internal sealed record ProcessorChoice(ProcessorVendor? Vendor, ProcessorChoice.Test Applies, string Why)
{
    /// <summary>A row that says what is not compared.</summary>
    public ProcessorChoice(ProcessorVendor? vendor, Test applies, Tolerance tolerance, string why)
        : this(vendor, applies, why) => Tolerance = tolerance;

    /// <summary>A row that says what becomes of an outcome.</summary>
    public ProcessorChoice(ProcessorVendor? vendor, Test applies, Func<ChoiceCase, Explanation> adjust, string why)
        : this(vendor, applies, why) => Adjust = adjust;

    public delegate bool Test(in Instruction instruction);

    public Tolerance? Tolerance { get; }

    public Func<ChoiceCase, Explanation>? Adjust { get; }
}

/// <summary>What a row made of an outcome.</summary>
internal enum Explanation
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>It was made what the model does; of a program, what comes behind is not comparable.</summary>
    Adjusted,

    /// <summary>The processor checked the alignment where the model does not: the case has to be run without alignment checks.</summary>
    AlignmentChecked,
}

/// <summary>An instruction with what two engines made of it.</summary>
internal sealed class ChoiceCase(Instruction instruction, int bitness, MachineSnapshot before, byte[] memory, Outcome expected, Outcome actual)
{
    public readonly Instruction Instruction = instruction;
    public MachineSnapshot Before = before;

    public int Bitness { get; } = bitness;

    /// <summary>Whether there are others: <see cref="Before"/> and <see cref="Memory"/> are of the start of the program then.</summary>
    public required bool IsProgram { get; init; }

    /// <summary>The data windows before.</summary>
    public byte[] Memory { get; } = memory;

    public Outcome Expected { get; } = expected;

    public Outcome Actual { get; } = actual;
}
