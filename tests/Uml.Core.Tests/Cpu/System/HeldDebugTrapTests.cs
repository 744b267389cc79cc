using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.System;

/// <summary>A data breakpoint on the operand of MOV SS or POP SS waits for the end of the next instruction (Intel SDM vol. 3, 6.8.3).</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class HeldDebugTrapTests(CpuEngine engine) : IDisposable
{
    private const uint Watched = 1;

    private readonly BareGuest _machine = new BareGuest(engine).Start64();

    public void Dispose() => _machine.Dispose();

    [Test]
    public void The_trap_comes_behind_the_next_instruction()
    {
        int vector = Run(a =>
        {
            a.mov(ss, __word_ptr[BareGuest.Data]);
            a.mov(esp, (int)BareGuest.Stack - 0x100);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.DB));
        Assert.That(_machine.State->Dr6 & 0xF, Is.EqualTo(Watched));
        Assert.That(_machine.Frame(3), Is.EqualTo(BareGuest.Stack - 0x100), "the stack pointer that the instruction in between loads");
    }

    [Test]
    public void A_software_interrupt_goes_to_its_handler_first([Values(1, 3, 4)] int kind)
    {
        int vector = Run(a =>
        {
            a.mov(ss, __word_ptr[BareGuest.Data]);
            if (kind == 1)
            {
                a.@int(0x40);
            }
            else if (kind == 3)
            {
                a.int3();
            }
            else
            {
                a.syscall();
            }

            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.DB));
        Assert.That(_machine.State->Dr6 & 0xF, Is.EqualTo(Watched));
        ulong handler = kind switch { 1 => BareGuest.Handlers + 0x400, 3 => BareGuest.Handlers + 0x30, _ => BareGuest.Handlers + 0x2000 };
        Assert.That(_machine.Frame(0), Is.EqualTo(handler), "before the first instruction of the handler");
    }

    [Test]
    public void A_fault_of_the_next_instruction_drops_it()
    {
        int vector = Run(a =>
        {
            a.mov(ss, __word_ptr[BareGuest.Data]);
            a.ud2();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.UD));
        Assert.That(_machine.State->Dr6 & 0xF, Is.Zero);
    }

    [Test]
    public void INT1_drops_it_and_reports_no_breakpoint()
    {
        int vector = Run(a =>
        {
            a.mov(ss, __word_ptr[BareGuest.Data]);
            a.AddInstruction(Instruction.Create(Code.Int1));
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.DB));
        Assert.That(_machine.State->Dr6 & 0xF, Is.Zero);
    }

    [Test]
    public void It_is_merged_with_what_the_next_instruction_hits()
    {
        int vector = Run(a =>
        {
            a.mov(ss, __word_ptr[BareGuest.Data]);
            a.mov(ecx, __dword_ptr[BareGuest.Data + 8]);
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.DB));
        Assert.That(_machine.State->Dr6 & 0xF, Is.EqualTo(Watched | 2));
    }

    [Test]
    public void STI_holds_no_debug_trap()
    {
        int vector = Run(a =>
        {
            a.mov(ecx, __dword_ptr[BareGuest.Data]);
            a.sti();
            a.hlt();
        });
        Assert.That(vector, Is.EqualTo(ExceptionVector.DB));
        Assert.That(_machine.State->SystemFlags & Flags.IF, Is.Zero);
    }

    /// <summary>Runs code with breakpoints on reads and writes of two places in the data.</summary>
    private int Run(Action<Assembler> code)
    {
        _machine.Poke(BareGuest.Data, (ulong)BareGuest.Data0);
        Assert.That(ModelSpecificRegisters.TryWrite(_machine.State, 0xC0000080, 0xD01));
        Assert.That(ModelSpecificRegisters.TryWrite(_machine.State, 0xC0000081, (ulong)BareGuest.Code64 << 32));
        Assert.That(ModelSpecificRegisters.TryWrite(_machine.State, 0xC0000082, BareGuest.Handlers + 0x2000));
        return _machine.RunToHalt(a =>
        {
            a.mov(eax, (int)BareGuest.Data);
            a.mov(dr0, rax);
            a.add(eax, 8);
            a.mov(dr1, rax);
            a.mov(eax, 0x00FF0005);
            a.mov(dr7, rax);
            code(a);
        });
    }
}
