using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.System;

[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class ExceptionTests(CpuEngine engine) : IDisposable
{
    private readonly BareGuest _machine = new BareGuest(engine).Start64();

    public void Dispose() => _machine.Dispose();

    [Test]
    public void A_fault_pushes_ss_rsp_rflags_cs_and_rip_of_the_instruction()
    {
        _machine.Rsp = BareGuest.Stack - 3;
        int vector = _machine.RunToHalt(a =>
        {
            a.nop();
            a.ud2();
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(ExceptionVector.UD));
            Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack - 16 - 40), "aligned to 16 bytes before the pushes");
            Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.Code + 1));
            Assert.That(_machine.Frame(1), Is.EqualTo(BareGuest.Code64));
            Assert.That(_machine.Frame(2), Is.EqualTo((ulong)(Flags.RF | Flags.Fixed1)), "RF is set in the image of a fault");
            Assert.That(_machine.Frame(3), Is.EqualTo(BareGuest.Stack - 3));
            Assert.That(_machine.Frame(4), Is.EqualTo(BareGuest.Data0));
        });
    }

    [Test]
    public void A_page_fault_pushes_its_error_code_and_sets_CR2()
    {
        _machine.Map(0x21000, 0, flags: 0);
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(rbx, 0x21234);
            a.mov(__[rbx], al);
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_machine.State->Cr2, Is.EqualTo(0x21234UL));
            Assert.That(_machine.Frame(0), Is.EqualTo(2UL), "a write to a page that is not present");
        });
    }

    [Test]
    public void A_divide_error_has_no_error_code()
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.xor(ecx, ecx);
            a.div(ecx);
        });
        Assert.That(vector, Is.Zero);
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.Code + 2));
    }

    [Test]
    public void A_breakpoint_is_a_trap_and_pushes_no_RF()
    {
        int vector = _machine.RunToHalt(a => a.int3());
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(ExceptionVector.BP));
            Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.Code + 1));
            Assert.That(_machine.Frame(2), Is.EqualTo((ulong)Flags.Fixed1));
        });
    }

    [Test]
    public void An_interrupt_gate_clears_IF_and_a_trap_gate_does_not([Values] bool trap)
    {
        _machine.SetGate64(0x80, BareGuest.Handlers + 0x800, trap ? 0x8F : 0x8E);
        _machine.RunToHalt(a =>
        {
            a.sti();
            a.@int(0x80);
        });
        Assert.That((_machine.State->SystemFlags & Flags.IF) != 0, Is.EqualTo(trap));
        Assert.That(_machine.Frame(2) & Flags.IF, Is.Not.Zero);
    }

    [Test]
    public void A_gate_with_an_IST_index_starts_on_that_stack()
    {
        _machine.SetGate64(ExceptionVector.UD, BareGuest.Handlers + (ExceptionVector.UD * 16), ist: 1);
        _machine.RunToHalt(a => a.ud2());
        Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Ist - 40));
        Assert.That(_machine.Ss, Is.EqualTo(BareGuest.Data0), "the level did not change, so SS did not");
    }

    [Test]
    public void A_fault_in_user_mode_switches_to_the_stack_of_the_TSS()
    {
        _machine.Load(a => a.cli(), BareGuest.UserCode);
        int vector = _machine.RunToHalt(a => BareGuest.GoToUser(a));
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
            Assert.That(_machine.State->Cpl, Is.Zero);
            Assert.That(_machine.Rsp, Is.EqualTo(BareGuest.Stack0 - 48));
            Assert.That(_machine.Ss, Is.Zero, "a null selector");
            Assert.That(_machine.Frame(0), Is.Zero, "error code");
            Assert.That(_machine.Frame(1), Is.EqualTo(BareGuest.UserCode));
            Assert.That(_machine.Frame(2), Is.EqualTo(BareGuest.User64));
            Assert.That(_machine.Frame(4), Is.EqualTo(BareGuest.Stack));
            Assert.That(_machine.Frame(5), Is.EqualTo(BareGuest.UserData));
        });
    }

    [Test]
    public void INT_n_from_user_mode_needs_a_gate_of_its_privilege()
    {
        _machine.Load(a => a.@int(0x80), BareGuest.UserCode);
        int vector = _machine.RunToHalt(a => BareGuest.GoToUser(a));
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(ExceptionVector.GP));
            Assert.That(_machine.Frame(0), Is.EqualTo((0x80UL * 8) + 2), "IDT bit, no EXT bit");
            Assert.That(_machine.Frame(1), Is.EqualTo(BareGuest.UserCode), "the fault is at the instruction");
        });
    }

    [Test]
    public void INT_n_through_a_user_gate_returns_behind_the_instruction()
    {
        _machine.SetGate64(0x80, BareGuest.Handlers + 0x800, 0xEE);
        _machine.Load(a => a.@int(0x80), BareGuest.UserCode);
        Assert.That(_machine.RunToHalt(a => BareGuest.GoToUser(a)), Is.EqualTo(0x80));
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.UserCode + 2));
    }

    [Test]
    public void A_gate_that_is_not_present_raises_NP_with_the_EXT_bit_for_an_exception()
    {
        _machine.SetGate64(ExceptionVector.UD, 0x1234, type: 0x0E);
        Assert.That(_machine.RunToHalt(a => a.ud2()), Is.EqualTo(ExceptionVector.NP));
        Assert.That(_machine.Frame(0), Is.EqualTo((ExceptionVector.UD * 8UL) + 3));
    }

    [Test]
    public void A_vector_beyond_the_IDT_limit_raises_GP_with_its_entry()
    {
        _machine.State->IdtLimit = (20 * 16) - 1;
        Assert.That(_machine.RunToHalt(a => a.@int(0x80)), Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Frame(0), Is.EqualTo((0x80UL * 8) + 2));
    }

    [Test]
    public void A_handler_in_data_raises_GP_with_its_selector()
    {
        _machine.SetGate64(0x80, 0x1234, selector: BareGuest.Data0);
        Assert.That(_machine.RunToHalt(a => a.@int(0x80)), Is.EqualTo(ExceptionVector.GP));
        Assert.That(_machine.Frame(0), Is.EqualTo(BareGuest.Data0));
    }

    [Test]
    public void A_fault_while_delivering_a_contributory_fault_is_a_double_fault()
    {
        _machine.SetGate64(ExceptionVector.GP, 0x1234, type: 0x0E);
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, 0x20);
            a.mov(cr8, rax);
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.DF));
        Assert.That(_machine.Frame(0), Is.Zero);
        Assert.That(_machine.Frame(1), Is.EqualTo(BareGuest.Code + 5));
    }

    [Test]
    public void A_page_fault_on_the_stack_of_a_page_fault_is_a_double_fault()
    {
        _machine.SetGate64(ExceptionVector.DF, BareGuest.Handlers + (ExceptionVector.DF * 16), ist: 1);
        _machine.Map(0x2F000, 0, flags: 0);
        _machine.Map(0x21000, 0, flags: 0);
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(rbx, 0x21000);
            a.mov(al, __[rbx]);
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.DF));
        Assert.That(_machine.State->Cr2, Is.EqualTo(BareGuest.Stack - 8));
        Assert.That(_machine.Frame(4), Is.EqualTo(BareGuest.Stack), "RSP as before the first push");
    }

    [Test]
    public void A_fault_while_delivering_a_software_interrupt_is_delivered_by_itself()
    {
        _machine.SetGate64(0x80, 0x1234, type: 0x0E);
        Assert.That(_machine.RunToHalt(a => a.@int(0x80)), Is.EqualTo(ExceptionVector.NP));
        Assert.That(_machine.Frame(0), Is.EqualTo((0x80UL * 8) + 2));
    }

    [Test]
    public void A_fault_while_delivering_a_double_fault_shuts_the_processor_down()
    {
        _machine.State->IdtLimit = 0;
        _machine.Load(a => a.ud2());
        Assert.That(_machine.Cpu.Run(100), Is.EqualTo(RunResult.Shutdown));
    }

    [Test]
    public void A_stack_that_is_not_canonical_raises_SS()
    {
        _machine.SetGate64(ExceptionVector.SS, BareGuest.Handlers + (ExceptionVector.SS * 16), ist: 1);
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(rsp, long.MinValue);
            a.push(rax);
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.SS));
        Assert.That(_machine.Frame(0), Is.Zero);
        Assert.That(_machine.Frame(4), Is.EqualTo(1UL << 63));
    }

    [Test]
    public void An_NMI_is_held_off_until_IRET()
    {
        _machine.SetGate64(ExceptionVector.NMI, BareGuest.Handlers + 0x1000);
        _machine.Load(a =>
        {
            a.inc(rbx);
            a.nop();
            a.iretq();
        }, BareGuest.Handlers + 0x1000);
        _machine.Load(a =>
        {
            for (int i = 0; i < 10; i++)
            {
                a.nop();
            }

            a.hlt();
        });
        _machine.Cpu.RaiseNmi();
        _machine.Cpu.Run(1);
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(1UL));
        _machine.Cpu.RaiseNmi();
        _machine.Cpu.Run(1);
        Assert.That(_machine.State->NmiBlocked);
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(1UL), "blocked");
        _machine.RunToHalt();
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(2UL));
        Assert.That(_machine.State->NmiBlocked, Is.False);
    }

    [Test]
    public void Single_stepping_traps_behind_each_instruction()
    {
        _machine.SetGate64(ExceptionVector.DB, BareGuest.Handlers + 0x1000);
        _machine.Load(a =>
        {
            a.inc(rbx);
            a.mov(rcx, __[rsp]);
            a.iretq();
        }, BareGuest.Handlers + 0x1000);
        int vector = _machine.RunToHalt(a =>
        {
            a.pushfq();
            a.or(__qword_ptr[rsp], 0x100);
            a.popfq();
            a.nop();
            a.nop();
            a.nop();
            a.pushfq();
            a.and(__qword_ptr[rsp], -0x101);
            a.popfq();
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(-1));
        Assert.That(_machine.State->Gpr[3], Is.EqualTo(6UL), "three NOPs, PUSHF, AND and the POPF that ends it");
        Assert.That(_machine.State->Dr6 & DebugState.BS, Is.Not.Zero);
    }

    /// <summary>Ten repetitions are ten traps, the first nine at the instruction (Intel SDM vol. 2, REP), also when the TLB has the pages.</summary>
    [Test]
    public void Single_stepping_traps_behind_each_repetition([Values("movs", "stos", "lods", "cmps", "scas")] string name)
    {
        _machine.SetGate64(ExceptionVector.DB, BareGuest.Handlers + 0x1000);
        _machine.Load(a =>
        {
            a.inc(r8);
            a.cmp(__qword_ptr[rsp], (int)BareGuest.Code + 0x200);
            a.sete(r10b);
            a.movzx(r10d, r10b);
            a.add(r9, r10);
            a.iretq();
        }, BareGuest.Handlers + 0x1000);
        _machine.Load(a =>
        {
            switch (name)
            {
                case "movs": a.rep.movsb(); break;
                case "stos": a.rep.stosb(); break;
                case "lods": a.rep.lodsb(); break;
                case "cmps": a.repe.cmpsb(); break;
                default: a.repe.scasb(); break;
            }

            a.ud2();
        }, BareGuest.Code + 0x200);
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(rsi, BareGuest.Data);
            a.mov(rdi, BareGuest.Data + 0x100);
            a.mov(__byte_ptr[rsi], 0);
            a.mov(eax, 0);
            a.mov(ecx, 10);
            a.xor(r8d, r8d);
            a.xor(r9d, r9d);
            a.pushfq();
            a.or(__qword_ptr[rsp], 0x100);
            a.popfq();
            a.jmp(BareGuest.Code + 0x200);
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.UD));
        Assert.That(_machine.State->Gpr[1], Is.Zero);
        Assert.That(_machine.State->Gpr[9], Is.EqualTo(10UL), "behind the jump and nine of the repetitions");
        Assert.That(_machine.State->Gpr[8], Is.EqualTo(11UL), "and the last repetition");
    }

    [Test]
    public void An_instruction_breakpoint_hits_before_the_instruction_and_once()
    {
        _machine.SetGate64(ExceptionVector.DB, BareGuest.Handlers + 0x1000);
        _machine.Load(a =>
        {
            a.inc(rbx);
            a.mov(rcx, __[rsp]);
            a.bts(__qword_ptr[rsp + 16], 16);
            a.iretq();
        }, BareGuest.Handlers + 0x1000);
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, (int)BareGuest.Code + 17);
            a.mov(dr0, rax);
            a.mov(eax, 1);
            a.mov(dr7, rax);
            a.nop();
            a.inc(rdx);
            a.hlt();
        });
        Assert.Multiple(() =>
        {
            Assert.That(vector, Is.EqualTo(-1));
            Assert.That(_machine.State->Gpr[1], Is.EqualTo(BareGuest.Code + 17));
            Assert.That(_machine.State->Gpr[3], Is.EqualTo(1UL));
            Assert.That(_machine.State->Gpr[2], Is.EqualTo(1UL));
            Assert.That(_machine.State->Dr6 & 0xF, Is.EqualTo(1UL));
        });
    }

    [Test]
    public void A_data_breakpoint_traps_behind_the_write()
    {
        int vector = _machine.RunToHalt(a =>
        {
            a.mov(eax, (int)BareGuest.Data);
            a.mov(dr1, rax);
            a.mov(eax, 0x00D00004);
            a.mov(dr7, rax);
            a.mov(ecx, __dword_ptr[BareGuest.Data]);
            a.mov(__dword_ptr[BareGuest.Data + 3], ecx);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.DB));
        Assert.That(_machine.State->Dr6 & 0xF, Is.EqualTo(2UL));
    }
}
