using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.System;

[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class SegmentTests(CpuEngine engine) : IDisposable
{
    private readonly BareGuest _machine = new(engine);

    public void Dispose() => _machine.Dispose();

    private ref SegmentRegister Segment(SegmentIndex index) => ref _machine.State->Segments[(int)index];

    [Test]
    public void LLDT_in_64_bit_mode_takes_all_of_the_base_from_16_bytes()
    {
        _machine.Start64();
        _machine.SetDescriptor(BareGuest.LdtSelector + 8, 0xFFFF8000UL);
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.LdtSelector);
            a.lldt(ax);
            a.sldt(ebx);
            a.hlt();
        }), Is.EqualTo(-1));
        Assert.That(Segment(SegmentIndex.Ldtr).Base, Is.EqualTo(0xFFFF8000_00000000 | BareGuest.Ldt));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(BareGuest.LdtSelector));
    }

    [Test]
    public void LTR_of_a_base_that_is_not_canonical_raises_GP_with_the_selector()
    {
        _machine.Start64();
        _machine.SetDescriptor(BareGuest.TssSelector + 8, 0x8000UL);
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.TssSelector);
            a.ltr(ax);
        }), Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.TssSelector));
    }

    [Test]
    public void A_null_FS_selector_clears_the_base_and_WRFSBASE_sets_it()
    {
        _machine.Start64();
        _machine.State->Cr4 |= Cr4.FSGSBASE;
        _machine.Poke(BareGuest.Data + 8, 0x1122334455667788UL);
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(eax, (int)BareGuest.Data);
            a.wrfsbase(rax);
            a.mov(rbx, __qword_ptr.fs[8]);
            a.rdfsbase(rcx);
            a.xor(eax, eax);
            a.mov(fs, eax);
            a.rdfsbase(rdx);
            a.hlt();
        }), Is.EqualTo(-1));
        Assert.Multiple(() =>
        {
            Assert.That(_machine.State->Gpr[3], Is.EqualTo(0x1122334455667788UL));
            Assert.That(_machine.State->Gpr[1], Is.EqualTo(BareGuest.Data));
            Assert.That(_machine.State->Gpr[2], Is.Zero);
        });
    }

    [Test]
    public void WRGSBASE_is_undefined_without_CR4_FSGSBASE_and_refuses_addresses_that_are_not_canonical([Values] bool enabled)
    {
        _machine.Start64();
        _machine.State->Cr4 |= enabled ? Cr4.FSGSBASE : 0;
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(rax, 1L << 47);
            a.wrgsbase(rax);
        }), Is.EqualTo(enabled ? ExceptionVector.GP : ExceptionVector.UD));
    }

    [Test]
    public void A_data_segment_of_an_inner_level_cannot_be_loaded_by_user_mode()
    {
        _machine.Start64();
        _machine.Load(
            a =>
            {
                a.mov(eax, BareGuest.Data0 | 3);
                a.mov(ds, eax);
            },
            BareGuest.UserCode);
        Assert.That(_machine.RunToHalt(a => BareGuest.GoToUser(a)), Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.Data0));
    }

    [Test]
    public void A_segment_that_is_not_present_raises_NP()
    {
        _machine.Start64();
        _machine.SetDescriptor(BareGuest.Scratch, BareGuest.Descriptor(0, 0xFFFFF, 0x13, 0xC));
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.Scratch);
            a.mov(ds, eax);
        }), Is.EqualTo(ExceptionVector.NP));
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.Scratch));
    }

    [Test]
    public void LSS_loads_stack_segment_and_pointer_together()
    {
        _machine.Start32();
        _machine.Poke(BareGuest.Data, (uint)BareGuest.Ist);
        _machine.Poke(BareGuest.Data + 4, BareGuest.Data0);
        Assert.That(_machine.RunToHalt(a =>
        {
            a.lss(esp, __fword_ptr[(uint)BareGuest.Data]);
            a.push(eax);
            a.hlt();
        }), Is.EqualTo(-1));
        Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Ist - 4));
    }

    [Test]
    public void A_failed_POP_of_a_segment_leaves_the_stack_pointer()
    {
        _machine.Start32();
        Assert.That(_machine.RunToHalt(a =>
        {
            a.push(0x200);
            a.pop(ds);
        }), Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack - 4 - 16));
    }

    [Test]
    public void An_i386_program_calls_a_64_bit_kernel_by_INT_80H_and_gets_back()
    {
        _machine.Start64();
        _machine.SetGate64(0x80, BareGuest.Handlers + 0x1000, 0xEE);
        _machine.Load(
            a =>
            {
                a.mov(rax, 0x1_0000_0005L);
                a.iretq();
            },
            BareGuest.Handlers + 0x1000);
        _machine.Load(
            a =>
            {
                a.mov(esp, (int)BareGuest.Data + 0x800);
                a.@int(0x80);
                a.inc(eax);
                a.push(eax);
                a.ud2();
            },
            BareGuest.UserCode,
            bitness: 32);
        Assert.That(_machine.RunToHalt(a => BareGuest.GoToUser(a, cs: BareGuest.User32)), Is.EqualTo(ExceptionVector.UD));
        Assert.Multiple(() =>
        {
            Assert.That(_machine.Rax, Is.EqualTo(6UL));
            Assert.That(_machine.Frame(1), Is.EqualTo(BareGuest.User32));
            Assert.That(_machine.Frame(3), Is.EqualTo(BareGuest.Data + 0x7FC));
            Assert.That(_machine.Peek<uint>(BareGuest.Data + 0x7FC), Is.EqualTo(6u));
        });
    }

    [Test]
    public void BOUND_and_INTO_raise_their_exceptions()
    {
        _machine.Start32();
        _machine.Poke(BareGuest.Data, -5);
        _machine.Poke(BareGuest.Data + 4, 5);
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(eax, -5);
            a.bound(eax, __qword_ptr[(uint)BareGuest.Data]);
            a.inc(ebx);
            a.mov(eax, 6);
            a.bound(eax, __qword_ptr[(uint)BareGuest.Data]);
        }), Is.EqualTo(ExceptionVector.BR));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(1UL));
        Assert.That(_machine.RunToHalt(a =>
        {
            a.into();
            a.mov(eax, int.MaxValue);
            a.inc(eax);
            a.into();
        }), Is.EqualTo(ExceptionVector.OF));
    }

    [Test]
    public void Alignment_faults_without_end_shut_the_processor_down()
    {
        _machine.Start32();
        _machine.State->Cr0 |= Cr0.AM;
        _machine.SetGate32(ExceptionVector.AC, (uint)BareGuest.Handlers, type: 0xEE, selector: BareGuest.User32);
        _machine.Load(
            a =>
            {
                a.mov(esp, (int)BareGuest.Stack - 1);
                a.push(eax);
            },
            BareGuest.UserCode);
        _machine.Load(a =>
        {
            a.push(BareGuest.UserData);
            a.push((int)BareGuest.Stack);
            a.push((int)Flags.AC | 2);
            a.push(BareGuest.User32);
            a.push((int)BareGuest.UserCode);
            a.iretd();
        });
        Assert.That(_machine.Cpu.Run(100), Is.EqualTo(RunResult.Shutdown));
    }

    [Test]
    public void REP_INS_with_TF_set_traps_between_repetitions()
    {
        _machine.Start64();
        Assert.That(_machine.RunToHalt(a =>
        {
            a.mov(dx, 0x60);
            a.mov(edi, (int)BareGuest.Data);
            a.mov(ecx, 5);
            a.pushfq();
            a.or(__qword_ptr[rsp], 0x100);
            a.popfq();
            a.rep.insb();
        }), Is.EqualTo(ExceptionVector.DB));
        Assert.That(_machine.State->Gpr[1], Is.EqualTo(4UL));
    }
}
