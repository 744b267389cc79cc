using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>REP MOVS and REP STOS in translated code, where they are the host's, and where something keeps them from it.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class StringTests : IDisposable
{
    private const ulong Source = BareGuest.Data, Destination = BareGuest.Data + 0x4000, Entry = BareGuest.PageTable + ((Destination >> 12) * 8);

    private readonly EnginePair _pair = new();

    public StringTests() => _pair.Each(machine =>
    {
        for (ulong i = 0; i < 0x2000; i += 8)
        {
            machine.Poke(Source + i, i * 0x9E37_79B9_7F4A_7C15);
        }
    });

    public void Dispose() => _pair.Dispose();

    [Test]
    public void Any_number_of_any_elements_is_moved_and_stored_at_any_offset([Values(1, 2, 4, 8)] int size, [Values] bool moves)
    {
        foreach (ulong count in new ulong[] { 0, 1, 3, 7, 64, 511, 512, 513, 4095, 4096, 4097 })
        {
            foreach (ulong offset in new ulong[] { 0, 1, 0x7F8, 0xFF0, 0xFFF })
            {
                Load(size, moves);
                Run(Source + (offset / 2), Destination + offset, count / (ulong)size, $"{count} bytes at {offset:x}");
            }
        }

        _pair.AssertTranslated();
    }

    [Test]
    public void Ranges_that_overlap_repeat_what_lies_between_them([Values(1, 8)] int size, [Values(-9, -8, -1, 0, 1, 8, 9)] int distance)
    {
        Load(size, moves: true);
        Run(Source + 0x100, Source + 0x100 + (ulong)distance, 0x200 / (ulong)size, "overlap");
        _pair.AssertTranslated();
    }

    [Test]
    public void With_the_direction_flag_set_they_go_downwards([Values] bool moves)
    {
        _pair.Load(a =>
        {
            a.std();
            Repeat(a, 4, moves);
            a.cld();
            a.hlt();
        });
        Run(Source + 0x200, Destination + 0x200, 64, "down");
        _pair.AssertTranslated();
    }

    /// <summary>Times eight it is a small number again.</summary>
    [TestCase(0x2000_0000_0000_0001UL)]
    [TestCase(ulong.MaxValue)]
    public void A_count_that_overflows_the_length_runs_until_it_faults(ulong count)
    {
        _pair.Each(machine => machine.Map(Destination + 0x1000, 0, 0));
        Load(8, moves: false);
        Run(Source, Destination + 0x800, count, "overflow", budget: 200_000);
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
        Assert.That(_pair.Jit.State->Cr2, Is.EqualTo(Destination + 0x1000));
        _pair.AssertTranslated();
    }

    [Test]
    public void A_fault_in_the_middle_leaves_the_counters_where_it_happened([Values] bool moves)
    {
        _pair.Each(machine => machine.Map(Destination + 0x1000, 0, 0));
        Load(1, moves);
        Run(Source, Destination + 0xF80, 0x100, "fault");
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_pair.Jit.State->Gpr[1], Is.EqualTo(0x80UL));
            Assert.That(_pair.Jit.State->Gpr[7], Is.EqualTo(Destination + 0x1000));
        });
        _pair.AssertTranslated();
    }

    /// <summary>Intel SDM vol. 2, REP: EFLAGS are those of before the instruction.</summary>
    [TestCase(false, 0UL)]
    [TestCase(false, 0x8D5UL)]
    [TestCase(true, 0UL)]
    [TestCase(true, 0x8D5UL)]
    public void A_comparison_that_faults_in_the_middle_leaves_the_flags_of_before(bool scans, ulong flags)
    {
        _pair.Each(machine =>
        {
            machine.Map(Destination + 0x1000, 0, 0);
            for (ulong i = 0; i < 0x80; i += 8)
            {
                // Never what it is compared with.
                machine.Poke(Source + i, 0x7F7F_7F7F_7F7F_7F7FUL);
                machine.Poke(Destination + 0xF80 + i, 0x8080_8080_8080_8080UL);
            }
        });
        _pair.Load(a =>
        {
            a.mov(eax, 0x7F);
            a.push((int)flags);
            a.popfq();
            if (scans)
            {
                a.repne.scasb();
            }
            else
            {
                a.repne.cmpsb();
            }

            a.hlt();
        });
        Run(Source, Destination + 0xF80, 0x100, "fault");
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_pair.Jit.State->Gpr[1], Is.EqualTo(0x80UL));
            Assert.That(_pair.Jit.Frame(3) & 0x8D5, Is.EqualTo(flags));
        });
    }

    [Test]
    public void A_page_that_may_be_read_only_is_not_written_to()
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(r15d, 4);
            a.Label(ref again);
            a.mov(rbx, __[rdi]);
            a.mov(ecx, 16);
            Repeat(a, 8, moves: false);
            a.sub(rdi, 128);
            a.dec(r15d);
            a.jnz(again);
            a.mov(__qword_ptr[Entry], (int)Destination | 5);
            a.invlpg(__byte_ptr[rdi]);
            a.mov(rax, cr0);
            a.bts(rax, 16);
            a.mov(cr0, rax);
            a.mov(ecx, 16);
            Repeat(a, 8, moves: false);
            a.hlt();
        });
        Run(Source, Destination, 16, "write-protected");
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
        _pair.AssertTranslated();
    }

    [Test]
    public void Code_that_is_stored_over_is_what_runs_next()
    {
        // Stores INC EAX; RET over DEC EAX; RET.
        _pair.Load(
            a =>
            {
                a.dec(eax);
                a.ret();
            },
            Destination);
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(r15d, 20);
            a.Label(ref again);
            a.call(Destination);
            a.mov(r14d, eax);
            a.mov(eax, 0xC3_C0FF);
            a.mov(edi, (int)Destination);
            a.mov(ecx, 1);
            Repeat(a, 4, moves: false);
            a.mov(eax, r14d);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.ResetRegisters();
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(18UL));
        _pair.AssertTranslated();
    }

    [Test]
    public void Flags_stay_as_they_were([Values] bool moves)
    {
        _pair.Load(a =>
        {
            a.cmp(rsi, rdi);
            Repeat(a, 1, moves);
            a.pushfq();
            a.pop(r8);
            a.sub(r9, r8);
            a.mov(ecx, 8);
            Repeat(a, 1, moves);
            a.setbe(r10b);
            a.hlt();
        });
        Run(Source, Destination, 16, "flags");
        _pair.AssertTranslated();
    }

    /// <summary>Equal ranges, or different ones, over page ends, with one place that ends the repetition, or none.</summary>
    [Test]
    public void A_repetition_ends_with_the_element_that_ends_it(
        [Values(1, 2, 4, 8)] int size, [Values] bool scans, [Values] bool whileEqual, [Values(0, 1, 100, 1023, 1100, -1)] int end)
    {
        const int length = 0x1800;
        ulong source = Source + 0x7F9, destination = Destination + 0xBFC;
        _pair.Each(machine =>
        {
            for (ulong i = 0; i < length; i++)
            {
                machine.Poke(source + i, (byte)0x55);
                machine.Poke(destination + i, (byte)(whileEqual ? 0x55 : 0xAA));
            }

            if (end >= 0)
            {
                // The highest byte of the element differs, or all of it is the same.
                ulong last = destination + (ulong)(end * size);
                for (int i = whileEqual ? size - 1 : 0; i < size; i++)
                {
                    machine.Poke(last + (ulong)i, (byte)(whileEqual ? 0x56 : 0x55));
                }
            }
        });
        _pair.Load(a =>
        {
            a.mov(rbx, __[rsi]);
            a.mov(rbx, __[rdi]);
            Compare(a, size, scans, whileEqual);
            a.hlt();
        });
        int count = length / size;
        int done = end < 0 || end >= count ? count : end + 1;
        for (int i = 0; i < 2; i++)
        {
            _pair.ResetRegisters();
            _pair.Set(0, 0x5555_5555_5555_5555);
            _pair.Set(6, source);
            _pair.Set(7, destination);
            _pair.Set(1, (ulong)count);
            _pair.Run();
            bool ended = end >= 0 && end < count;
            Assert.Multiple(() =>
            {
                Assert.That(_pair.Jit.State->Gpr[1], Is.EqualTo((ulong)(count - done)));
                Assert.That(_pair.Jit.State->Gpr[6], Is.EqualTo(scans ? source : source + (ulong)(done * size)));
                Assert.That(_pair.Jit.State->Gpr[7], Is.EqualTo(destination + (ulong)(done * size)));
                Assert.That((Flags.Get(_pair.Jit.State) & Flags.ZF) != 0, Is.EqualTo(whileEqual != ended), "ZF");
                Assert.That((Flags.Get(_pair.Jit.State) & Flags.CF) != 0, Is.EqualTo(whileEqual == ended), "CF: 55H is below what it is compared with, or the same");
            });
        }

        _pair.AssertTranslated();
    }

    [Test]
    public void A_comparison_that_faults_has_done_what_came_before([Values] bool scans)
    {
        _pair.Each(machine =>
        {
            for (ulong i = 0; i < 0x1000; i += 8)
            {
                machine.Poke(Source + i, 0UL);
                machine.Poke(Destination + i, 0UL);
            }

            machine.Map(Destination + 0x1000, 0, 0);
        });
        _pair.Load(a =>
        {
            a.xor(eax, eax);
            a.mov(rbx, __[rsi]);
            a.mov(rbx, __[rdi]);
            Compare(a, 4, scans, whileEqual: true);
            a.hlt();
        });
        Run(Source, Destination + 0xF80, 0x100, "fault");
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_pair.Jit.State->Gpr[1], Is.EqualTo(0xE0UL));
            Assert.That(_pair.Jit.State->Gpr[7], Is.EqualTo(Destination + 0x1000));
        });
    }

    private void Load(int size, bool moves) => _pair.Load(a =>
    {
        // The first access of each side enters its page.
        a.mov(rbx, __[rsi]);
        a.mov(rbx, __[rdi]);
        Repeat(a, size, moves);
        a.hlt();
    });

    /// <summary>REP MOVS or REP STOS.</summary>
    internal static void Repeat(Assembler a, int size, bool moves)
    {
        Assembler rep = a.rep;
        switch (size)
        {
            case 1 when moves: rep.movsb(); break;
            case 2 when moves: rep.movsw(); break;
            case 4 when moves: rep.movsd(); break;
            case 8 when moves: rep.movsq(); break;
            case 1: rep.stosb(); break;
            case 2: rep.stosw(); break;
            case 4: rep.stosd(); break;
            default: rep.stosq(); break;
        }
    }

    private static void Compare(Assembler a, int size, bool scans, bool whileEqual)
    {
        Assembler repeat = whileEqual ? a.repe : a.repne;
        switch (size)
        {
            case 1 when scans: repeat.scasb(); break;
            case 2 when scans: repeat.scasw(); break;
            case 4 when scans: repeat.scasd(); break;
            case 8 when scans: repeat.scasq(); break;
            case 1: repeat.cmpsb(); break;
            case 2: repeat.cmpsw(); break;
            case 4: repeat.cmpsd(); break;
            default: repeat.cmpsq(); break;
        }
    }

    private void Run(ulong source, ulong destination, ulong count, string what, long budget = 10_000)
    {
        // The second time what the first has entered is there.
        for (int i = 0; i < 2; i++)
        {
            _pair.ResetRegisters();
            _pair.Set(6, source);
            _pair.Set(7, destination);
            _pair.Set(1, count);
            _pair.Run(budget: budget, what: what);
        }
    }
}
