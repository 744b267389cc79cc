using Iced.Intel;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Engine;

/// <summary>
/// Translated code where the processor cannot be asked: budgets that end anywhere, faults in the middle of instructions, code that changes
/// itself. The interpreter runs the same; registers, flags, memory, RIP and the count of retired instructions have to agree.
/// </summary>
public sealed unsafe class TranslationTests
{
    private const ulong Code = BareGuest.Code, Data = BareGuest.Data, Page = 4096;
    private const ulong Second = Code + Page;

    [Test]
    public void A_budget_may_end_behind_any_instruction()
    {
        // Twice through: the second time everything is linked.
        for (int budget = 1; budget < 90; budget++)
        {
            CompareRun(budget, rounds: 3, Program);
        }

        static void Program(Assembler a)
        {
            Label again = a.CreateLabel(), skip = a.CreateLabel(), function = a.CreateLabel(), done = a.CreateLabel();
            a.mov(ecx, 3);
            a.mov(rbx, (long)Data);
            a.Label(ref again);
            a.add(__qword_ptr[rbx], rcx);
            a.test(ecx, 1);
            a.je(skip);
            a.inc(rdx);
            a.push(rdx);
            a.pop(r13);
            a.Label(ref skip);
            a.call(function);
            a.adc(rsi, 5);
            a.dec(ecx);
            a.jne(again);
            a.jmp(done);
            a.Label(ref function);
            a.lea(r8, __[r8 + r13 * 2 + 7]);
            a.cmp(r8, rbx);
            a.ret();
            a.Label(ref done);
            a.hlt();
        }
    }

    [Test]
    public void Accesses_that_run_over_a_page_end_are_whole([Values(2, 4, 8)] int size, [Values] bool crossesToOtherMemory)
    {
        for (ulong offset = Page - 8; offset < Page; offset++)
        {
            ulong at = Data + offset;
            CompareRun(100, rounds: 2, a =>
            {
                a.mov(rbx, (long)at);
                a.mov(rax, 0x1122334455667788);
                Store(a, size);
                Update(a, size);
                a.pushfq();
                a.pop(r9);
                a.mov(rdx, __qword_ptr[rbx]);
                a.hlt();
            }, machine =>
            {
                if (crossesToOtherMemory)
                {
                    machine.Map(Data + Page, 0x90000);
                }
            });
        }
    }

    [Test]
    public void A_fault_on_the_second_page_leaves_all_as_it_was([Values(2, 4, 8)] int size, [Values] bool readOnly)
    {
        for (ulong offset = Page - 9; offset <= Page; offset++)
        {
            ulong at = Data + offset;
            CompareRun(100, rounds: 1, a =>
            {
                a.mov(rbx, (long)at);
                a.mov(rax, 0x1122334455667788);
                a.stc();
                Update(a, size);
                Store(a, size);
                a.hlt();
            }, machine => machine.Map(Data + Page, readOnly ? Data + Page : 0, readOnly ? 1UL : 0));
        }
    }

    [Test]
    public void A_group_of_accesses_faults_at_the_one_that_is_wrong()
    {
        for (ulong top = Data + Page - 40; top <= Data + Page + 48; top += 8)
        {
            CompareRun(100, rounds: 1, a =>
            {
                a.mov(rsp, (long)top);
                a.mov(r14, 77);
                a.cmp(rsp, rbx);
                a.push(rbx);
                a.push(r14);
                a.mov(__qword_ptr[rsp + 24], r14);
                a.sub(rsp, 16);
                a.mov(__dword_ptr[rsp + 8], 5);
                a.pop(rax);
                a.pop(r15);
                a.ret();
            }, machine => machine.Map(Data + Page, 0, 0));
        }
    }

    [Test]
    public void A_store_to_the_next_instruction_takes_effect([Values] bool warm)
    {
        // The immediate behind the store is what the store writes.
        CompareRun(100, rounds: warm ? 40 : 1, a =>
        {
            a.mov(eax, 5);
            a.inc(ebx);
            a.mov(__dword_ptr[(long)Code + 5 + 2 + 7 + 1], ebx);
            a.mov(ecx, 0x11111111);
            a.add(edx, ecx);
            a.hlt();
        });
    }

    [Test]
    public void Code_that_is_linked_to_is_replaced_when_it_changes([Values] bool otherPage, [Values("jump", "call", "indirect", "return")] string by)
    {
        ulong function = otherPage ? Second : Code + 0x200;
        CompareRun(4000, rounds: 1, a =>
        {
            a.mov(ecx, 60);
            a.mov(rsi, (long)function);
            if (by == "jump")
            {
                Label again = a.CreateLabel();
                a.Label(ref again);
                a.lea(r11, __[again]);
                a.jmp(function);
            }
            else
            {
                EmitCall(a, by, function);
            }

            a.hlt();
        }, machine => LoadFunction(machine, function, by));
    }

    [Test]
    public void Remapping_a_page_changes_what_a_linked_jump_reaches([Values] bool call)
    {
        using BareGuest machine = new BareGuest(CpuEngine.Jit).Start64(hasHandlers: false);
        machine.Load(a =>
        {
            if (call)
            {
                a.call(Second);
            }
            else
            {
                a.jmp(Second);
            }

            a.hlt();
        });
        machine.Load(a => Answer(a, 1, call), Second);
        machine.Load(a => Answer(a, 2, call), 0x90000);
        for (int i = 0; i < 5; i++)
        {
            machine.State->Halted = false;
            machine.Run(100);
            Assert.That(machine.Rax, Is.EqualTo(1));
        }

        machine.Map(Second, 0x90000);
        machine.State->Halted = false;
        machine.Run(100);
        Assert.That(machine.Rax, Is.EqualTo(2));
    }

    [Test]
    public void A_code_cache_that_is_full_is_emptied_and_filled_anew()
    {
        using BareGuest machine = new BareGuest(CpuEngine.Jit, codeCacheSize: 1 << 20).Start64(hasHandlers: false);
        ulong expected = 0;
        for (uint round = 0; round < 6000; round++)
        {
            machine.Load(a =>
            {
                a.add(rax, (int)round);
                a.xor(edx, edx);
                a.hlt();
            }, Code + ((round % 64) * 32));
            machine.State->Halted = false;
            machine.Run(10, Code + ((round % 64) * 32));
            expected += round;
        }

        Assert.That(machine.Rax, Is.EqualTo(expected));
        Assert.That(machine.State->Engine->Counters.CacheFlushes, Is.GreaterThan(0));
    }

    [Test]
    public void A_device_is_read_modified_and_written_once()
    {
        using BareGuest machine = new BareGuest(CpuEngine.Jit).Start64(hasHandlers: false);
        Recorder device = new();
        machine.Bus.MapMemory(new(0x2000_0000), 0x1000, device);
        machine.Map(Data, 0x2000_0000);
        machine.Load(a =>
        {
            a.mov(rbx, (long)Data);
            a.add(__dword_ptr[rbx + 4], 3);
            a.mov(eax, __dword_ptr[rbx + 8]);
            a.xchg(__word_ptr[rbx + 2], ax);
            a.hlt();
        });
        machine.Run(100);
        Assert.That(device.Log, Is.EqualTo(new[] { "read 4 4", "write 4 4 103", "read 8 4", "read 2 2", "write 2 2 100" }));
    }

    [Test]
    public void Vector_state_is_where_it_has_to_be_for_emitted_code()
    {
        int scratch = CpuState.Measure(static s => &s->Engine->AccessBuffer);
        Assert.That(CpuState.VectorsOffset % 32, Is.Zero, "MOVAPS and VMOVAPS need their operands aligned.");
        Assert.That(scratch % 32, Is.Zero);
        Assert.That(CpuState.Measure(static s => &s->Segments[0].Selector) - CpuState.Measure(static s => &s->Segments[0]), Is.EqualTo(SegmentRegister.SelectorOffset));
        Assert.That(sizeof(Core.Memory.PageInfo), Is.EqualTo(24), "The emitted page walk multiplies by it.");
    }

    [Test]
    public void Unmasked_exceptions_of_vector_instructions_reach_the_guest_and_not_the_process()
    {
        CompareRun(100, rounds: 1, a =>
        {
            a.mov(rbx, (long)Data);
            a.movups(xmm0, __[rbx]);
            a.addps(xmm0, xmm0);
            a.mov(__dword_ptr[rbx + 64], 0x1F80 & ~0x200);
            a.ldmxcsr(__[rbx + 64]);
            a.xorps(xmm1, xmm1);
            a.divps(xmm0, xmm1);
            a.hlt();
        }, machine =>
        {
            machine.State->Cr4 |= (1 << 9) | (1 << 10);
            Core.Cpu.Paging.Mmu.UpdateMode(machine.State);
            machine.Poke(Data, 0x3F80_0000_3F80_0000UL);
        });
    }

    [Test]
    public void X87_state_moves_between_host_and_interpreter()
    {
        CompareRun(100, rounds: 3, a =>
        {
            a.mov(rbx, (long)Data);
            a.fninit();
            a.fld1();
            a.fldpi();
            a.fsin();
            a.faddp(st1, st0);
            a.fnstenv(__[rbx + 128]);
            a.fld(st0);
            a.fmul(st0, st1);
            a.fstp(__tbyte_ptr[rbx]);
            a.fistp(__dword_ptr[rbx + 16]);
            a.fnstsw(ax);
            a.hlt();
        });
    }

    private static void Answer(Assembler a, int value, bool call)
    {
        a.mov(eax, value);
        if (call)
        {
            a.ret();
        }
        else
        {
            a.hlt();
        }
    }

    /// <summary>A loop's body that reaches the function in one of several ways and counts down.</summary>
    private static void EmitCall(Assembler a, string by, ulong function)
    {
        Label back = a.CreateLabel(), again = a.CreateLabel();
        a.Label(ref again);
        switch (by)
        {
            case "call":
                a.call(function);
                break;
            case "indirect":
                a.call(rsi);
                break;
            default:
                a.lea(r10, __[back]);
                a.push(r10);
                a.push(rsi);
                a.ret();
                break;
        }

        a.Label(ref back);
        a.nop();
        a.dec(ecx);
        a.jne(again);
    }

    /// <summary>A function that adds an immediate, which it makes larger each time.</summary>
    private static void LoadFunction(BareGuest machine, ulong function, string by) => machine.Load(a =>
    {
        a.add(eax, 0x100);
        a.inc(__byte_ptr[(long)function + 1]);
        if (by == "jump")
        {
            a.dec(ecx);
            Label end = a.CreateLabel();
            a.je(end);
            a.jmp(r11);
            a.Label(ref end);
            a.hlt();
        }
        else
        {
            a.ret();
        }
    }, function);

    private static void Store(Assembler a, int size)
    {
        switch (size)
        {
            case 2: a.mov(__word_ptr[rbx], ax); break;
            case 4: a.mov(__dword_ptr[rbx], eax); break;
            default: a.mov(__qword_ptr[rbx], rax); break;
        }
    }

    private static void Update(Assembler a, int size)
    {
        switch (size)
        {
            case 2: a.adc(__word_ptr[rbx], ax); break;
            case 4: a.adc(__dword_ptr[rbx], eax); break;
            default: a.adc(__qword_ptr[rbx], rax); break;
        }
    }

    /// <summary>Runs a program on both engines, several times over on the same machine, and compares.</summary>
    private static void CompareRun(int budget, int rounds, Action<Assembler> program, Action<BareGuest>? prepare = null)
    {
        using BareGuest interpreted = Start(CpuEngine.Interpreter, program, prepare);
        using BareGuest translated = Start(CpuEngine.Jit, program, prepare);
        for (int round = 0; round < rounds; round++)
        {
            RunResult expected = Run(interpreted, budget);
            RunResult actual = Run(translated, budget);
            Assert.That(actual, Is.EqualTo(expected));
            Assert.That(Describe(translated), Is.EqualTo(Describe(interpreted)), $"budget {budget}, round {round}");
        }

        if (budget >= Block.MaxInstructions)
        {
            Assert.That(translated.State->Engine->Counters.BlocksTranslated, Is.GreaterThan(0));
        }
    }

    private static BareGuest Start(CpuEngine engine, Action<Assembler> program, Action<BareGuest>? prepare)
    {
        BareGuest machine = new BareGuest(engine).Start64(hasHandlers: false);
        machine.Load(program);
        prepare?.Invoke(machine);
        return machine;
    }

    private static RunResult Run(BareGuest machine, int budget)
    {
        machine.State->Halted = false;
        machine.State->Gpr[4] = BareGuest.Stack;
        return machine.Run(budget);
    }

    private static string Describe(BareGuest machine)
    {
        CpuState* s = machine.State;
        var text = new global::System.Text.StringBuilder();
        for (int i = 0; i < 16; i++)
        {
            text.Append($"r{i}={s->Gpr[i]:x} ");
        }

        text.Append($"rip={s->Rip:x} flags={Flags.Get(s):x} cr2={s->Cr2:x} retired={machine.Cpu.InstructionsRetired} mxcsr={s->Mxcsr:x} ");
        text.Append($"vector={s->Engine->ExceptionVector} error={s->Engine->ExceptionError:x} ");
        Span<byte> memory = stackalloc byte[16];
        for (ulong at = Data; at < Data + (3 * Page); at += 16)
        {
            text.Append($"{machine.Peek<ulong>(at):x} {machine.Peek<ulong>(at + 8):x} ");
        }

        return text.Append($"{machine.Peek<ulong>(0x90000):x} {machine.Peek<ulong>(BareGuest.Stack - 8):x}").ToString();
    }

    private sealed class Recorder : IBusDevice
    {
        public List<string> Log { get; } = [];

        public ulong Read(IProcessor processor, ulong offset, int size)
        {
            Log.Add($"read {offset} {size}");
            return 0x100;
        }

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => Log.Add($"write {offset} {size} {value:x}");
    }
}
