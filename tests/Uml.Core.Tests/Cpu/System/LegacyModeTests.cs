using Uml.Core.Cpu;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.System;

[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class LegacyModeTests(CpuEngine engine) : IDisposable
{
    private readonly BareGuest _machine = new(engine);

    public void Dispose() => _machine.Dispose();

    private uint Frame32(int index) => _machine.Peek<uint>(_machine.Rsp + ((ulong)index * 4));

    /// <summary>Pushes a frame and leaves level 0 of 32-bit mode.</summary>
    private static void GoToUser32(Iced.Intel.Assembler a, int flags = 0x202)
    {
        a.push(BareGuest.UserData);
        a.push((int)BareGuest.Stack);
        a.push(flags);
        a.push(BareGuest.User32);
        a.push((int)BareGuest.UserCode);
        a.iretd();
    }

    [Test]
    public void A_32_bit_fault_at_the_same_level_pushes_no_stack()
    {
        _machine.Start32();
        Assert.That(_machine.RunToHalt(a => a.ud2()), Is.EqualTo(ExceptionVector.UD));
        Assert.Multiple(() =>
        {
            Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack - 12));
            Assert.That(Frame32(0), Is.EqualTo(BareGuest.Code));
            Assert.That(Frame32(1), Is.EqualTo(BareGuest.Code32));
            Assert.That(Frame32(2), Is.EqualTo(Flags.RF | Flags.Fixed1));
        });
    }

    [Test]
    public void A_32_bit_fault_in_user_mode_switches_stacks_through_the_TSS()
    {
        _machine.Start32();
        _machine.Load(a => a.hlt(), BareGuest.UserCode);
        Assert.That(_machine.RunToHalt(a => GoToUser32(a)), Is.EqualTo(ExceptionVector.GP));
        Assert.Multiple(() =>
        {
            Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack0 - 24));
            Assert.That(_machine.Ss, Is.EqualTo(BareGuest.Data0));
            Assert.That(Frame32(0), Is.Zero);
            Assert.That(Frame32(1), Is.EqualTo(BareGuest.UserCode));
            Assert.That(Frame32(2), Is.EqualTo(BareGuest.User32));
            Assert.That(Frame32(4), Is.EqualTo(BareGuest.Stack));
            Assert.That(Frame32(5), Is.EqualTo(BareGuest.UserData));
        });
    }

    [Test]
    public void A_16_bit_gate_pushes_words()
    {
        _machine.Start32();
        _machine.SetGate32(0x80, 0x100, type: 0x86, selector: BareGuest.Scratch);
        _machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor((uint)BareGuest.Handlers, 0xFFFF, 0x9B, 0x4));
        Assert.That(_machine.Load(a => a.@int(0x80)).Cpu.Run(2), Is.EqualTo(RunResult.BudgetExhausted).Or.EqualTo(RunResult.Halted));
        Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack - 6));
        Assert.That(_machine.Peek<ushort>(_machine.Rsp), Is.EqualTo(2));
        Assert.That(_machine.State->Rip, Is.EqualTo(0x101UL));
    }

    [Test]
    public void A_task_gate_raises_GP_since_task_switches_are_not_implemented()
    {
        _machine.Start32();
        _machine.SetGate32(0x80, 0, type: 0x85, selector: BareGuest.TssSelector);
        Assert.That(_machine.RunToHalt(a => a.@int(0x80)), Is.EqualTo(ExceptionVector.GP));
        Assert.That(Frame32(0), Is.EqualTo((0x80u * 8) + 2));
    }

    [Test]
    public void A_bad_inner_stack_raises_TS_with_its_selector()
    {
        _machine.Start32();
        _machine.Poke(BareGuest.Tss + 8, BareGuest.UserData);
        _machine.SetGate32(0x80, (uint)BareGuest.Handlers, type: 0xEE);
        _machine.Load(a => a.@int(0x80), BareGuest.UserCode);

        // #TS goes to level 0 too, over the same stack: a double fault that faults.
        _machine.Load(a => GoToUser32(a));
        Assert.That(_machine.Cpu.Run(100), Is.EqualTo(RunResult.Shutdown));
        Assert.That(_machine.State->Engine->ExceptionVector, Is.EqualTo(ExceptionVector.TS));
        Assert.That(_machine.State->Engine->ExceptionError, Is.EqualTo((uint)(BareGuest.UserData & ~3) | 1));
    }

    [Test]
    public void Virtual_8086_mode_is_entered_by_IRETD_and_left_by_an_exception()
    {
        _machine.Start32();
        _machine.Load(
            a =>
            {
                a.mov(ax, 0x7777);
                a.mov(es, ax);
                a.mov(bx, ds);
                a.cli();
            },
            BareGuest.UserCode,
            bitness: 16);
        int vector = _machine.RunToHalt(a =>
        {
            foreach (int selector in (int[])[0x4444, 0x3333, 0x2222, 0x1111])
            {
                a.push(selector);
            }

            a.push(0x2000);
            a.push(0x8000);
            a.push((int)(Flags.VM | 2));
            a.push((int)BareGuest.UserCode >> 4);
            a.push(0);
            a.iretd();
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
            Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack0 - 40));
            Assert.That(Frame32(1), Is.EqualTo(7));
            Assert.That(Frame32(2), Is.EqualTo(BareGuest.UserCode >> 4));
            Assert.That(Frame32(3) & Flags.VM, Is.Not.Zero);
            Assert.That(Frame32(5), Is.EqualTo(0x2000));
            Assert.That(Frame32(6), Is.EqualTo(0x7777), "ES");
            Assert.That(Frame32(7), Is.EqualTo(0x2222), "DS");
            Assert.That(Frame32(9), Is.EqualTo(0x4444), "GS");
            Assert.That(_machine.State->Segments[(int)SegmentIndex.Ds].IsUsable, Is.False);
            Assert.That((ushort)_machine.State->Gpr[3], Is.EqualTo(0x2222));
        });
    }

    [Test]
    public void A_call_gate_copies_parameters_to_the_inner_stack()
    {
        _machine.Start32();
        _machine.SetDescriptor(
            BareGuest.Scratch,
            (BareGuest.Handlers & 0xFFFF) | ((ulong)BareGuest.Code32 << 16) | (2UL << 32) | (0xECUL << 40)
                | ((BareGuest.Handlers & 0xFFFF0000) << 32));
        _machine.Load(
            a =>
            {
                a.mov(eax, __[esp + 8]);
                a.mov(ebx, __[esp + 12]);
                a.retf(8);
            },
            BareGuest.Handlers);
        _machine.Load(
            a =>
            {
                a.push(0x1111);
                a.push(0x2222);
                a.call(BareGuest.Scratch | 3, 0);
                a.mov(ecx, esp);
                a.ud2();
            },
            BareGuest.UserCode);
        Assert.That(_machine.RunToHalt(a => GoToUser32(a)), Is.EqualTo(ExceptionVector.UD));
        Assert.Multiple(() =>
        {
            Assert.That(_machine.Rax, Is.EqualTo(0x2222UL));
            Assert.That(_machine.State->Gpr[3], Is.EqualTo(0x1111UL));
            Assert.That(_machine.State->Gpr[1], Is.EqualTo(BareGuest.Stack), "RETF 8 released both stacks");
        });
    }

    [TestCase(0x0FFCU, 4, true)]
    [TestCase(0x0FFDU, 4, false)]
    [TestCase(0x0FFFU, 1, true)]
    [TestCase(0x1000U, 1, false)]
    [TestCase(0xFFFFFFFFU, 4, false)]
    public void A_data_segment_ends_at_its_limit(uint offset, int size, bool inside)
    {
        _machine.Start32();
        _machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor((uint)BareGuest.Data, 0xFFF, 0x93, 4));
        _machine.Poke(BareGuest.Data + 0xFFC, 0xAABBCCDDu);
        int vector = Access(offset, size);
        Assert.That(vector, Is.EqualTo(inside ? -1 : ExceptionVector.GP));
        Assert.That(_machine.Rax != 0, Is.EqualTo(inside));
    }

    [TestCase(0x0FFFU, 1, false)]
    [TestCase(0x1000U, 1, true)]
    [TestCase(0xFFFCU, 4, true)]
    [TestCase(0xFFFDU, 4, false)]
    public void An_expand_down_segment_begins_behind_its_limit(uint offset, int size, bool inside)
    {
        _machine.Start32();
        _machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor((uint)BareGuest.Data, 0xFFF, 0x97, 0));
        Assert.That(Access(offset, size), Is.EqualTo(inside ? -1 : ExceptionVector.GP));
    }

    private int Access(uint offset, int size) => _machine.RunToHalt(a =>
    {
        a.mov(eax, BareGuest.Scratch);
        a.mov(ds, eax);
        a.mov(ebx, offset);
        a.xor(eax, eax);
        if (size == 4)
        {
            a.mov(eax, __[ebx]);
        }
        else
        {
            a.mov(al, __[ebx]);
        }

        a.hlt();
    });

    [Test]
    public void Writes_to_read_only_data_and_to_code_and_reads_of_execute_only_code_raise_GP([Values(0x91, 0x9B, 0x99)] int access)
    {
        _machine.Start32();
        _machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor((uint)BareGuest.Data, 0xFFF, access, 4));
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.Scratch);
            a.mov(gs, eax);
            a.mov(__dword_ptr.gs[0x10], eax);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
        Assert.That(Frame32(0), Is.EqualTo(access == 0x99 ? BareGuest.Scratch : 0), "execute-only code cannot even be loaded");
    }

    [Test]
    public void A_null_segment_loads_and_faults_when_used()
    {
        _machine.Start32();
        int vector = _machine.RunToHalt(a =>
        {
            a.xor(eax, eax);
            a.mov(es, eax);
            a.inc(ebx);
            a.mov(al, __byte_ptr.es[0x10]);
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(1UL));
    }

    [TestCase(BareGuest.UserData, ExceptionVector.GP, Description = "RPL and DPL 3 at level 0")]
    [TestCase((ushort)0, ExceptionVector.GP, Description = "null")]
    [TestCase(BareGuest.Code32, ExceptionVector.GP, Description = "code")]
    [TestCase((ushort)0x200, ExceptionVector.GP, Description = "beyond the table")]
    [TestCase(BareGuest.Scratch, ExceptionVector.SS, Description = "not present")]
    public void Loading_SS_checks_the_descriptor(ushort selector, byte expected)
    {
        _machine.Start32();
        _machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor(0, 0xFFFFF, 0x13, 0xC));
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, selector);
            a.mov(ss, eax);
        });
        Assert.That(vector, Is.EqualTo(expected));
        Assert.That(Frame32(0), Is.EqualTo((uint)selector & ~3u));
    }

    [Test]
    public void Loading_a_segment_sets_its_accessed_bit()
    {
        _machine.Start32();
        _machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor(0, 0xFFFFF, 0x92, 0xC));
        _machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.Scratch);
            a.mov(fs, eax);
            a.hlt();
        });
        Assert.That(_machine.Peek<byte>(BareGuest.Gdt + BareGuest.Scratch + 5), Is.EqualTo(0x93));
    }

    [Test]
    public void LTR_marks_the_TSS_busy_and_refuses_a_busy_one()
    {
        _machine.Start32();
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.TssSelector);
            a.ltr(ax);
            a.str(ebx);
            a.hlt();
        }), Is.EqualTo(-1));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(BareGuest.TssSelector));
        Assert.That(_machine.Peek<byte>(BareGuest.Gdt + BareGuest.TssSelector + 5), Is.EqualTo(0x8B));
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.TssSelector);
            a.ltr(ax);
        }), Is.EqualTo(ExceptionVector.GP));
    }

    [Test]
    public void A_segment_of_the_LDT_is_found_through_LLDT()
    {
        _machine.Start32();
        _machine.Poke(BareGuest.Ldt + 8, BareGuest.Descriptor((uint)BareGuest.Data, 0xFFF, 0x93, 4));
        _machine.Poke(BareGuest.Data + 4, 0x12345678);
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.LdtSelector);
            a.lldt(ax);
            a.mov(eax, 0x0C);
            a.mov(fs, eax);
            a.mov(ebx, __dword_ptr.fs[4]);
            a.hlt();
        }), Is.EqualTo(-1));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(0x12345678UL));
    }

    [Test]
    public void LAR_LSL_VERR_and_VERW_answer_without_faulting()
    {
        _machine.Start32();
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.Code32);
            a.lar(ebx, eax);
            a.lsl(ecx, eax);
            a.verr(ax);
            a.sete(dl);
            a.verw(ax);
            a.setne(dh);
            a.mov(eax, 0x200);
            a.lar(esi, eax);
            a.setne(al);
            a.hlt();
        }), Is.EqualTo(-1));
        Assert.Multiple(() =>
        {
            Assert.That(_machine.State->Gpr[3], Is.EqualTo(0xCF9B00UL));
            Assert.That(_machine.State->Gpr[1], Is.EqualTo(0xFFFFFFFFUL));
            Assert.That(_machine.State->Gpr[2] & 0xFFFF, Is.EqualTo(0x101UL));
            Assert.That((byte)_machine.Rax, Is.EqualTo(1));
        });
    }

    [Test]
    public void Real_mode_interrupts_push_words_and_IRET_returns()
    {
        _machine.Start16();
        _machine.Poke(0x80UL * 4, (0x6000u << 16) | 0x1000);
        _machine.Load(
            a =>
            {
                a.inc(bx);
                a.iret();
            },
            BareGuest.Handlers + 0x1000);
        int vector = _machine.RunToHalt(a =>
        {
            a.sti();
            a.@int(0x80);
            a.pushf();
            a.pop(cx);
            a.hlt();
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(-1));
            Assert.That(_machine.State->Gpr[3], Is.EqualTo(1UL));
            Assert.That(_machine.State->Gpr[1], Is.EqualTo(0x202UL));
            Assert.That(_machine.Rsp, Is.EqualTo(0x8000UL));
        });
    }

    [Test]
    public void Real_mode_faults_have_no_error_code()
    {
        _machine.Start16();
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(bx, 0xFFFF);
            a.mov(ax, __[bx]);
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.GP), "a word at FFFFH leaves the 64 KiB segment");
        Assert.That(_machine.Rsp, Is.EqualTo(0x8000UL - 6));
        Assert.That(_machine.Peek<ushort>(0x20000 + _machine.Rsp), Is.EqualTo(3));
    }

    [Test]
    public void Real_mode_segments_are_paragraphs()
    {
        _machine.Start16();
        _machine.Poke(0x54328, (ushort)0xBEEF);
        _machine.RunToHalt(a =>
        {
            a.mov(ax, 0x5432);
            a.mov(es, ax);
            a.mov(bx, __word_ptr.es[8]);
            a.hlt();
        });
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(0xBEEFUL));
    }

    [Test]
    public void A_trampoline_goes_from_real_mode_to_protected_mode_by_a_far_jump()
    {
        _machine.Start16();
        _machine.Poke(BareGuest.Data, (ushort)0x7F);
        _machine.Poke(BareGuest.Data + 2, (uint)BareGuest.Gdt);
        _machine.SetDescriptor(BareGuest.Code32, BareGuest.Descriptor(0, 0xFFFFF, 0x9A, 0xC));
        _machine.SetDescriptor(BareGuest.Data0, BareGuest.Descriptor(0, 0xFFFFF, 0x92, 0xC));
        _machine.Load(
            a =>
            {
                a.mov(eax, BareGuest.Data0);
                a.mov(ss, eax);
                a.mov(esp, (int)BareGuest.Stack);
                a.push(eax);
                a.mov(ebx, 0x12345678);
                a.hlt();
            },
            BareGuest.UserCode,
            bitness: 32);
        _machine.Load(a =>
        {
            a.mov(ax, (short)(BareGuest.Data >> 4));
            a.mov(ds, ax);
            a.lgdt(__[(ushort)0]);
            a.mov(eax, cr0);
            a.or(al, 1);
            a.mov(cr0, eax);
            a.db(0x66, 0xEA, 0x00, 0x00, 0x07, 0x00, 0x18, 0x00);
        });
        Assert.That(_machine.Cpu.Run(100), Is.EqualTo(RunResult.Halted));
        Assert.Multiple(() =>
        {
            Assert.That(_machine.State->Gpr[3], Is.EqualTo(0x12345678UL));
            Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack - 4));
            Assert.That(_machine.State->GdtBase, Is.EqualTo(BareGuest.Gdt));
            Assert.That(_machine.State->Mode & CpuMode.Code32, Is.Not.EqualTo(CpuMode.None));
        });
    }

    [Test]
    public void After_power_on_the_first_instruction_is_at_the_reset_vector()
    {
        CpuReset.PowerOn(_machine.State);
        Assert.That(_machine.State->Rip + _machine.State->Segments[(int)SegmentIndex.Cs].Base, Is.EqualTo(0xFFFFFFF0UL));
        Assert.That(_machine.State->Mode & (CpuMode.Segmented | CpuMode.Protected), Is.EqualTo(CpuMode.Segmented));
    }
}
