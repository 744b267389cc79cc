using Iced.Intel;
using Uml.Core.Boot;
using Uml.Core.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Tests.Robustness;

/// <summary>Guests that never let go: pausing and stopping them works all the same.</summary>
[CancelAfter(60_000)]
public sealed class EndlessGuestTests
{
    private const ulong Nowhere = 0x40_0000_0000;

    [Test]
    public async Task A_guest_that_never_lets_go_is_paused_and_stopped(
        [ValueSource(nameof(Guests))] Guest guest, [Values] ClockMode clock, CancellationToken token)
    {
        await using IVirtualMachine machine = guest.Build(clock);
        await machine.StartAsync(token);
        await Task.Delay(40, token);
        for (int i = 0; i < 2; i++)
        {
            await FlatGuest.AssertPrompt(machine.PauseAsync(token), "Pausing", token);
            Assert.That(machine.State, Is.EqualTo(MachineState.Paused));
            Assert.That(() => machine.Processors[0].Rip, Throws.Nothing);
            await machine.ResumeAsync(token);
            await Task.Delay(5, token);
        }

        await FlatGuest.AssertPrompt(machine.StopAsync(token), "Stopping", token);
        Assert.That((await machine.WaitForExitAsync(token)).Reason, Is.EqualTo(MachineExitReason.HostStop));
    }

    public static IEnumerable<Guest> Guests()
    {
        yield return new("spins with interrupts off", a => Loop(a, _ => { }));
        yield return new("spins with interrupts on", a =>
        {
            a.sti();
            Loop(a, _ => { });
        });
        yield return new("pauses forever", a => Loop(a, a => a.pause()));
        yield return new("calls CPUID forever", a => Loop(a, a => a.cpuid()));
        yield return new("flushes forever", a => Loop(a, a =>
        {
            a.mov(rax, cr3);
            a.mov(cr3, rax);
            a.wbinvd();
        }));
        yield return new("modifies itself forever", SelfModifying);
        yield return new("REP STOSB over everything", a => Endless(a, a => a.rep.stosb())) { Endless = true };
        yield return new("REP STOSQ downwards", a => Endless(a, a =>
        {
            a.std();
            a.rep.stosq();
        })) { Endless = true };
        yield return new("REP MOVSB over everything", a => Endless(a, a => a.rep.movsb())) { Endless = true };
        yield return new("REP LODSB over everything", a => Endless(a, a => a.rep.lodsb())) { Endless = true };
        yield return new("REPE CMPSB over everything", a => Endless(a, a =>
        {
            a.mov(rsi, rdi);
            a.repe.cmpsb();
        })) { Endless = true };
        yield return new("REPNE SCASB over everything", a => Endless(a, a =>
        {
            a.mov(eax, 0xFF);
            a.repne.scasb();
        })) { Endless = true };
        yield return new("REP INSB from nowhere", a => Endless(a, a =>
        {
            a.mov(edx, 0x1234);
            a.rep.insb();
        })) { Endless = true };
        yield return new("REP OUTSB to the console", a => Endless(a, a =>
        {
            a.mov(edx, 0x3F8);
            a.rep.outsb();
        })) { Endless = true };
        yield return new("REP STOSB into the APIC's page", a => Loop(a, a =>
            {
                a.mov(ecx, 0x1000);
                a.mov(edi, 0xFEE0_0000u);
                a.rep.stosb();
            }));
        yield return new("exceptions whose handler is nowhere", Faulting) { Handler = Nowhere, UseIst = true };
        yield return new("exceptions whose handler faults", a =>
        {
            FlatGuest.LoadTables(a);
            Label handler = a.CreateLabel();
            FlatGuest.PointGates(a, handler);
            a.ud2();
            a.Label(ref handler);
            a.mov(rax, Nowhere);
            a.mov(__[rax], rax);
        }) { UseIst = true };
        yield return new("exceptions that return to themselves", a =>
        {
            FlatGuest.LoadTables(a);
            Label handler = a.CreateLabel();
            FlatGuest.PointGates(a, handler);
            a.ud2();
            a.Label(ref handler);
            a.iretq();
        });
        yield return new("single-steps itself", a =>
        {
            FlatGuest.LoadTables(a);
            Label handler = a.CreateLabel();
            FlatGuest.PointGates(a, handler);
            a.pushfq();
            a.or(__qword_ptr[rsp], 0x100);
            a.popfq();
            Loop(a, _ => { });
            a.Label(ref handler);
            a.iretq();
        });
        yield return new("watches the stack that its debug exception pushes to", a =>
        {
            FlatGuest.LoadTables(a);
            Label handler = a.CreateLabel();
            FlatGuest.PointGates(a, handler);
            a.mov(rax, FlatGuest.InterruptStack - 8);
            a.mov(dr0, rax);
            a.mov(eax, 0x000B_0003);
            a.mov(dr7, rax);
            a.mov(rax, FlatGuest.InterruptStack - 8);
            a.mov(__[rax], rax);
            Loop(a, _ => { });
            a.Label(ref handler);
            a.iretq();
        }) { UseIst = true };
        yield return new("interrupts itself forever", a =>
        {
            FlatGuest.LoadTables(a);
            Label handler = a.CreateLabel();
            FlatGuest.PointGates(a, handler);
            a.mov(ebx, 0xFEE0_0000u);
            a.mov(__dword_ptr[rbx + 0xF0], 0x1FF);
            a.sti();
            SendSelf(a, 0x40);
            Loop(a, _ => { });
            a.Label(ref handler);
            a.mov(__dword_ptr[rbx + 0xB0], 0);
            SendSelf(a, 0x40);
            a.iretq();
        }) { UseIst = true };
        yield return new("sends itself NMIs forever", a =>
        {
            FlatGuest.LoadTables(a);
            Label handler = a.CreateLabel();
            FlatGuest.PointGates(a, handler);
            a.mov(ebx, 0xFEE0_0000u);
            a.mov(__dword_ptr[rbx + 0xF0], 0x1FF);
            Loop(a, a => SendSelf(a, 0x400));
            a.Label(ref handler);
            a.iretq();
        }) { UseIst = true };
        yield return new("sleeps with the shortest period", a =>
        {
            FlatGuest.LoadTables(a);
            Label handler = a.CreateLabel();
            FlatGuest.PointGates(a, handler);
            a.mov(ebx, 0xFEE0_0000u);
            a.mov(__dword_ptr[rbx + 0xF0], 0x1FF);
            a.mov(__dword_ptr[rbx + 0x320], 0x2_0040);
            a.mov(__dword_ptr[rbx + 0x3E0], 0xB);
            a.mov(__dword_ptr[rbx + 0x380], 1);
            a.sti();
            Loop(a, a => a.hlt());
            a.Label(ref handler);
            a.mov(__dword_ptr[rbx + 0xB0], 0);
            a.iretq();
        });
        yield return new("sleeps with nothing to wake it", a =>
        {
            a.sti();
            Loop(a, a => a.hlt());
        });
        yield return new("calls and returns", a => Loop(a, a =>
        {
            Label function = a.CreateLabel(), behind = a.CreateLabel();
            a.call(function);
            a.jmp(behind);
            a.Label(ref function);
            a.ret();
            a.Label(ref behind);
        }));
        yield return new("jumps through a register", a =>
        {
            Label again = a.CreateLabel();
            a.lea(rbx, __[again]);
            a.Label(ref again);
            a.jmp(rbx);
        });
        yield return new("runs through a page and back", a => Loop(a, a =>
        {
            for (int i = 0; i < 3000; i++)
            {
                a.inc(eax);
            }
        }));
        yield return new("jumps out of the middle of blocks", a => Loop(a, a =>
        {
            Label next = a.CreateLabel();
            a.cmp(eax, ebx);
            a.je(next);
            a.inc(ecx);
            a.Label(ref next);
            a.inc(ecx);
        }));
        yield return new("fills a page again and again", a =>
        {
            a.xor(eax, eax);
            Loop(a, a =>
            {
                a.mov(edi, (uint)FlatGuest.Data);
                a.mov(ecx, 4096);
                a.rep.stosb();
            });
        });
        yield return new("computes with vectors and x87 registers", a =>
        {
            a.mov(rax, cr4);
            a.or(eax, 0x600);
            a.mov(cr4, rax);
            a.fninit();
            Loop(a, a =>
            {
                a.fld1();
                a.fstp(__qword_ptr[(long)FlatGuest.Data]);
                a.addpd(xmm0, xmm1);
            });
        });
        yield return new("spins in protected mode", a => Loop(a, a => a.inc(eax))) { Protocol = BootProtocol.Flat32 };
        yield return new("calls and returns in protected mode", a =>
        {
            Label function = a.CreateLabel();
            a.mov(esp, (uint)FlatGuest.InterruptStack);
            Loop(a, a => a.call(function));
            a.Label(ref function);
            a.ret();
        }) { Protocol = BootProtocol.Flat32 };
        yield return new("spins in real mode", a => Loop(a, _ => { })) { Protocol = BootProtocol.Flat16 };
        yield return new("interrupts itself in real mode", a => Loop(a, a => a.@int(0x21))) { Protocol = BootProtocol.Flat16 };
    }

    private static void Loop(Assembler a, Action<Assembler> body)
    {
        Label again = a.CreateLabel();
        a.Label(ref again);
        body(a);
        a.jmp(again);
    }

    private static void Endless(Assembler a, Action<Assembler> instruction)
    {
        a.mov(rax, FlatGuest.EndlessTables);
        a.mov(cr3, rax);
        a.mov(rdi, 0x4000_0000_0000);
        a.mov(rsi, 0x2000_0000_0000);
        a.xor(eax, eax);
        Loop(a, a =>
        {
            a.mov(rcx, long.MaxValue);
            instruction(a);
        });
    }

    private static void Faulting(Assembler a)
    {
        FlatGuest.LoadTables(a);
        a.ud2();
    }

    private static void SendSelf(Assembler a, uint command) => a.mov(__dword_ptr[rbx + 0x300], 0x4_0000 | command);

    private static void SelfModifying(Assembler a)
    {
        Label again = a.CreateLabel(), immediate = a.CreateLabel();
        a.Label(ref again);
        a.lea(rbx, __[immediate]);
        a.inc(__byte_ptr[rbx + 1]);
        a.Label(ref immediate);
        a.mov(al, 0);
        a.jmp(again);
    }

    /// <summary>What a machine is to be busy with.</summary>
    public sealed record Guest(string Name, Action<Assembler> Code)
    {
        public ulong Handler { get; init; }

        public bool UseIst { get; init; }

        public bool Endless { get; init; }

        public BootProtocol Protocol { get; init; } = BootProtocol.Flat64;

        public IVirtualMachine Build(ClockMode clock)
        {
            IVirtualMachine machine = FlatGuest.Build(Code, Handler, clock, Protocol, UseIst);
            if (Endless)
            {
                FlatGuest.WriteEndlessTables(machine);
            }

            return machine;
        }

        public override string ToString() => Name;
    }
}
