using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Where translated code stops, and what it has counted then.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class BudgetTests : IDisposable
{
    private const ulong Far = BareGuest.Code + 0x2000, Device = 0x80000, DevicePhysical = 0xD000_0000;
    private const int Length = 330;

    private readonly EnginePair _pair = new();

    public BudgetTests() => _pair.Load(Program);

    public void Dispose() => _pair.Dispose();

    [Test]
    public void A_program_stops_in_front_of_the_same_instruction_with_any_budget()
    {
        LoadFar();

        // Twice: the second time everything is translated and linked.
        for (int pass = 0; pass < 2; pass++)
        {
            for (int budget = 1; budget <= Length; budget++)
            {
                _pair.ResetRegisters();
                ulong before = _pair.Jit.Cpu.InstructionsRetired;
                RunResult result = _pair.Run(budget: budget, what: $"pass {pass}, budget {budget}");
                if (result == RunResult.BudgetExhausted)
                {
                    Assert.That(_pair.Jit.Cpu.InstructionsRetired - before, Is.EqualTo((ulong)budget));
                }
            }

            Assert.That(_pair.Jit.State->Halted, "the program is shorter than the largest budget");
        }

        _pair.AssertTranslated();
    }

    [Test]
    public void A_program_in_slices_of_any_length_ends_the_same([Values(1, 2, 3, 5, 7, 11, 13)] int slice)
    {
        LoadFar();
        _pair.ResetRegisters();
        RunResult result = _pair.Run(budget: slice);
        for (int i = 0; result == RunResult.BudgetExhausted; i++)
        {
            Assert.That(i, Is.LessThan(Length));
            result = _pair.Continue(slice, $"slice {i}");
        }

        Assert.That(result, Is.EqualTo(RunResult.Halted));
        Assert.That(_pair.Vector, Is.EqualTo(-1));
    }

    [Test]
    public void A_budget_of_several_slices_is_kept_to_the_instruction(
        [Values(Slices.Length - 1, Slices.Length, Slices.Length + 1, (2 * Slices.Length) + 2, (3 * Slices.Length) - 1)] int budget)
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.inc(rax);
            a.mov(__[BareGuest.Data], rax);
            a.jmp(again);
        });
        for (int pass = 0; pass < 3; pass++)
        {
            ulong before = _pair.Jit.Cpu.InstructionsRetired;
            Assert.That(pass == 0 ? _pair.Run(budget: budget) : _pair.Continue(budget), Is.EqualTo(RunResult.BudgetExhausted));
            Assert.That(_pair.Jit.Cpu.InstructionsRetired - before, Is.EqualTo((ulong)budget));
        }

        _pair.AssertTranslated();
    }

    [Test]
    public void An_interrupt_arrives_between_the_same_two_instructions()
    {
        LoadFar();
        _pair.ResetRegisters();
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        for (int after = 1; after < 120; after++)
        {
            _pair.ResetRegisters();
            _pair.Run(budget: after);
            _pair.Each(machine =>
            {
                machine.State->NmiLine = 1;
                machine.State->NmiBlocked = false;
                machine.State->Engine->Poll |= (int)Attention.Nmi;
            });
            _pair.Continue(what: $"after {after}");
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.NMI));
        }
    }

    [Test]
    public void A_trap_flag_set_in_the_middle_of_a_block_traps_behind_the_next_instruction()
    {
        const ulong handler = BareGuest.Code + 0x3000;
        _pair.Each(machine => machine.SetGate64(ExceptionVector.DB, handler));
        _pair.Load(
            a =>
            {
                // Adds up where it was, and counts.
                a.push(rax);
                a.mov(rax, __[rsp + 8]);
                a.add(__[BareGuest.Data + 8], rax);
                a.inc(__qword_ptr[BareGuest.Data]);
                a.pop(rax);
                a.iretq();
            },
            handler);
        _pair.Load(a =>
        {
            Label again = a.CreateLabel(), skip = a.CreateLabel();
            a.mov(ecx, 6);
            a.xor(eax, eax);
            a.Label(ref again);
            a.add(eax, ecx);
            a.test(cl, 1);
            a.jz(skip);
            a.pushfq();
            a.xor(__word_ptr[rsp], 0x100); // TF on, later off
            a.popfq();
            a.nop();
            a.Label(ref skip);
            a.push(rcx);
            a.pop(rdx);
            a.dec(ecx);
            a.jnz(again);
            a.hlt();
        });
        for (int pass = 0; pass < 3; pass++)
        {
            _pair.ResetRegisters();
            _pair.Run(what: $"pass {pass}");
        }

        Assert.That(_pair.Jit.Peek<ulong>(BareGuest.Data), Is.GreaterThan(30UL));
        _pair.AssertTranslated();
    }

    [Test]
    public void Devices_see_the_same_accesses_at_the_same_counts([Values] bool wantsAttention)
    {
        Dictionary<BareGuest, Recorder> devices = [];
        _pair.Each(machine =>
        {
            var device = new Recorder(machine, wantsAttention);
            devices.Add(machine, device);
            machine.Bus.MapMemory(new(DevicePhysical), 0x1000, device);
            machine.Map(Device, DevicePhysical);
        });
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ebx, (int)Device);
            a.mov(ecx, 3);
            a.Label(ref again);
            a.mov(eax, __[rbx]);
            a.mov(__[rbx + 8], rcx);
            a.add(__dword_ptr[rbx + 16], 3);
            a.adc(__byte_ptr[rbx + 20], 0);
            a.xchg(__[rbx + 24], dx);
            a.@lock.inc(__dword_ptr[rbx + 28]);
            a.cmp(__byte_ptr[rbx + 32], 5);
            a.setb(dl);
            a.movups(xmm0, __[rbx + 32]);
            a.movups(__[rbx + 64], xmm0);
            a.fild(__dword_ptr[rbx + 48]);
            a.fistp(__qword_ptr[rbx + 80]);
            a.push(__qword_ptr[rbx + 8]);
            a.pop(__qword_ptr[rbx + 96]);
            a.test(__byte_ptr[rbx], 1);
            a.div(__dword_ptr[rbx]);
            a.cmp(ecx, 1);
            a.dec(ecx);
            a.jnz(again);
            a.hlt();
        });
        _pair.ResetRegisters();
        _pair.Set(2, 0);
        RunResult result = _pair.Run();
        for (int i = 0; result == RunResult.Attention; i++)
        {
            Assert.That(i, Is.LessThan(100));
            result = _pair.Continue(what: $"attention {i}");
        }

        Assert.That(result, Is.EqualTo(RunResult.Halted));
        string[][] logs = [.. devices.Values.Select(device => device.Log.ToArray())];
        Assert.That(logs[1], Is.EqualTo(logs[0]));
        Assert.That(logs[0], Has.Length.GreaterThan(60));
        _pair.AssertTranslated();
    }

    /// <summary>Loops, calls within the page and to another one, an indirect jump, string moves, and flags that live across blocks.</summary>
    private static void Program(Assembler a)
    {
        Label again = a.CreateLabel(), local = a.CreateLabel(), behind = a.CreateLabel(), odd = a.CreateLabel();
        a.mov(ecx, 5);
        a.xor(eax, eax);
        a.mov(rbx, BareGuest.Data);
        a.Label(ref again);
        a.add(rax, rcx);
        a.cmp(rax, 7);
        a.call(local);
        a.adc(rdx, 0);
        a.push(rcx);
        a.mov(rsi, rbx);
        a.lea(rdi, __[rbx + 64]);
        a.mov(ecx, 6);
        a.rep.movsb();
        a.pop(rcx);
        a.test(ecx, 1);
        a.jnz(odd);
        a.call(Far);
        a.Label(ref odd);
        a.inc(__qword_ptr[rbx]);
        a.lea(r8, __[behind]);
        a.jmp(r8);
        a.nop();
        a.Label(ref behind);
        a.paddd(xmm0, xmm1);
        a.fld1();
        a.fstp(__qword_ptr[rbx + 128]);
        a.dec(ecx);
        a.jnz(again);
        a.hlt();
        a.Label(ref local);
        a.sbb(r9, r9);
        a.cmp(r9, 1);
        a.ret();
    }

    private void LoadFar() => _pair.Load(
        a =>
        {
            Label loop = a.CreateLabel();
            a.mov(r10d, 3);
            a.Label(ref loop);
            a.xadd(__[rbx + 8], r10);
            a.and(r10d, 1);
            a.jnz(loop);
            a.ret();
        },
        Far);

    /// <summary>Notes each access with the count of instructions at that time.</summary>
    private sealed class Recorder(BareGuest machine, bool wantsAttention) : IBusDevice
    {
        public List<string> Log { get; } = [];

        public ulong Read(IProcessor processor, ulong offset, int size)
        {
            Note($"read {offset:x} {size}");
            return (0x0102_0304_0506_0708UL + offset) & (ulong.MaxValue >> (64 - (size * 8)));
        }

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => Note($"write {offset:x} {size} {value:x}");

        private void Note(string access)
        {
            Log.Add($"{machine.Cpu.InstructionsRetired} rip {machine.State->Engine->BlockRip:x}: {access}");
            if (wantsAttention)
            {
                Interlocked.Or(ref machine.State->Engine->Poll, (int)Attention.Machine);
            }
        }
    }
}
