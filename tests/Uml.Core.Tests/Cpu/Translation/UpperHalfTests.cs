using System.Runtime.Intrinsics;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>The upper halves of YMM registers, wherever they are: in the host's, in the state, or known to be zero.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class UpperHalfTests : IDisposable
{
    private readonly EnginePair _pair = new();

    public UpperHalfTests()
    {
        _pair.ResetRegisters();
        _pair.Set(3, BareGuest.Data);
        Vectors(0x55);
    }

    public void Dispose() => _pair.Dispose();

    [Test]
    public void They_outlive_a_call_of_a_handler()
    {
        // STR is not translated.
        Run(a =>
        {
            a.vpaddq(ymm0, ymm1, ymm2);
            a.str(eax);
            a.vpaddq(ymm3, ymm0, ymm15);
        });
    }

    [Test]
    public void A_handler_that_changes_them_is_seen_by_translated_code()
    {
        Vectors(0);
        Run(a =>
        {
            a.vpcmpeqd(xmm1, xmm1, xmm1);
            a.vpcmpeqd(xmm2, xmm2, xmm2);
            a.vpcmpeqd(ymm3, ymm3, ymm3);
            a.vpxor(ymm4, ymm4, ymm4);
            a.vzeroupper();
            a.vpcmpeqd(ymm1, ymm1, ymm1);
            a.vpgatherdd(ymm5, __[rbx + ymm4], ymm1);
            a.vpaddd(ymm6, ymm5, ymm5);
        });
        Assert.That(CpuState.At<Vector256<uint>>(_pair.Jit.State, CpuState.VectorsOffset + (6 * 32)), Is.EqualTo(Vector256.Create(0x2468ACE0u)));
    }

    [Test]
    public void SSE_code_leaves_them_and_VEX_code_clears_them() => Run(a =>
    {
        a.paddd(xmm0, xmm1);
        a.vpaddd(xmm2, xmm0, xmm1);
        a.movaps(xmm3, xmm2);
        a.vmovaps(xmm4, xmm3);
        a.cvtsi2sd(xmm5, rax);
        a.vcvtsi2sd(xmm6, xmm5, r12);
        a.vmovq(xmm7, r13);
        a.vpinsrw(xmm8, xmm7, r14d, 3);
        a.vmovd(r15d, xmm8);
        a.vpextrq(r12, xmm8, 1);
    });

    [Test]
    public void VZEROALL_and_VZEROUPPER_clear_what_they_say()
    {
        Run(a =>
        {
            a.vzeroupper();
            a.str(eax);
            a.vpaddq(ymm0, ymm1, ymm2);
        });
        Vectors(0x77);
        Run(a =>
        {
            a.str(eax);
            a.vzeroall();
            a.vpcmpeqd(ymm0, ymm1, ymm2);
        });
    }

    [Test]
    public void They_stay_where_they_are_while_the_x87_unit_is_used() => Run(a =>
    {
        a.fld1();
        a.vpaddq(ymm0, ymm1, ymm2);
        a.fsin();
        a.vpaddq(ymm3, ymm0, ymm15);
        a.fstp(__qword_ptr[rbx]);
    });

    [Test]
    public void An_unmasked_exception_of_a_VEX_instruction_arrives()
    {
        _pair.Each(machine =>
        {
            for (ulong i = 0; i < 32; i += 8)
            {
                machine.Poke(BareGuest.Data + i, i == 24 ? 0 : 1.0);
            }

            machine.State->Mxcsr = 0x1F80 & ~(1u << 9);
        });
        Load(a =>
        {
            a.vmovupd(ymm0, __ymmword_ptr[rbx]);
            a.vdivpd(ymm1, ymm0, ymm0);
            a.vmovupd(ymm2, __ymmword_ptr[rbx]);
            a.vpcmpeqd(ymm3, ymm3, ymm3);
            a.vcvtdq2pd(ymm3, xmm3);
            a.vdivpd(ymm4, ymm3, ymm2);
        });
        _pair.Run();

        // 0 / 0 is masked, -1 / 0 is not.
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.XM));
        _pair.AssertTranslated();
    }

    private void Vectors(byte seed) => _pair.Each(machine =>
    {
        for (int i = 0; i < 16; i++)
        {
            CpuState.At<Vector256<byte>>(machine.State, CpuState.VectorsOffset + (i * 32)) = seed == 0 ? default : Vector256.Create((byte)(seed + i));
        }

        machine.Poke(BareGuest.Data, 0x12345670u);
    });

    private void Run(Action<Iced.Intel.Assembler> code)
    {
        Load(code);
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        _pair.AssertTranslated();
    }

    private void Load(Action<Iced.Intel.Assembler> code) => _pair.Load(a =>
    {
        code(a);
        a.hlt();
    });
}
