using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>
/// Vector and x87 code that runs on the host's units: exceptions the guest has unmasked have to reach it, and never this process.
/// </summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class FloatingPointTests : IDisposable
{
    private const ulong Data = BareGuest.Data, Zero = Data, One = Data + 16, Huge = Data + 32, Tiny = Data + 48, NotANumber = Data + 64;
    private const ulong Control = Data + 0x100, AllMasked = Data + 0x110, AllMaskedX87 = Data + 0x118, Results = Data + 0x200;
    private const uint Masked = 0x1F80;

    private readonly EnginePair _pair = new();

    public FloatingPointTests() => _pair.Each(machine =>
    {
        (ulong Address, double Value)[] values = [(Zero, 0), (One, 1), (Huge, double.MaxValue), (Tiny, double.Epsilon)];
        foreach ((ulong address, double value) in values)
        {
            machine.Poke(address, value);
            machine.Poke(address + 8, value);
        }

        machine.Poke(NotANumber, 0x7FF0_0000_0000_0001UL);
        machine.Poke(NotANumber + 8, 0x7FF0_0000_0000_0001UL);
        machine.Poke(AllMasked, Masked);
        machine.Poke(AllMaskedX87, (ushort)0x37F);
    });

    public void Dispose() => _pair.Dispose();

    private static IEnumerable<TestCaseData> VectorFaults()
    {
        (string Name, int Mask, Action<Assembler> Code)[] all =
        [
            ("invalid operation", 7, a => a.addpd(xmm1, __[(int)NotANumber])),
            ("denormal operand", 8, a => a.addpd(xmm1, __[(int)Tiny])),
            ("division by zero", 9, a => a.divpd(xmm1, __[(int)Zero])),
            ("overflow", 10, a => a.mulpd(xmm2, __[(int)Huge])),
            ("underflow", 11, a => a.mulpd(xmm3, xmm3)),
            ("inexact result", 12, a => a.divpd(xmm1, xmm4)),
            ("invalid conversion", 7, a => a.cvttsd2si(rax, xmm2)),
            ("invalid comparison", 7, a => a.ucomisd(xmm1, __[(int)NotANumber])),
        ];
        foreach ((string name, int mask, Action<Assembler> code) in all)
        {
            yield return new TestCaseData(mask, code).SetArgDisplayNames(name);
        }
    }

    [TestCaseSource(nameof(VectorFaults))]
    public void An_unmasked_vector_exception_arrives_and_a_masked_one_does_not(int mask, Action<Assembler> code)
    {
        LoadVectorLoop(code, unmaskInside: false);
        foreach (bool unmasked in new[] { false, true, false })
        {
            _pair.Each(machine => machine.State->Mxcsr = unmasked ? Masked & ~(1u << mask) : Masked);
            _pair.Each(machine => machine.Rsp = BareGuest.Stack);
            _pair.Run(what: unmasked ? "unmasked" : "masked");
            Assert.That(_pair.Vector, Is.EqualTo(unmasked ? ExceptionVector.XM : -1));
        }

        _pair.AssertTranslated();
    }

    [TestCaseSource(nameof(VectorFaults))]
    public void LDMXCSR_that_unmasks_in_the_middle_of_a_block_is_obeyed_by_the_next_instruction(int mask, Action<Assembler> code)
    {
        _pair.Each(machine => machine.Poke(Control, Masked));
        LoadVectorLoop(code, unmaskInside: true);
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(-1), "all masked");
        _pair.Each(machine =>
        {
            machine.Rsp = BareGuest.Stack;
            machine.Poke(Control, Masked & ~(1u << mask));
        });
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.XM));
        _pair.Each(machine =>
        {
            machine.Rsp = BareGuest.Stack;
            machine.Poke(Control, Masked);
            machine.State->Mxcsr = Masked;
        });
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(-1), "masked again");
        _pair.AssertTranslated();
    }

    [Test]
    public void LDMXCSR_of_reserved_bits_faults_and_changes_nothing()
    {
        _pair.Each(machine => machine.Poke(Control, 0x10000 | Masked));
        LoadVectorLoop(a => a.addpd(xmm1, xmm1), unmaskInside: true);
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.GP));
        Assert.That(_pair.Jit.State->Mxcsr, Is.EqualTo(Masked));
        _pair.AssertTranslated();
    }

    [TestCase(0x0000u, TestName = "Rounding_modes_and_flush_to_zero_are_the_guests_own(nearest)")]
    [TestCase(0x2000u, TestName = "Rounding_modes_and_flush_to_zero_are_the_guests_own(down)")]
    [TestCase(0x4000u, TestName = "Rounding_modes_and_flush_to_zero_are_the_guests_own(up)")]
    [TestCase(0xE000u, TestName = "Rounding_modes_and_flush_to_zero_are_the_guests_own(truncate and flush)")]
    public void Rounding_modes_and_flush_to_zero_are_the_guests_own(uint bits)
    {
        _pair.Each(machine => machine.Poke(Control, Masked | bits));
        LoadVectorLoop(
            a =>
            {
                a.divpd(xmm1, xmm4);
                a.cvtsd2si(rax, xmm4);
                a.mulpd(xmm3, xmm1);
                a.movupd(__xmmword_ptr[Results], xmm1);
                a.stmxcsr(__dword_ptr[Results + 16]);
                a.ldmxcsr(__dword_ptr[AllMasked]);
                a.divpd(xmm4, xmm1);
            },
            unmaskInside: true);
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(_pair.Jit.Peek<uint>(Results + 16) & 0xE000, Is.EqualTo(bits));
        _pair.AssertTranslated();
    }

    private static IEnumerable<TestCaseData> StackFaults()
    {
        (string Name, int Mask, Action<Assembler> Code)[] all =
        [
            ("stack underflow", 0, a => a.fadd(st0, st7)),
            ("denormal operand", 1, a => a.fadd(__qword_ptr[Tiny])),
            ("division by zero", 2, a => a.fdiv(__qword_ptr[Zero])),
            ("overflow", 3, a => a.fst(__dword_ptr[Results])),
            ("underflow", 4, a => a.fstp(__dword_ptr[Results])),
            ("inexact result", 5, a => a.fdiv(__qword_ptr[Huge])),
        ];
        foreach ((string name, int mask, Action<Assembler> code) in all)
        {
            yield return new TestCaseData(mask, code).SetArgDisplayNames(name);
        }
    }

    [TestCaseSource(nameof(StackFaults))]
    public void An_unmasked_x87_exception_arrives_at_the_next_x87_instruction(int mask, Action<Assembler> code)
    {
        foreach (bool wait in new[] { false, true })
        {
            _pair.Load(a => WriteX87(a, mask, code, wait));
            foreach (ushort control in new ushort[] { 0x37F, (ushort)(0x37F & ~(1 << mask)), 0x37F })
            {
                _pair.Each(machine =>
                {
                    machine.Poke(Control, control);
                    machine.Rsp = BareGuest.Stack;
                });
                _pair.Run(what: $"control word {control:x}");
                Assert.That(_pair.Vector, Is.EqualTo(control == 0x37F ? -1 : ExceptionVector.MF), $"control word {control:x}");
            }
        }

        _pair.AssertTranslated();
    }

    [Test]
    public void An_exception_that_waits_arrives_whoever_comes_next()
    {
        Action<Assembler>[] next = [a => a.wait(), a => a.fld1(), a => a.paddb(mm0, mm1), a => a.emms(), a => a.fild(__dword_ptr[One])];
        foreach (Action<Assembler> instruction in next)
        {
            _pair.Load(a =>
            {
                Label loop = a.CreateLabel();
                a.fninit();
                a.fldcw(__word_ptr[Control]);
                a.fld1();
                a.mov(ecx, 3);
                a.Label(ref loop);
                a.paddd(xmm1, xmm2);
                a.dec(ecx);
                a.jnz(loop);
                a.fdiv(__qword_ptr[Zero]);
                a.add(rax, 1);
                a.addpd(xmm5, xmm1);
                instruction(a);
                a.hlt();
            });
            foreach (ushort control in new ushort[] { 0x37F, 0x37B })
            {
                _pair.Each(machine =>
                {
                    machine.Poke(Control, control);
                    machine.Rsp = BareGuest.Stack;
                });
                _pair.Run();
                Assert.That(_pair.Vector, Is.EqualTo(control == 0x37F ? -1 : ExceptionVector.MF));
            }
        }

        _pair.AssertTranslated();
    }

    [Test]
    public void Integer_vector_x87_and_MMX_blocks_hand_registers_over_to_each_other()
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel(), function = a.CreateLabel(), mmx = a.CreateLabel(), vectors = a.CreateLabel(), done = a.CreateLabel();
            a.fninit();
            a.mov(ecx, 12);
            a.xor(eax, eax);
            a.Label(ref again);
            a.add(rax, rcx);
            a.test(ecx, 1);
            a.jnz(vectors);
            a.fld1();
            a.fild(__dword_ptr[Control]);
            a.faddp(st1, st0);
            a.call(function);
            a.fstp(__tbyte_ptr[Results]);
            a.test(ecx, 2);
            a.jz(mmx);
            a.Label(ref vectors);
            a.movq(xmm1, rax);
            a.pshufd(xmm2, xmm1, 0x1B);
            a.paddd(xmm3, xmm2);
            a.call(function);
            a.jmp(done);
            a.Label(ref mmx);
            a.movq(mm1, rax);
            a.paddw(mm2, mm1);
            a.movq2dq(xmm7, mm2);
            a.cvtpi2ps(xmm8, mm1);
            a.emms();
            a.Label(ref done);
            a.dec(ecx);
            a.jnz(again);
            a.movups(__xmmword_ptr[Results + 32], xmm3);
            a.movups(__xmmword_ptr[Results + 48], xmm7);
            a.hlt();
            a.Label(ref function);
            a.push(rbx);
            a.addpd(xmm4, xmm5);
            a.lea(rdx, __[rax + rcx]);
            a.pop(rbx);
            a.ret();
        });
        _pair.Each(machine => machine.Poke(Control, 41));
        for (int pass = 0; pass < 3; pass++)
        {
            _pair.Run(what: $"pass {pass}");
        }

        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(_pair.Jit.Peek<ulong>(Results), Is.EqualTo(42UL << 58), "42 as an extended number");
        _pair.AssertTranslated();
    }

    [Test]
    public void A_unit_switched_off_by_TS_traps_in_code_that_was_translated_with_it_on()
    {
        foreach (Action<Assembler> code in new Action<Assembler>[] { a => a.paddd(xmm1, xmm2), a => a.fld1(), a => a.paddb(mm1, mm2) })
        {
            _pair.Load(a =>
            {
                Label again = a.CreateLabel(), keep = a.CreateLabel();
                a.clts();
                a.fninit();
                a.mov(ecx, 6);
                a.Label(ref again);
                code(a);
                a.cmp(ecx, 3);
                a.jne(keep);
                a.mov(rax, cr0);
                a.or(rax, 8);
                a.mov(cr0, rax);
                a.Label(ref keep);
                a.dec(ecx);
                a.jnz(again);
                a.hlt();
            });
            _pair.Each(machine => machine.Rsp = BareGuest.Stack);
            _pair.Run();
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.NM));
            Assert.That(_pair.Jit.State->Gpr[1], Is.EqualTo(2UL));
        }

        _pair.AssertTranslated();
    }

    private static void WriteX87(Assembler a, int mask, Action<Assembler> code, bool wait)
    {
        Label loop = a.CreateLabel();
        a.mov(ecx, 3);
        a.Label(ref loop);
        a.fninit();
        a.fldcw(__word_ptr[AllMaskedX87]);
        a.fld(__qword_ptr[mask is 3 ? Huge : mask is 4 ? Tiny : One]);
        a.fldcw(__word_ptr[Control]);
        code(a);
        a.add(rax, 1);
        if (wait)
        {
            a.wait();
        }

        a.fld1();
        a.dec(ecx);
        a.jnz(loop);
        a.fninit();
        a.hlt();
    }

    /// <summary>Loads operands, and runs the code three times between integer blocks.</summary>
    private void LoadVectorLoop(Action<Assembler> code, bool unmaskInside)
    {
        _pair.Load(a =>
        {
            Label loop = a.CreateLabel();
            a.mov(ecx, 3);
            a.mov(edx, 3);
            a.Label(ref loop);
            a.movupd(xmm1, __xmmword_ptr[One]);
            a.movupd(xmm2, __xmmword_ptr[Huge]);
            a.movupd(xmm3, __xmmword_ptr[One]);
            a.mov(rax, 0x0010_0000_0000_0000L); // the smallest normal number
            a.movq(xmm3, rax);
            a.cvtsi2sd(xmm4, edx);
            a.unpcklpd(xmm4, xmm4);
            if (unmaskInside)
            {
                a.ldmxcsr(__dword_ptr[Control]);
            }

            code(a);
            a.paddd(xmm9, xmm1);
            if (unmaskInside)
            {
                a.ldmxcsr(__dword_ptr[AllMasked]);
            }

            a.dec(ecx);
            a.jnz(loop);
            a.hlt();
        });
    }
}
