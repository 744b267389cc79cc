using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.State;
using Uml.Core.Sandbox;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Machine;

/// <summary>What a guest finds on each CPU model: what CPUID says, and what the instructions do.</summary>
[TestFixture]
public sealed class CpuModelTests
{
    private const byte InvalidOpcode = 6;

    private static readonly (string Name, byte[] Code)[] s_instructions =
    [
        ("andn eax, ebx, ecx", [0xC4, 0xE2, 0x60, 0xF2, 0xC1]),
        ("bextr eax, ecx, ebx", [0xC4, 0xE2, 0x60, 0xF7, 0xC1]),
        ("blsi eax, ecx", [0xC4, 0xE2, 0x78, 0xF3, 0xD9]),
        ("blsmsk eax, ecx", [0xC4, 0xE2, 0x78, 0xF3, 0xD1]),
        ("blsr eax, ecx", [0xC4, 0xE2, 0x78, 0xF3, 0xC9]),
        ("bzhi eax, ecx, ebx", [0xC4, 0xE2, 0x60, 0xF5, 0xC1]),
        ("mulx eax, ebx, ecx", [0xC4, 0xE2, 0x63, 0xF6, 0xC1]),
        ("pdep eax, ebx, ecx", [0xC4, 0xE2, 0x63, 0xF5, 0xC1]),
        ("pext eax, ebx, ecx", [0xC4, 0xE2, 0x62, 0xF5, 0xC1]),
        ("rorx eax, ecx, 7", [0xC4, 0xE3, 0x7B, 0xF0, 0xC1, 7]),
        ("sarx eax, ecx, ebx", [0xC4, 0xE2, 0x62, 0xF7, 0xC1]),
        ("shlx eax, ecx, ebx", [0xC4, 0xE2, 0x61, 0xF7, 0xC1]),
        ("shrx eax, ecx, ebx", [0xC4, 0xE2, 0x63, 0xF7, 0xC1]),
        ("movbe eax, [rsp]", [0x0F, 0x38, 0xF0, 0x04, 0x24]),
        ("adcx eax, ecx", [0x66, 0x0F, 0x38, 0xF6, 0xC1]),
        ("adox eax, ecx", [0xF3, 0x0F, 0x38, 0xF6, 0xC1]),
        ("vaddps xmm0, xmm1, xmm2", [0xC5, 0xF0, 0x58, 0xC2]),
        ("vpaddd ymm0, ymm1, ymm2", [0xC5, 0xF5, 0xFE, 0xC2]),
        ("vfmadd231pd ymm0, ymm1, ymm2", [0xC4, 0xE2, 0xF5, 0xB8, 0xC2]),
        ("vcvtph2ps ymm0, xmm1", [0xC4, 0xE2, 0x7D, 0x13, 0xC1]),
    ];

    private static IEnumerable<TestCaseData> Instructions => s_instructions.Select(each => new TestCaseData(each.Code).SetArgDisplayNames(each.Name));

    /// <summary>Those on general registers. That AVX depends on the block mode is tested with AVX.</summary>
    private static IEnumerable<TestCaseData> VexInstructions =>
        s_instructions.Where(each => each.Code[0] == 0xC4 && !each.Name.Contains("mm", StringComparison.Ordinal)).Select(each => new TestCaseData(each.Code).SetArgDisplayNames(each.Name));

    /// <summary>Leaf, subleaf, register (0 EAX to 3 EDX) and bit (Intel SDM vol. 2, CPUID).</summary>
    private static IEnumerable<TestCaseData> Bits =>
    [
        new TestCaseData(1u, 2, 12).SetArgDisplayNames("FMA"),
        new TestCaseData(1u, 2, 22).SetArgDisplayNames("MOVBE"),
        new TestCaseData(1u, 2, 28).SetArgDisplayNames("AVX"),
        new TestCaseData(1u, 2, 29).SetArgDisplayNames("F16C"),
        new TestCaseData(7u, 1, 3).SetArgDisplayNames("BMI1"),
        new TestCaseData(7u, 1, 5).SetArgDisplayNames("AVX2"),
        new TestCaseData(7u, 1, 8).SetArgDisplayNames("BMI2"),
        new TestCaseData(7u, 1, 19).SetArgDisplayNames("ADX"),
        new TestCaseData(0xDu, 0, 2).SetArgDisplayNames("AVX in XCR0"),
        new TestCaseData(0x80000001u, 2, 5).SetArgDisplayNames("LZCNT"),
    ];

    [TestCaseSource(nameof(Bits))]
    public void The_larger_model_announces_what_the_smaller_one_lacks(uint leaf, int register, int bit)
    {
        Assert.That(Query(CpuModel.X64V3, leaf)[register] >> bit & 1, Is.EqualTo(1));
        Assert.That(Query(CpuModel.X64V2, leaf)[register] >> bit & 1, Is.Zero);
    }

    [Test]
    public void Models_differ_in_nothing_else()
    {
        uint[] leaves = [0, 1, 2, 4, 6, 7, 0xD, 0x80000000, 0x80000001, 0x80000006, 0x80000007, 0x80000008];
        uint differences = 0;
        foreach (uint leaf in leaves)
        {
            uint[] small = Query(CpuModel.X64V2, leaf), large = Query(CpuModel.X64V3, leaf);
            for (int i = 0; i < 4; i++)
            {
                differences += uint.PopCount(small[i] ^ large[i]);
            }
        }

        // Besides these bits: the size of an XSAVE area, 832 instead of 576 bytes, of what is enabled and of what could be.
        Assert.That(differences, Is.EqualTo(Bits.Count() + 2));
    }

    [TestCaseSource(nameof(Instructions))]
    public void What_the_model_lacks_is_an_invalid_opcode(byte[] code)
    {
        using CodeSandbox sandbox = Create(CpuModel.X64V2);
        Assert.That(sandbox.Run(code), Is.EqualTo(new CodeResult(CodeStopReason.Exception, 0, InvalidOpcode)));
    }

    [TestCaseSource(nameof(Instructions))]
    public void What_the_model_has_runs_on_every_host(byte[] code)
    {
        using CodeSandbox sandbox = Create(CpuModel.X64V3);
        Assert.That(sandbox.Run(code), Is.EqualTo(new CodeResult(CodeStopReason.Halt, 2)));
    }

    [TestCaseSource(nameof(VexInstructions))]
    public void Vex_forms_are_an_invalid_opcode_in_real_mode(byte[] code)
    {
        using CodeSandbox sandbox = Create(CpuModel.X64V3, CodeMode.Bits16);
        Assert.That(sandbox.Run(code), Is.EqualTo(new CodeResult(CodeStopReason.Exception, 0, InvalidOpcode)));
    }

    [TestCaseSource(nameof(VexInstructions))]
    public unsafe void Vex_forms_are_an_invalid_opcode_in_virtual_8086_mode(byte[] code)
    {
        Instruction instruction = Decoder.Create(16, code).Decode();
        using CodeSandbox sandbox = Create(CpuModel.X64V3);
        CpuState* s = sandbox.Registers.State;
        Op op = default;
        const CpuMode mode = CpuMode.Protected | CpuMode.User;
        Assert.That(new InstructionBinder().Bind(in instruction, &op, mode, CpuFeatures.X64V3)(s, &op) == &op + 1);
        Assert.That(new InstructionBinder().Bind(in instruction, &op, mode | CpuMode.Virtual8086, CpuFeatures.X64V3)(s, &op) == null);
        Assert.That(s->Engine->ExceptionVector, Is.EqualTo(InvalidOpcode));
    }

    [TestCase(new byte[] { 0x0F, 0x38, 0xF0, 0x07 })] // movbe ax, [bx]
    [TestCase(new byte[] { 0xF3, 0x0F, 0xBC, 0xC1 })] // tzcnt ax, cx
    [TestCase(new byte[] { 0xF3, 0x0F, 0xBD, 0xC1 })] // lzcnt ax, cx
    public void Legacy_encodings_run_in_real_mode_too(byte[] code)
    {
        using CodeSandbox sandbox = Create(CpuModel.X64V3, CodeMode.Bits16);
        Assert.That(sandbox.Run(code).Reason, Is.EqualTo(CodeStopReason.Halt));
    }

    /// <summary>BSF and BSR tell a bit's number, TZCNT and LZCNT count zeros; of zero, BSF and BSR leave the destination and set ZF.</summary>
    [TestCase(CpuModel.X64V2, 0x50UL, 4UL, 6UL)]
    [TestCase(CpuModel.X64V3, 0x50UL, 4UL, 57UL)]
    [TestCase(CpuModel.X64V2, 0UL, 77UL, 77UL)]
    [TestCase(CpuModel.X64V3, 0UL, 64UL, 64UL)]
    public void Without_the_feature_counts_of_zeros_are_bit_scans(CpuModel model, ulong source, ulong trailing, ulong leading)
    {
        using CodeSandbox sandbox = Create(model);
        sandbox.Registers.Rcx = source;
        (sandbox.Registers.Rax, sandbox.Registers.Rbx) = (77, 77);
        sandbox.Run(a =>
        {
            a.tzcnt(rax, rcx);
            a.lzcnt(rbx, rcx);
        });
        Assert.That(sandbox.Registers.Rax, Is.EqualTo(trailing));
        Assert.That(sandbox.Registers.Rbx, Is.EqualTo(leading));
        bool zero = (sandbox.Registers.Rflags & (1 << 6)) != 0, carry = (sandbox.Registers.Rflags & 1) != 0;
        Assert.That(zero, Is.EqualTo(model == CpuModel.X64V2 && source == 0));
        Assert.That(carry, Is.EqualTo(model == CpuModel.X64V3 && source == 0));
    }

    [Test]
    public void A_destination_named_twice_gets_the_upper_half_of_a_product()
    {
        using CodeSandbox sandbox = Create(CpuModel.X64V3);
        (sandbox.Registers.Rdx, sandbox.Registers.Rcx) = (1UL << 63, 6);
        sandbox.Run(a => a.mulx(rax, rax, rcx));
        Assert.That(sandbox.Registers.Rax, Is.EqualTo(3));
    }

    [Test]
    public void A_store_with_reversed_bytes_that_faults_leaves_all_as_it_was()
    {
        using CodeSandbox sandbox = Create(CpuModel.X64V3);
        (sandbox.Registers.Rax, sandbox.Registers.Rcx) = (1, 1UL << 63);
        CodeResult result = sandbox.Run(a => a.movbe(__qword_ptr[rcx], rax));
        Assert.That(result, Is.EqualTo(new CodeResult(CodeStopReason.Exception, 0, 13)));
        Assert.That(sandbox.Registers.Rax, Is.EqualTo(1));
    }

    [Test]
    public void The_default_is_what_the_host_has()
    {
        bool all = Avx2.IsSupported && Bmi1.IsSupported && Bmi2.IsSupported && Fma.IsSupported && Lzcnt.IsSupported
            && (X86Base.CpuId(1, 0).Ecx & 0x2040_0000) == 0x2040_0000;
        Assert.That(new CpuOptions().Model, Is.EqualTo(CpuModel.Host));
        Assert.That(CpuModels.Resolve(CpuModel.Host), Is.EqualTo(all ? CpuModel.X64V3 : CpuModel.X64V2));
        Assert.That(Query(CpuModel.Host, 7), Is.EqualTo(Query(all ? CpuModel.X64V3 : CpuModel.X64V2, 7)));
    }

    [Test]
    public void The_model_survives_a_reset_of_the_processor()
    {
        using CodeSandbox sandbox = Create(CpuModel.X64V3);
        unsafe
        {
            CpuReset.PowerOn(sandbox.Registers.State);
            Assert.That(sandbox.Registers.State->Features, Is.EqualTo(CpuFeatures.X64V3));
        }
    }

    [Test]
    public void A_sandbox_tells_a_wrong_model() =>
        Assert.That(() => Create((CpuModel)7), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains("X64V2"));

    private static CodeSandbox Create(CpuModel model, CodeMode mode = CodeMode.Bits64) => new(new CodeSandboxOptions { Mode = mode, Model = model });

    private static uint[] Query(CpuModel model, uint leaf)
    {
        using CodeSandbox sandbox = Create(model);
        sandbox.Run(a =>
        {
            a.mov(eax, leaf);
            a.xor(ecx, ecx);
            a.cpuid();
        });
        ProcessorRegisters registers = sandbox.Registers;
        return [(uint)registers.Rax, (uint)registers.Rbx, (uint)registers.Rcx, (uint)registers.Rdx];
    }
}
