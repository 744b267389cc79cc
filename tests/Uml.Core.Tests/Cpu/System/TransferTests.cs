using Uml.Core.Cpu;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.System;

[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class TransferTests(CpuEngine engine) : IDisposable
{
    private const uint Efer = 0xC0000080, Star = 0xC0000081, LStar = 0xC0000082, SfMask = 0xC0000084;
    private readonly BareGuest _machine = new BareGuest(engine).Start64();

    public void Dispose() => _machine.Dispose();

    private void Msr(uint index, ulong value) => Assert.That(ModelSpecificRegisters.TryWrite(_machine.State, index, value));

    private void EnableSyscall()
    {
        Msr(Efer, 0xD01);
        Msr(Star, ((ulong)(BareGuest.User32 & ~3) << 48) | ((ulong)BareGuest.Code64 << 32));
        Msr(LStar, BareGuest.Handlers);
        Msr(SfMask, Flags.IF | Flags.TF | Flags.DF);
    }

    [Test]
    public void IRETQ_goes_to_user_mode_with_everything_from_the_frame()
    {
        _machine.Load(a => a.jmp(BareGuest.UserCode), BareGuest.UserCode);
        _machine.Load(a => BareGuest.GoToUser(a, flags: 0x3202));
        _machine.Cpu.Run(10);
        Assert.Multiple(() =>
        {
            Assert.That(_machine.State->Rip, Is.EqualTo(BareGuest.UserCode));
            Assert.That(_machine.State->Cpl, Is.EqualTo(3));
            Assert.That(_machine.Cs, Is.EqualTo(BareGuest.User64));
            Assert.That(_machine.Ss, Is.EqualTo(BareGuest.UserData));
            Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack));
            Assert.That(Flags.Get(_machine.State), Is.EqualTo(0x3202UL));
        });
    }

    [Test]
    public void IRETQ_at_the_same_level_takes_the_stack_from_the_frame()
    {
        _machine.Load(a =>
        {
            a.push(BareGuest.Data0);
            a.push(0x12345);
            a.push(2);
            a.push(BareGuest.Code64);
            a.push((int)BareGuest.UserCode);
            a.iretq();
        });
        _machine.Cpu.Run(6);
        Assert.That(_machine.State->Rip, Is.EqualTo(BareGuest.UserCode));
        Assert.That(_machine.Rsp, Is.EqualTo(0x12345UL));
    }

    [Test]
    public void IRETQ_to_a_null_stack_segment_is_allowed_below_level_3_only([Values] bool user)
    {
        int vector = _machine.Load(a => a.hlt(), BareGuest.UserCode).RunToHalt(a =>
        {
            a.push(user ? 3 : 0);
            a.push((int)BareGuest.Stack);
            a.push(2);
            a.push(user ? BareGuest.User64 : BareGuest.Code64);
            a.push((int)BareGuest.UserCode);
            a.iretq();
        });
        Assert.That(vector, Is.EqualTo(user ? ExceptionVector.GP : -1));
    }

    [Test]
    public void IRETQ_to_an_address_that_is_not_canonical_faults_before_leaving()
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.push(BareGuest.UserData);
            a.push((int)BareGuest.Stack);
            a.push(2);
            a.push(BareGuest.User64);
            a.mov(rax, 1L << 47);
            a.push(rax);
            a.iretq();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Frame(2), Is.EqualTo(BareGuest.Code64), "at CPL 0");
        Assert.That(_machine.Frame(0), Is.Zero);
    }

    [Test]
    public void IRETQ_with_NT_set_raises_GP()
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.push(0x4002);
            a.popfq();
            a.iretq();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
    }

    [Test]
    public void IRETQ_cannot_go_to_an_inner_level()
    {
        _machine.Load(a => BareGuest.GoToUser(a, cs: BareGuest.Code64), BareGuest.UserCode);
        int vector = _machine.RunToHalt(a => BareGuest.GoToUser(a));
        Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.Code64));
    }

    [Test]
    public void User_mode_cannot_change_IF_or_IOPL_by_IRETQ_or_POPF()
    {
        _machine.Load(
            a =>
            {
                a.push(0x3202);
                a.popfq();
                a.push(BareGuest.UserData);
                a.push((int)BareGuest.Stack);
                a.push(0x3002);
                a.push(BareGuest.User64);
                a.push((int)BareGuest.UserCode + 0x100);
                a.iretq();
            },
            BareGuest.UserCode);
        _machine.Load(a => a.ud2(), BareGuest.UserCode + 0x100);
        _machine.RunToHalt(a => BareGuest.GoToUser(a, flags: 0x202));
        Assert.That(_machine.Frame(2) & ~Flags.RF, Is.EqualTo(0x202UL));
    }

    [Test]
    public void A_return_to_user_mode_drops_segments_of_inner_levels()
    {
        _machine.Load(a => a.jmp(BareGuest.UserCode), BareGuest.UserCode);
        _machine.Load(a =>
        {
            a.mov(eax, BareGuest.UserData);
            a.mov(fs, eax);
            BareGuest.GoToUser(a);
        });
        _machine.Cpu.Run(20);
        Assert.That(_machine.State->Segments[(int)SegmentIndex.Ds].Selector, Is.Zero, "was a segment of level 0");
        Assert.That(_machine.State->Segments[(int)SegmentIndex.Fs].Selector, Is.EqualTo(BareGuest.UserData));
    }

    /// <summary>Intel SDM vol. 2, IRET, RETURN-TO-OUTER-PRIVILEGE-LEVEL: a null selector of any RPL becomes 0.</summary>
    [Test]
    public void A_return_to_user_mode_takes_the_RPL_from_null_selectors([Values] bool far)
    {
        _machine.Load(a => a.jmp(BareGuest.UserCode), BareGuest.UserCode);
        _machine.Load(a =>
        {
            a.mov(eax, 3);
            a.mov(ds, eax);
            a.mov(es, eax);
            a.mov(fs, eax);
            a.mov(gs, eax);
            if (!far)
            {
                BareGuest.GoToUser(a);
                return;
            }

            a.push(BareGuest.UserData);
            a.push((int)BareGuest.Stack);
            a.push(BareGuest.User64);
            a.push((int)BareGuest.UserCode);
            a.AddInstruction(Iced.Intel.Instruction.Create(Iced.Intel.Code.Retfq));
        });
        _machine.Cpu.Run(20);
        Assert.That(_machine.State->Cpl, Is.EqualTo(3));
        foreach (SegmentIndex index in (SegmentIndex[])[SegmentIndex.Ds, SegmentIndex.Es, SegmentIndex.Fs, SegmentIndex.Gs])
        {
            Assert.That(_machine.State->Segments[(int)index].Selector, Is.Zero, index.ToString());
        }
    }

    [Test]
    public void SYSCALL_saves_RIP_and_flags_and_masks()
    {
        EnableSyscall();
        _machine.Load(
            a =>
            {
                a.std();
                a.stc();
                a.syscall();
            },
            BareGuest.UserCode);
        Assert.That(_machine.RunToHalt(a => BareGuest.GoToUser(a)), Is.Zero);
        Assert.Multiple(() =>
        {
            Assert.That(_machine.State->Gpr[1], Is.EqualTo(BareGuest.UserCode + 4));
            Assert.That(_machine.State->Gpr[11], Is.EqualTo(0x603UL));
            Assert.That(Flags.Get(_machine.State), Is.EqualTo(3UL));
            Assert.That(_machine.Cs, Is.EqualTo(BareGuest.Code64));
            Assert.That(_machine.Ss, Is.EqualTo(BareGuest.Data0));
            Assert.That(_machine.State->Cpl, Is.Zero);
            Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack), "SYSCALL leaves the stack alone");
        });
    }

    [Test]
    public void SYSCALL_is_undefined_until_EFER_enables_it() =>
        Assert.That(_machine.RunToHalt(a => a.syscall()), Is.EqualTo(ExceptionVector.UD));

    [Test]
    public void SYSRETQ_returns_to_64_bit_user_code()
    {
        EnableSyscall();
        _machine.Load(a => a.ud2(), BareGuest.UserCode);
        _machine.RunToHalt(a =>
        {
            a.mov(ecx, (int)BareGuest.UserCode);
            a.mov(r11d, 0x202);
            a.sysretq();
        });
        Assert.Multiple(() =>
        {
            Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.UserCode));
            Assert.That(_machine.Frame(1), Is.EqualTo(BareGuest.User64));
            Assert.That(_machine.Frame(4), Is.EqualTo(BareGuest.UserData));
            Assert.That(_machine.Frame(2) & Flags.IF, Is.Not.Zero);
        });
    }

    [Test]
    public void SYSRETQ_to_an_address_that_is_not_canonical_faults_at_level_0()
    {
        EnableSyscall();
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(rcx, 1L << 47);
            a.mov(r11d, 0x202);
            a.sysretq();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Frame(2), Is.EqualTo(BareGuest.Code64));
        Assert.That(_machine.Frame(3) & Flags.IF, Is.Zero, "flags were not loaded");
    }

    [Test]
    public void SYSRETL_and_SYSENTER_serve_compatibility_mode()
    {
        EnableSyscall();
        Msr(0x174, BareGuest.Code64);
        Msr(0x175, BareGuest.Stack0);
        Msr(0x176, BareGuest.Handlers + 0x100);
        _machine.Load(
            a =>
            {
                a.mov(eax, 0x12345678);
                a.inc(eax);
                a.sysenter();
            },
            BareGuest.UserCode,
            bitness: 32);
        int handler = _machine.RunToHalt(a =>
        {
            a.mov(rax, -1L);
            a.mov(ecx, (int)BareGuest.UserCode);
            a.mov(r11d, 0x202);
            a.db(0x0F, 0x07);
        });
        Assert.Multiple(() =>
        {
            Assert.That(handler, Is.EqualTo(0x10));
            Assert.That(_machine.Rax, Is.EqualTo(0x12345679UL));
            Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack0));
            Assert.That(_machine.Cs, Is.EqualTo(BareGuest.Code64));
            Assert.That(_machine.State->SystemFlags & Flags.IF, Is.Zero);
            Assert.That(_machine.State->Mode & CpuMode.Long64, Is.Not.EqualTo(CpuMode.None));
        });
    }

    [Test]
    public void SYSEXITQ_returns_to_user_mode_by_RCX_and_RDX()
    {
        Msr(0x174, BareGuest.Code64);
        _machine.SetDescriptor(0x28, BareGuest.Descriptor(0, 0xFFFFF, 0xFB, 0xA));
        _machine.Load(a => a.ud2(), BareGuest.UserCode);
        _machine.RunToHalt(a =>
        {
            a.mov(edx, (int)BareGuest.UserCode);
            a.mov(ecx, 0x23456);
            a.sysexitq();
        });
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.UserCode));
        Assert.That(_machine.Frame(1), Is.EqualTo(0x2BUL));
        Assert.That(_machine.Frame(3), Is.EqualTo(0x23456UL));
        Assert.That(_machine.Frame(4), Is.EqualTo(0x33UL));
    }

    [Test]
    public void SWAPGS_exchanges_the_bases_and_is_privileged()
    {
        Msr(0xC0000101, 0x1111);
        Msr(0xC0000102, 0xFFFF800000000000);
        _machine.Load(a => a.swapgs(), BareGuest.UserCode);
        int vector = _machine.RunToHalt(a =>
        {
            a.swapgs();
            BareGuest.GoToUser(a);
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.State->Segments[(int)SegmentIndex.Gs].Base, Is.EqualTo(0xFFFF800000000000));
        Assert.That(_machine.State->KernelGsBase, Is.EqualTo(0x1111UL));
    }

    [Test]
    public void A_far_return_and_a_far_jump_change_between_64_bit_and_compatibility_mode()
    {
        _machine.Poke(BareGuest.Data, (uint)BareGuest.UserCode + 0x100);
        _machine.Poke(BareGuest.Data + 4, BareGuest.Code64);
        _machine.Load(
            a =>
            {
                a.mov(ebx, esp);
                a.dec(eax);
                a.jmp(__fword_ptr[(uint)BareGuest.Data]);
            },
            BareGuest.UserCode,
            bitness: 32);
        _machine.Load(a => a.hlt(), BareGuest.UserCode + 0x100);
        int vector = _machine.RunToHalt(a =>
        {
            a.xor(eax, eax);
            a.push(BareGuest.Code32);
            a.push((int)BareGuest.UserCode);
            a.db(0x48, 0xCB);
        });
        Assert.That(vector, Is.EqualTo(-1));
        Assert.That(_machine.Rax, Is.EqualTo(0xFFFFFFFFUL));
        Assert.That(_machine.Cs, Is.EqualTo(BareGuest.Code64));
    }

    [Test]
    public void A_call_gate_leads_to_level_0_with_the_TSS_stack_and_RETF_back()
    {
        // A 64-bit call gate at 58H: 16 bytes, DPL 3.
        _machine.SetDescriptor(
            BareGuest.Scratch,
            (BareGuest.Handlers & 0xFFFF) | ((ulong)BareGuest.Code64 << 16) | (0xECUL << 40)
            | ((BareGuest.Handlers & 0xFFFF0000) << 32));
        _machine.SetDescriptor(BareGuest.Scratch + 8, 0);
        _machine.Load(a => a.db(0x48, 0xCB), BareGuest.Handlers);
        _machine.Poke(BareGuest.Data, 0xDEADBEEF);
        _machine.Poke(BareGuest.Data + 4, (ushort)(BareGuest.Scratch | 3));
        _machine.Load(
            a =>
            {
                a.call(__fword_ptr[BareGuest.Data]);
                a.mov(ebx, cs);
                a.ud2();
            },
            BareGuest.UserCode);
        int vector = _machine.RunToHalt(a => BareGuest.GoToUser(a));
        Assert.That(vector, Is.EqualTo(ExceptionVector.UD));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(BareGuest.User64));
        Assert.That(_machine.Frame(3), Is.EqualTo(BareGuest.Stack));
        Assert.That(_machine.Peek<ulong>(BareGuest.Stack0 - 8), Is.EqualTo(BareGuest.UserData), "SS, the first pushed");
    }

    [Test]
    public void A_far_jump_to_data_or_to_a_task_raises_GP_with_the_selector(
        [Values(BareGuest.Data0, BareGuest.TssSelector)] ushort selector)
    {
        _machine.Poke(BareGuest.Data + 4, selector);
        Assert.That(_machine.RunToHalt(a => a.jmp(__fword_ptr[BareGuest.Data])), Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Frame(0), Is.EqualTo(selector));
    }

    [Test]
    public void STI_holds_interrupts_off_for_one_instruction_and_HLT_is_woken()
    {
        _machine.SetGate64(0x40, BareGuest.Handlers + 0x400);
        var apic = new PendingVector(0x40);
        _machine.Cpu.ConnectLocalApic(apic);
        _machine.Cpu.SetInterruptRequest(true);
        int vector = _machine.RunToHalt(a =>
        {
            a.sti();
            a.inc(rbx);
            a.inc(rbx);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(0x40));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(1UL));
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.Code + 4));
    }

    [Test]
    public void MOV_SS_holds_interrupts_off_for_one_instruction()
    {
        var apic = new PendingVector(0x40);
        _machine.Cpu.ConnectLocalApic(apic);
        _machine.Cpu.SetInterruptRequest(true);
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, BareGuest.Data0);
            a.sti();
            a.mov(ss, eax);
            a.mov(esp, 0x2FF00);
            a.inc(rbx);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(0x40));
        Assert.That(_machine.State->Gpr[3], Is.Zero);
        Assert.That(_machine.Frame(3), Is.EqualTo(0x2FF00UL));
    }

    private sealed class PendingVector(int vector) : Uml.Core.Bus.ILocalApic
    {
        private int _vector = vector;

        public byte TaskPriority { get; set; }

        public bool IsEnabled => true;

        public int AcknowledgeInterrupt()
        {
            int vector = _vector;
            _vector = -1;
            return vector;
        }
    }
}
