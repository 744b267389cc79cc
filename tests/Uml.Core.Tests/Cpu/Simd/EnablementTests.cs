using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Simd;

/// <summary>When vector and x87 instructions raise #UD, #NM, #MF and #XM (Intel SDM vol. 3, table 13-1, 2.5 and 6.15).</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class EnablementTests : IDisposable
{
    private readonly BareGuest _machine;

    public EnablementTests(CpuEngine engine)
    {
        _machine = new BareGuest(engine).Start64(hasHandlers: false);
        _machine.EnableVectors();
        CpuState* s = _machine.State;
        s->Gpr[7] = BareGuest.Data;
        s->Mxcsr = 0x1F80;
        X87.Initialize(ref s->X87);
    }

    public void Dispose() => _machine.Dispose();

    private static IEnumerable<TestCaseData> Cases()
    {
        (string Name, Action<Assembler> Code, byte? Em, byte? Ts, byte? NoFxsr)[] cases =
        [
            ("PXOR xmm", a => a.pxor(xmm0, xmm1), ExceptionVector.UD, ExceptionVector.NM, ExceptionVector.UD),
            ("ADDSD xmm", a => a.addsd(xmm0, xmm1), ExceptionVector.UD, ExceptionVector.NM, ExceptionVector.UD),
            ("MOVUPS load", a => a.movups(xmm0, __[rdi]), ExceptionVector.UD, ExceptionVector.NM, ExceptionVector.UD),
            ("CVTPI2PS", a => a.cvtpi2ps(xmm0, mm0), ExceptionVector.UD, ExceptionVector.NM, ExceptionVector.UD),
            ("STMXCSR", a => a.stmxcsr(__[rdi]), ExceptionVector.UD, ExceptionVector.NM, ExceptionVector.UD),
            ("PXOR mm", a => a.pxor(mm0, mm1), ExceptionVector.UD, ExceptionVector.NM, null),
            ("EMMS", a => a.emms(), ExceptionVector.UD, ExceptionVector.NM, null),
            ("FLD1", a => a.fld1(), ExceptionVector.NM, ExceptionVector.NM, null),
            ("FNSTSW", a => a.fnstsw(ax), ExceptionVector.NM, ExceptionVector.NM, null),
            ("WAIT", a => a.wait(), null, ExceptionVector.NM, null),
            ("FXSAVE", a => a.fxsave(__[rdi]), ExceptionVector.NM, ExceptionVector.NM, null),
            ("CRC32", a => a.crc32(eax, ebx), null, null, null),
            ("MOVNTI", a => a.movnti(__dword_ptr[rdi], eax), null, null, null),
        ];
        foreach ((string name, Action<Assembler> code, byte? em, byte? ts, byte? noFxsr) in cases)
        {
            yield return new TestCaseData(code, 0UL, 0UL, null).SetArgDisplayNames(name, "enabled");
            yield return new TestCaseData(code, Cr0.EM, 0UL, em).SetArgDisplayNames(name, "CR0.EM");
            yield return new TestCaseData(code, Cr0.TS, 0UL, ts).SetArgDisplayNames(name, "CR0.TS");
            yield return new TestCaseData(code, 0UL, Cr4.OSFXSR, noFxsr).SetArgDisplayNames(name, "no CR4.OSFXSR");
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void Instructions_run_only_where_control_registers_let_them(Action<Assembler> code, ulong cr0, ulong clearCr4, byte? expected)
    {
        _machine.State->Cr0 |= cr0;
        _machine.State->Cr4 &= ~clearCr4;
        Mmu.UpdateMode(_machine.State);
        Assert.That(_machine.Step(code), Is.EqualTo(expected));
    }

    [Test]
    public void A_block_decoded_while_disabled_is_not_used_once_enabled()
    {
        _machine.Load(a => a.pxor(xmm0, xmm1));
        _machine.State->Cr0 |= Cr0.TS;
        Mmu.UpdateMode(_machine.State);
        Assert.That(Step(), Is.EqualTo(ExitCode.ExceptionAtRip));
        _machine.State->Cr0 &= ~Cr0.TS;
        Mmu.UpdateMode(_machine.State);
        Assert.That(Step(), Is.EqualTo(ExitCode.BlockEnd));

        ExitCode Step()
        {
            _machine.State->Rip = BareGuest.Code;
            return InterpreterEngine.Step(_machine.State, _machine.Cpu.Blocks);
        }
    }

    [Test]
    public void A_pending_x87_exception_strikes_the_next_waiting_instruction()
    {
        CpuState* s = _machine.State;
        X87.LoadControlWord(ref s->X87, 0x37E);
        Assert.That(_machine.Step(a => a.fstp(st1)), Is.Null, "the stack fault itself only sets ES");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_machine.Step(a => a.fnstsw(ax)), Is.Null);
            Assert.That(_machine.Step(a => a.wait()), Is.EqualTo(ExceptionVector.MF));
            Assert.That(_machine.Step(a => a.fld1()), Is.EqualTo(ExceptionVector.MF));
            Assert.That(_machine.Step(a => a.movd(mm0, eax)), Is.EqualTo(ExceptionVector.MF));
            Assert.That(_machine.Step(a => a.pxor(xmm0, xmm0)), Is.Null);
            Assert.That(_machine.Step(a => a.fnclex()), Is.Null);
            Assert.That(_machine.Step(a => a.wait()), Is.Null);
        }
    }

    [Test]
    public void An_unmasked_sse_exception_is_XM_and_leaves_the_destination()
    {
        CpuState* s = _machine.State;
        s->Mxcsr = 0x1D80;
        CpuState.At<double>(s, CpuState.VectorsOffset) = 1.5;
        Assert.That(_machine.Step(a => a.divsd(xmm0, xmm1)), Is.EqualTo(ExceptionVector.XM));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(CpuState.At<double>(s, CpuState.VectorsOffset), Is.EqualTo(1.5));
            Assert.That(s->Mxcsr, Is.EqualTo(0x1D84));
        }

        s->Cr4 &= ~Cr4.OSXMMEXCPT;
        Assert.That(_machine.Step(a => a.divsd(xmm0, xmm1)), Is.EqualTo(ExceptionVector.UD));
    }

    [Test]
    public void Sixteen_byte_operands_are_aligned_except_where_documented()
    {
        _machine.State->Gpr[7] = BareGuest.Data + 4;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(_machine.Step(a => a.movaps(xmm0, __[rdi])), Is.EqualTo(ExceptionVector.GP));
            Assert.That(_machine.Step(a => a.movntdq(__[rdi], xmm0)), Is.EqualTo(ExceptionVector.GP));
            Assert.That(_machine.Step(a => a.paddb(xmm0, __[rdi])), Is.EqualTo(ExceptionVector.GP));
            Assert.That(_machine.Step(a => a.addps(xmm0, __[rdi])), Is.EqualTo(ExceptionVector.GP));
            Assert.That(_machine.Step(a => a.cvtpd2ps(xmm0, __[rdi])), Is.EqualTo(ExceptionVector.GP));
            Assert.That(_machine.Step(a => a.movups(xmm0, __[rdi])), Is.Null);
            Assert.That(_machine.Step(a => a.lddqu(xmm0, __[rdi])), Is.Null);
            Assert.That(_machine.Step(a => a.pcmpistri(xmm0, __[rdi], 0)), Is.Null);
            Assert.That(_machine.Step(a => a.addsd(xmm0, __qword_ptr[rdi])), Is.Null);
            Assert.That(_machine.Step(a => a.pmovzxbw(xmm0, __qword_ptr[rdi])), Is.Null);
            Assert.That(_machine.Step(a => a.paddb(mm0, __[rdi])), Is.Null);
        }
    }

    [Test]
    public void Mmx_writes_mark_the_stack_valid_and_set_the_exponent()
    {
        CpuState* s = _machine.State;
        s->X87.StatusWord = 3 << 11;
        s->Gpr[0] = 0x1122334455667788;
        _machine.Step(a => a.movq(mm2, rax));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(s->X87.Physical(2), Is.EqualTo(new Float80(0xFFFF, 0x1122334455667788)));
            Assert.That(s->X87.ValidTags, Is.EqualTo(0xFF));
            Assert.That(s->X87.Top, Is.Zero);
        }

        _machine.Step(a => a.emms());
        Assert.That(s->X87.ValidTags, Is.Zero);
    }

    [Test]
    public void Legacy_instructions_leave_the_upper_half_of_the_vector_slot()
    {
        CpuState* s = _machine.State;
        CpuState.At<Vector256<byte>>(s, CpuState.VectorsOffset) = Vector256<byte>.AllBitsSet;
        _machine.Step(a => a.pxor(xmm0, xmm0));
        Assert.That(
            CpuState.At<Vector256<byte>>(s, CpuState.VectorsOffset),
            Is.EqualTo(Vector256.Create(Vector128<byte>.Zero, Vector128<byte>.AllBitsSet)));
    }
}
