using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Simd;

/// <summary>When AVX instructions may run, what they leave of their registers, and their state component (Intel SDM vol. 1, 13 and 14).</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class AvxTests : IDisposable
{
    private const ulong Area = BareGuest.Data;
    private const int Xstate = 512, AvxOffset = 576;

    private readonly BareGuest _machine = new BareGuest().Start64(hasHandlers: false);

    public AvxTests()
    {
        _machine.EnableVectors();
        CpuState* s = _machine.State;
        s->Features |= CpuFeatures.Avx;
        s->Gpr[7] = Area;
        s->Mxcsr = 0x1F80;
        s->Xcr0 = 7;
        Mmu.UpdateMode(s);
    }

    public void Dispose() => _machine.Dispose();

    [TestCase(0UL, 0UL, 7UL, null, TestName = "AVX is enabled")]
    [TestCase(Cr0.TS, 0UL, 7UL, ExceptionVector.NM, TestName = "CR0.TS")]
    [TestCase(Cr0.EM, 0UL, 7UL, null, TestName = "CR0.EM has no say")]
    [TestCase(0UL, Cr4.OSFXSR, 7UL, null, TestName = "CR4.OSFXSR has no say")]
    [TestCase(0UL, Cr4.OSXSAVE, 7UL, ExceptionVector.UD, TestName = "no CR4.OSXSAVE")]
    [TestCase(0UL, 0UL, 3UL, ExceptionVector.UD, TestName = "XCR0 without AVX")]
    [TestCase(0UL, 0UL, 1UL, ExceptionVector.UD, TestName = "XCR0 without SSE")]
    [TestCase(Cr0.TS, 0UL, 3UL, ExceptionVector.UD, TestName = "CR0.TS and XCR0 without AVX")]
    public void Instructions_run_only_where_the_system_has_enabled_them(ulong cr0, ulong clearCr4, ulong xcr0, byte? expected)
    {
        CpuState* s = _machine.State;
        s->Cr0 |= cr0;
        s->Cr4 &= ~clearCr4;
        s->Xcr0 = xcr0;
        Mmu.UpdateMode(s);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Run(a => a.vpaddd(ymm0, ymm1, ymm2)), Is.EqualTo(expected));
            Assert.That(Run(a => a.vaddss(xmm0, xmm1, xmm2)), Is.EqualTo(expected));
            Assert.That(Run(a => a.vfmadd231pd(ymm0, ymm1, __ymmword_ptr[rdi])), Is.EqualTo(expected));
            Assert.That(Run(a => a.vcvtph2ps(xmm0, xmm1)), Is.EqualTo(expected));
            Assert.That(Run(a => a.vzeroupper()), Is.EqualTo(expected));
            Assert.That(Run(a => a.vpextrd(eax, xmm1, 1)), Is.EqualTo(expected));
            Assert.That(Run(a => a.vstmxcsr(__[rdi])), Is.EqualTo(expected));
        }
    }

    [Test]
    public void Virtual_8086_and_real_address_mode_have_no_AVX()
    {
        CpuState* s = _machine.State;
        s->SystemFlags |= Flags.VM;
        Assert.That((VectorModes.ModeBits(s) & CpuMode.AvxDisabled) != 0);
        s->SystemFlags &= ~(ulong)Flags.VM;
        Assert.That((VectorModes.ModeBits(s) & CpuMode.AvxDisabled) == 0);
        s->Cr0 &= ~1UL;
        Assert.That((VectorModes.ModeBits(s) & CpuMode.AvxDisabled) != 0);
    }

    [Test]
    public void Setting_XCR0_counts_from_the_next_instruction_of_the_same_block_on()
    {
        CpuState* s = _machine.State;
        s->Xcr0 = 3;
        Mmu.UpdateMode(s);
        SetMask(7);
        s->Gpr[1] = 0;
        CpuState.At<Vector256<byte>>(s, CpuState.VectorsOffset) = Vector256<byte>.AllBitsSet;
        _machine.Load(a =>
        {
            a.xsetbv();
            a.vzeroall();
            a.hlt();
        });
        _machine.Run(3);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(s->Xcr0, Is.EqualTo(7));
            Assert.That(CpuState.At<Vector256<byte>>(s, CpuState.VectorsOffset), Is.EqualTo(Vector256<byte>.Zero));
        }
    }

    [Test]
    public void A_model_without_AVX_keeps_its_bit_of_XCR0_reserved()
    {
        CpuState* s = _machine.State;
        s->Gpr[1] = 0;
        SetMask(7);
        Assert.That(Run(a => a.xsetbv()), Is.Null);
        SetMask(5);
        Assert.That(Run(a => a.xsetbv()), Is.EqualTo(ExceptionVector.GP), "AVX without SSE");
        s->Features &= ~CpuFeatures.Avx;
        SetMask(7);
        Assert.That(Run(a => a.xsetbv()), Is.EqualTo(ExceptionVector.GP));
    }

    [TestCase(true)]
    [TestCase(false)]
    public void CPUID_tells_the_features_and_the_sizes(bool offersAvx)
    {
        CpuState* s = _machine.State;
        s->Features = offersAvx ? CpuFeatures.Avx : CpuFeatures.None;
        const uint features = 1u << 12 | 1u << 28 | 1u << 29;
        s->Xcr0 = 3;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Query(1, 0).Ecx & features, Is.EqualTo(offersAvx ? features : 0));
            Assert.That(Query(7, 0).Ebx & 0x20, Is.EqualTo(offersAvx ? 0x20 : 0));
            Assert.That(Query(0xD, 0), Is.EqualTo(new CpuidValues(offersAvx ? 7u : 3, 576, offersAvx ? 832u : 576, 0)));
            Assert.That(Query(0xD, 2), Is.EqualTo(offersAvx ? new CpuidValues(256, 576, 0, 0) : default));
        }

        if (offersAvx)
        {
            s->Xcr0 = 7;
            Assert.That((Query(0xD, 0).Ebx, Query(0xD, 1).Ebx), Is.EqualTo((832u, 832u)));
        }
    }

    [Test]
    public void A_VEX_128_write_clears_the_upper_half_and_a_legacy_one_leaves_it()
    {
        CpuState* s = _machine.State;
        Fill();
        Run(a => a.paddd(xmm1, xmm2));
        Run(a => a.vpaddd(xmm3, xmm1, xmm2));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Upper(s, 1), Is.EqualTo(Vector128.Create(0x3001UL, 0x4001)));
            Assert.That(Upper(s, 3), Is.EqualTo(Vector128<ulong>.Zero));
        }
    }

    [Test]
    public void Operands_need_alignment_only_where_the_name_says_so()
    {
        _machine.State->Gpr[7] = Area + 16;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Run(a => a.vmovaps(ymm0, __[rdi])), Is.EqualTo(ExceptionVector.GP));
            Assert.That(Run(a => a.vmovdqa(__[rdi], ymm0)), Is.EqualTo(ExceptionVector.GP));
            Assert.That(Run(a => a.vmovntdqa(ymm0, __[rdi])), Is.EqualTo(ExceptionVector.GP));
            Assert.That(Run(a => a.vmovaps(xmm0, __[rdi])), Is.Null);
            Assert.That(Run(a => a.vmovups(ymm0, __[rdi + 1])), Is.Null);
            Assert.That(Run(a => a.vaddps(ymm0, ymm1, __[rdi + 1])), Is.Null);
            Assert.That(Run(a => a.vpaddb(xmm0, xmm1, __[rdi + 1])), Is.Null);
        }
    }

    [Test]
    public void A_fault_in_a_gather_keeps_the_elements_before_it()
    {
        CpuState* s = _machine.State;
        _machine.Map(Area + 0x1000, 0, flags: 0);
        _machine.Poke(Area, 0x11111111u);
        CpuState.At<Vector128<int>>(s, CpuState.VectorsOffset + 32) = Vector128.Create(0, 0x1000, 0, 0);
        CpuState.At<Vector128<int>>(s, CpuState.VectorsOffset + 64) = Vector128<int>.AllBitsSet;
        Assert.That(Run(a => a.vpgatherdd(xmm0, __[rdi + xmm1], xmm2)), Is.EqualTo(ExceptionVector.PF));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(s->Cr2, Is.EqualTo(Area + 0x1000));
            Assert.That(CpuState.At<uint>(s, CpuState.VectorsOffset), Is.EqualTo(0x11111111));
            Assert.That(CpuState.At<Vector128<int>>(s, CpuState.VectorsOffset + 64), Is.EqualTo(Vector128.Create(0, -1, -1, -1)));
        }
    }

    [Test]
    public void Xsave_and_xrstor_carry_the_upper_halves([Values] bool compacted)
    {
        CpuState* s = _machine.State;
        Fill();
        SetMask(7);
        Run(compacted ? a => a.xsavec64(__[rdi]) : a => a.xsave64(__[rdi]));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_machine.Peek<ulong>(Area + Xstate) & 6, Is.EqualTo(6));
            Assert.That(_machine.Peek<ulong>(Area + AvxOffset), Is.EqualTo(0x3000));
            Assert.That(_machine.Peek<ulong>(Area + AvxOffset + (15 * 16) + 8), Is.EqualTo(0x400F));
        }

        s->Vectors = default;
        Run(a => a.xrstor64(__[rdi]));
        for (int i = 0; i < 16; i++)
        {
            Assert.That(Upper(s, i), Is.EqualTo(Vector128.Create(0x3000UL + (uint)i, 0x4000UL + (uint)i)));
        }
    }

    [Test]
    public void Restoring_SSE_state_alone_leaves_the_upper_halves_and_a_missing_component_clears_them()
    {
        CpuState* s = _machine.State;
        Fill();
        SetMask(7);
        Run(a => a.xsave64(__[rdi]));
        _machine.Poke(Area + Xstate, 3UL);
        SetMask(3);
        Run(a => a.xrstor64(__[rdi]));
        Assert.That(Upper(s, 5), Is.EqualTo(Vector128.Create(0x3005UL, 0x4005)));
        SetMask(7);
        Run(a => a.xrstor64(__[rdi]));
        Assert.That(Upper(s, 5), Is.EqualTo(Vector128<ulong>.Zero));
    }

    [Test]
    public void The_initial_configuration_is_not_written_by_xsaveopt_and_XGETBV_tells_of_it()
    {
        CpuState* s = _machine.State;
        SetMask(7);
        s->Vectors = default;
        _machine.Poke(Area + AvxOffset, 0x55UL);
        Run(a => a.xsaveopt64(__[rdi]));
        Assert.That(_machine.Peek<ulong>(Area + Xstate) & 4, Is.Zero);
        Assert.That(_machine.Peek<ulong>(Area + AvxOffset), Is.EqualTo(0x55));
        s->Gpr[1] = 1;
        Run(a => a.xgetbv());
        Assert.That(s->Gpr[0] & 4, Is.Zero);
        Fill();
        Run(a => a.xgetbv());
        Assert.That(s->Gpr[0] & 4, Is.EqualTo(4));
    }

    [Test]
    public void AVX_alone_saves_and_restores_MXCSR_in_the_standard_format()
    {
        CpuState* s = _machine.State;
        s->Mxcsr = 0x3F80;
        SetMask(4);
        Run(a => a.xsave64(__[rdi]));
        Assert.That(_machine.Peek<uint>(Area + 24), Is.EqualTo(0x3F80));
        s->Mxcsr = 0x1F80;
        Run(a => a.xrstor64(__[rdi]));
        Assert.That(s->Mxcsr, Is.EqualTo(0x3F80));
    }

    [Test]
    public void Memory_that_ends_before_the_AVX_component_faults_before_anything_is_restored()
    {
        CpuState* s = _machine.State;
        Fill();
        SetMask(7);
        s->Gpr[7] = Area + 0x1000 - AvxOffset;
        Run(a => a.xsave64(__[rdi]));
        _machine.Map(Area + 0x1000, 0, flags: 0);
        Mmu.FlushAll(s);
        s->Vectors = default;
        Assert.That(Run(a => a.xrstor64(__[rdi])), Is.EqualTo(ExceptionVector.PF));
        Assert.That(CpuState.At<Vector256<byte>>(s, CpuState.VectorsOffset), Is.EqualTo(Vector256<byte>.Zero));
        SetMask(3);
        Assert.That(Run(a => a.xrstor64(__[rdi])), Is.Null);
    }

    private CpuidValues Query(uint leaf, uint subleaf) => _machine.Cpu.Cpuid.Query(_machine.State, leaf, subleaf, apicEnabled: true);

    private byte? Run(Action<Assembler> code) => _machine.Step(code);

    private void SetMask(ulong mask)
    {
        _machine.State->Gpr[0] = (uint)mask;
        _machine.State->Gpr[2] = mask >> 32;
    }

    private static Vector128<ulong> Upper(CpuState* s, int number) =>
        CpuState.At<Vector128<ulong>>(s, CpuState.VectorsOffset + (32 * number) + 16);

    private void Fill()
    {
        for (int i = 0; i < 16; i++)
        {
            ulong n = (uint)i;
            CpuState.At<Vector256<ulong>>(_machine.State, CpuState.VectorsOffset + (32 * i)) =
                Vector256.Create(0x1000 + n, 0x2000 + n, 0x3000 + n, 0x4000 + n);
        }
    }
}
