using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Flags that go from block to block without being saved, and are asked for where they have to be made again.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class FlagSourceTests : IDisposable
{
    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    /// <summary>What sets the flags at the end of a block.</summary>
    public enum Producer
    {
        CompareRegisters,
        CompareConstant,
        CompareWord,
        CompareByte,
        CompareMemory,
        CompareWithMemory,
        CompareMemoryConstant,
        TestMemory,
        Test,
        TestConstant,
        And,
        Add,
        AddConstant,
        Subtract,
        Increment,
        Decrement,
        DecrementWord,
        CompareThenIncrement,
        CompareMemoryThenDecrement,
        CompareHomeless,
        IncrementHomeless,
        Negate,
        AddWithCarry,
        Rotate,
    }

    /// <summary>What asks for them behind the jump.</summary>
    public enum Consumer
    {
        Push,
        Fault,
        SetCarry,
        Branch,
        BranchOnCarry,
        AddWithCarry,
        IncrementThenPush,
        OverwriteThenPush,
        PushPastAnotherJump,
        Nothing,
    }

    [Test]
    public void Flags_arrive_behind_a_jump_wherever_they_are_asked_for([Values] Producer producer, [Values] Consumer consumer)
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel(), there = a.CreateLabel();
            a.jmp(again);
            a.Label(ref there);
            Ask(a, consumer);
            a.inc(r15);
            a.cmp(r15, 24);
            a.jne(again);
            a.hlt();

            a.Label(ref again);
            a.mov(rax, r15);
            a.imul(rax, rax, 0x1234567);
            a.xor(rax, r13);
            a.mov(rdx, __[(r15 * 8) + (long)BareGuest.Data]);
            Make(a, producer);
            a.jmp(there);
        });
        _pair.ResetRegisters();
        _pair.Each(machine =>
        {
            for (ulong i = 0; i < 64; i++)
            {
                machine.Poke(BareGuest.Data + (i * 8), i % 3 == 0 ? 0UL : i * 0x9E37_79B9_7F4A_7C15);
            }
        });
        _pair.Set(15, 0);
        _pair.Set(6, BareGuest.Data + 0x100);
        _pair.Set(7, BareGuest.Data + 0x200);
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(consumer == Consumer.Fault ? ExceptionVector.PF : -1));
        _pair.AssertTranslated();
    }

    /// <summary>A loop that ends with each kind of flags and starts with an access: its back edge is where saving them would cost most.</summary>
    [Test]
    public void Every_budget_ends_a_loop_at_the_same_flags([Values] Producer producer)
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.mov(rdx, __[rsi]);
            a.inc(r15);
            Make(a, producer);
            a.jmp(again);
        });
        for (int budget = 1; budget < 60; budget++)
        {
            _pair.ResetRegisters();
            _pair.Set(6, BareGuest.Data + 0x100);
            _pair.Set(7, BareGuest.Data + 0x200);
            _pair.Run(budget: budget, what: $"{budget} instructions");
        }

        _pair.AssertTranslated();
    }

    private static void Make(Assembler a, Producer producer)
    {
        switch (producer)
        {
            case Producer.CompareRegisters: a.cmp(rax, rdx); break;
            case Producer.CompareConstant: a.cmp(eax, 0x12345); break;
            case Producer.CompareWord: a.cmp(ax, 0x1234); break;
            case Producer.CompareByte: a.cmp(al, dl); break;
            case Producer.CompareMemory: a.cmp(__[rsi], rax); break;
            case Producer.CompareWithMemory: a.cmp(ax, __[rsi]); break;
            case Producer.CompareMemoryConstant: a.cmp(__byte_ptr[rsi + r15], 0x80); break;
            case Producer.TestMemory: a.test(__[rsi], eax); break;
            case Producer.Test: a.test(rdx, rdx); break;
            case Producer.TestConstant: a.test(dl, 0x81); break;
            case Producer.And: a.and(eax, edx); break;
            case Producer.Add: a.add(rax, rdx); break;
            case Producer.AddConstant: a.add(al, 0x7F); break;
            case Producer.Subtract: a.sub(ax, dx); break;
            case Producer.Increment: a.inc(rax); break;
            case Producer.Decrement: a.dec(edx); break;
            case Producer.DecrementWord: a.dec(dx); break;
            case Producer.CompareThenIncrement:
                a.cmp(rax, rdx);
                a.inc(rax);
                break;
            case Producer.CompareMemoryThenDecrement:
                a.cmp(__[rsi], eax);
                a.dec(edx);
                break;
            case Producer.CompareHomeless: a.cmp(r13, r15); break;
            case Producer.IncrementHomeless: a.inc(r13); break;
            case Producer.Negate: a.neg(edx); break;
            case Producer.AddWithCarry: a.adc(rax, rdx); break;
            default:
                a.add(rax, rdx);
                a.rol(rdx, 1); // by more, OF is undefined: the host's in translated code
                break;
        }
    }

    private static void Ask(Assembler a, Consumer consumer)
    {
        Label skip = a.CreateLabel(), far = a.CreateLabel();
        switch (consumer)
        {
            case Consumer.Push:
                a.pushfq();
                a.pop(r8);
                break;
            case Consumer.Fault:
                a.mov(rbx, 0x7FFF_0000);
                a.mov(rbx, __[rbx]);
                break;
            case Consumer.SetCarry:
                a.setb(r8b);
                a.mov(rbx, __[rsi]);
                a.setle(r9b);
                break;
            case Consumer.Branch:
                a.jle(skip);
                a.inc(r8);
                break;
            case Consumer.BranchOnCarry:
                a.mov(rbx, __[rdi]);
                a.jbe(skip);
                a.inc(r9);
                break;
            case Consumer.AddWithCarry:
                a.mov(rbx, __[rdi]);
                a.adc(rbx, r8);
                break;
            case Consumer.IncrementThenPush:
                a.inc(rbx);
                a.mov(__[rdi], rbx);
                a.pushfq();
                a.pop(r8);
                break;
            case Consumer.OverwriteThenPush:
                a.mov(rax, __[rdi]);
                a.mov(rdx, __[rdi + 8]);
                a.pushfq();
                a.pop(r8);
                break;
            case Consumer.PushPastAnotherJump:
                a.mov(rbx, __[rdi]);
                a.jmp(far);
                a.ud2();
                a.Label(ref far);
                a.pushfq();
                a.pop(r8);
                break;
            default:
                a.xor(ebx, ebx);
                break;
        }

        a.Label(ref skip);
        a.nop();
    }
}
