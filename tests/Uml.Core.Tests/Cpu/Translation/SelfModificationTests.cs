using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Translated code that is overwritten while something leads to it, or while it runs.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class SelfModificationTests : IDisposable
{
    private const ulong Near = BareGuest.Code + 0x800, Far = BareGuest.Code + 0x2000;

    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    private static IEnumerable<TestCaseData> Stores()
    {
        (string Name, Action<Assembler> Code)[] all =
        [
            ("store of a byte", a => a.mov(__byte_ptr[rbx], 0x77)),
            ("store of 8 bytes", a => a.mov(__[rbx], rdx)),
            ("addition", a => a.add(__byte_ptr[rbx], 1)),
            ("addition with carry", a => a.adc(__byte_ptr[rbx], 1)),
            ("exchange", a => a.xchg(__[rbx], dl)),
            ("compare and exchange", a => a.cmpxchg(__[rbx], dl)),
            ("vector store", a => a.movq(__[rbx], xmm0)),
            ("x87 store", a => a.fistp(__dword_ptr[rbx])),
            ("string store", a => a.stosb()),
            ("locked increment", a => a.@lock.inc(__byte_ptr[rbx])),
        ];
        foreach ((string name, Action<Assembler> code) in all)
        {
            yield return new TestCaseData(code).SetArgDisplayNames(name);
        }
    }

    /// <summary>The last byte of what is overwritten decides what RAX becomes.</summary>
    [TestCaseSource(nameof(Stores))]
    public void A_store_that_changes_the_next_instruction_is_obeyed_at_once(Action<Assembler> store)
    {
        const int patched = 0x100;
        byte[] head = Assemble(a =>
        {
            a.add(rsi, rcx);
            store(a);
        });
        _pair.Load(
            a =>
            {
                a.add(rsi, rcx);
                store(a);
                a.mov(eax, patched);
                a.adc(rcx, 0);
                a.mov(r9d, 5);
                a.inc(r9);
                a.nop();
                a.nop();
                a.nop();
                a.nop();
                a.hlt();
            });
        ulong target = BareGuest.Code + (ulong)head.Length + 1;
        for (int round = 0; round < 3; round++)
        {
            _pair.ResetRegisters();
            _pair.Set(0, 0);
            _pair.Set(1, 1);
            _pair.Set(2, 0x9090_9090_0000_0042);
            _pair.Set(3, target);
            _pair.Set(6, ulong.MaxValue);
            _pair.Set(7, target);
            _pair.Each(machine =>
            {
                machine.State->X87.ValidTags = 0xFF;
                machine.State->X87.St(0).Significand = 0xC000_0000_0000_0000;
                machine.State->X87.St(0).SignExponent = 0x4001;
            });
            _pair.Run(what: $"round {round}");
        }

        _pair.AssertTranslated();
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(_pair.Jit.Cpu.State->Engine->Counters.BlocksInvalidated, Is.Positive);
    }

    /// <summary>
    /// INC keeps the carry flag, rotations the others. What follows would make them anew, until the store makes something of it that does
    /// not: CLI, and HLT behind a REX prefix.
    /// </summary>
    [TestCase("F9 FE 05 00 00 00 00 F9 F4")] // stc; inc byte [rip]; stc; hlt
    [TestCase("38 C0 C0 05 00 00 00 00 01 24 F4 F4")] // cmp al, al; rol byte [rip], 1; and al, 0F4h; hlt
    [TestCase("38 C0 F9 FE 0D 00 00 00 00 49 F4")] // cmp al, al; stc; dec byte [rip]; REX.WB hlt
    public void A_store_that_changes_the_next_instruction_leaves_it_the_flags_that_it_keeps(string code)
    {
        byte[] bytes = Convert.FromHexString(code.Replace(" ", ""));
        for (int round = 0; round < 2; round++)
        {
            _pair.Each(machine =>
            {
                for (int i = 0; i < bytes.Length; i++)
                {
                    machine.Poke(BareGuest.Code + (ulong)i, bytes[i]);
                }
            });
            _pair.ResetRegisters();
            _pair.Run(what: $"round {round}");
            Assert.That(_pair.Vector, Is.EqualTo(-1));
        }

        _pair.AssertTranslated();
    }

    [Test]
    public void An_aligned_YMM_store_over_the_block_that_runs_is_obeyed_at_once()
    {
        const ulong target = BareGuest.Code + 0x40;
        int head = Assemble(Store).Length;
        _pair.Each(machine =>
        {
            for (ulong i = 0; i < 32; i += 2)
            {
                machine.Poke(BareGuest.Data + i, (ushort)0xC0FF); // inc eax
            }
        });
        _pair.Load(a =>
        {
            Store(a);
            for (ulong at = BareGuest.Code + (ulong)head; at < target + 32; at++)
            {
                a.nop();
            }

            a.hlt();
        });
        _pair.ResetRegisters();
        _pair.Set(0, 0);
        _pair.Run();
        Assert.That(_pair.Jit.State->Gpr[0], Is.EqualTo(16));
        _pair.AssertTranslated();

        static void Store(Assembler a)
        {
            a.vmovdqa(ymm0, __ymmword_ptr[BareGuest.Data]);
            a.vmovdqa(__ymmword_ptr[target], ymm0);
        }
    }

    private static IEnumerable<TestCaseData> Pushes()
    {
        (string Name, Action<Assembler> Code)[] all =
        [
            ("push", a => a.push(rax)),
            ("push of an immediate", a => a.push(0x12345678)),
            ("push of memory", a => a.push(__qword_ptr[rsi])),
            ("push of flags", a => a.pushfq()),
            ("call", a => a.call(Near)),
            ("call to another page", a => a.call(Far)),
            ("indirect call", a => a.call(r11)),
            ("indirect call to another page", a => a.call(r12)),
            ("call through memory", a => a.call(__qword_ptr[rsi])),
        ];
        foreach ((string name, Action<Assembler> code) in all)
        {
            yield return new TestCaseData(code).SetArgDisplayNames(name);
        }
    }

    [TestCaseSource(nameof(Pushes))]
    public void A_push_into_the_block_that_runs_moves_the_stack_pointer_and_goes_on(Action<Assembler> push)
    {
        foreach (ulong at in new[] { Near, Far })
        {
            _pair.Load(
                a =>
                {
                    a.inc(rdi);
                    a.hlt();
                },
                at);
        }

        _pair.Each(machine => machine.Poke(BareGuest.Data, Near));
        for (int round = 0; round < 3; round++)
        {
            // The stack ends with the block: what is pushed lands on instructions that ran already, on the first round and later ones.
            byte[] code = Assemble(a => Write(a, push));
            _pair.Load(a => Write(a, push));
            _pair.ResetRegisters();
            _pair.Set(4, BareGuest.Code + 8);
            _pair.Set(6, BareGuest.Data);
            _pair.Set(11, Near);
            _pair.Set(12, Far);
            _pair.Run(what: $"round {round}, {code.Length} bytes");
            Assert.That(_pair.Vector, Is.EqualTo(-1));
            Assert.That(_pair.Jit.Rsp, Is.EqualTo(BareGuest.Code), "one push");
        }

        _pair.AssertTranslated();

        static void Write(Assembler a, Action<Assembler> push)
        {
            for (int i = 0; i < 3; i++)
            {
                a.add(rdx, rcx); // nine bytes
            }

            push(a);
            a.inc(r9);
            a.hlt();
        }
    }

    [Test]
    public void Code_that_others_are_linked_to_is_replaced_everywhere([Values] Transfer transfer, [Values] bool otherPage)
    {
        ulong target = otherPage ? Far : Near;
        _pair.Each(machine => machine.Poke(BareGuest.Data, target));
        _pair.Load(a =>
        {
            // r15 rounds; the target adds its immediate to RAX and comes back through R14. The seventh round changes the immediate.
            Label again = a.CreateLabel(), back = a.CreateLabel(), keep = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(r15d, 20);
            a.mov(r13, target);
            a.mov(rsi, BareGuest.Data);
            a.lea(r14, __[back]);
            a.Label(ref again);
            switch (transfer)
            {
                case Transfer.Jump: a.jmp(target); break;
                case Transfer.Conditional:
                    a.test(r15, r15);
                    a.jne(target);
                    break;
                case Transfer.Call: a.call(target); break;
                case Transfer.IndirectJump: a.jmp(r13); break;
                case Transfer.IndirectCall: a.call(r13); break;
                case Transfer.MemoryJump: a.jmp(__qword_ptr[rsi]); break;
                default:
                    a.push(r13);
                    a.ret();
                    break;
            }

            a.Label(ref back);
            a.cmp(r15d, 13);
            a.jne(keep);
            a.mov(__byte_ptr[r13 + 2], 0x40); // ADD RAX, imm32: the lowest byte
            a.Label(ref keep);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        bool calls = transfer is Transfer.Call or Transfer.IndirectCall;
        _pair.Load(
            a =>
            {
                a.add(rax, 1);
                if (calls)
                {
                    a.ret();
                }
                else
                {
                    a.jmp(r14);
                }
            },
            target);
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(8UL + (12 * 0x40)));
        _pair.AssertTranslated();
    }

    [Test]
    public void A_function_that_overwrites_its_caller_returns_to_what_is_there_now()
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(r15d, 10);
            a.Label(ref again);
            a.call(Near);
            a.add(rax, 1);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Load(
            a =>
            {
                // At the return address stands ADD RAX, imm32.
                a.mov(rbx, __[rsp]);
                a.add(__byte_ptr[rbx + 2], 2);
                a.ret();
            },
            Near);
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(3UL + 5 + 7 + 9 + 11 + 13 + 15 + 17 + 19 + 21));
        _pair.AssertTranslated();
    }

    [Test]
    public void Code_written_by_a_device_is_seen_by_those_linked_to_it()
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(r15d, 10);
            a.Label(ref again);
            a.call(Far);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        Target(1);
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(10UL));
        Target(7);
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(70UL));

        void Target(int step) => _pair.Load(
            a =>
            {
                a.add(rax, step);
                a.ret();
            },
            Far);
    }

    private static byte[] Assemble(Action<Assembler> code)
    {
        Assembler assembler = new(64);
        code(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), BareGuest.Code);
        return stream.ToArray();
    }

    /// <summary>Ways from one block to another.</summary>
    public enum Transfer
    {
        Jump,
        Conditional,
        Call,
        IndirectJump,
        IndirectCall,
        MemoryJump,
        Return,
    }
}
