using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.System;

/// <summary>A budget that ends between an instruction that inhibits interrupts and the next one (Intel SDM vol. 3, 6.8.3).</summary>
[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
public sealed unsafe class InterruptShadowBudgetTests(CpuEngine engine)
{
    [Test]
    public void The_shadow_of_mov_ss_holds_a_pending_nmi_off_over_the_end_of_a_budget()
    {
        using BareGuest guest = Start(a =>
        {
            a.mov(eax, ss);
            a.mov(ss, eax);
            a.nop();
            a.nop();
            a.hlt();
        });
        guest.Run(2);
        Assert.That(guest.State->InterruptShadow);

        guest.Cpu.Registers.NmiPending = true;
        guest.Cpu.Run(1);
        Assert.That(guest.State->Rip, Is.EqualTo(BareGuest.Handlers + (2 * 16)));
        Assert.That(guest.Frame(0), Is.EqualTo(BareGuest.Code + 5), "behind the instruction that follows MOV SS");
    }

    [Test]
    public void The_shadow_of_sti_is_there_when_the_budget_ends_behind_it([Values(1, 2)] int instructions)
    {
        using BareGuest guest = Start(a =>
        {
            a.sti();
            a.nop();
            a.nop();
            a.hlt();
        });
        guest.Run(instructions);
        Assert.That(guest.State->InterruptShadow, Is.EqualTo(instructions == 1));
        Assert.That(guest.State->SystemFlags & Flags.IF, Is.Not.Zero);
    }

    private BareGuest Start(Action<Assembler> code)
    {
        Assume.That(engine != CpuEngine.Jit || JitEngine.IsSupported);
        return new BareGuest(engine).Start64().Load(code);
    }
}
