using Iced.Intel;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Translated code in pages whose mapping or rights change under the jumps that were linked to them.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class RemappingTests : IDisposable
{
    private const ulong Far = BareGuest.Code + 0x2000, FirstFrame = 0x90000, SecondFrame = 0x92000;
    private const ulong OtherTables = 0xA0000, Entry = BareGuest.PageTable + ((Far >> 12) * 8);
    private const ulong Global = 0x100, NoExecute = 1UL << 63, Normal = 7;
    private const ulong Pge = 1 << 7, Pcide = 1 << 17, Smep = 1 << 20, Smap = 1 << 21;

    private readonly EnginePair _pair = new();

    public RemappingTests()
    {
        // The same function in two frames, adding different numbers.
        foreach ((ulong frame, int step) in new[] { (FirstFrame, 1), (SecondFrame, 1000) })
        {
            _pair.Each(machine => machine.Map(Far, frame));
            _pair.Load(
                a =>
                {
                    a.add(rax, step);
                    a.ret();
                },
                frame);
        }

        // A second set of tables that differs in where Far leads.
        _pair.Each(machine =>
        {
            machine.Map(Far, FirstFrame);
            machine.Poke(OtherTables, (OtherTables + 0x1000) | 7);
            machine.Poke(OtherTables + 0x1000, (OtherTables + 0x2000) | 7);
            machine.Poke(OtherTables + 0x2000, (OtherTables + 0x3000) | 7);
            for (ulong page = 0; page < 512; page++)
            {
                machine.Poke(OtherTables + 0x3000 + (page * 8), (page == Far >> 12 ? SecondFrame : page << 12) | Normal);
            }
        });
    }

    public void Dispose() => _pair.Dispose();

    /// <summary>Ways to come to the page whose mapping changes.</summary>
    public enum Way
    {
        Call,
        IndirectCall,
        CallThroughMemory,
        Return,
    }

    [Test]
    public void A_page_remapped_by_INVLPG_is_what_linked_jumps_lead_to([Values] Way way, [Values] bool global)
    {
        SetControl(global ? Pge : 0);
        ulong extra = global ? Global : 0;
        Load(way, a => Alternate(a, FirstFrame | Normal | extra, SecondFrame | Normal | extra, invalidate: true));
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(10UL + 10_000), "ten rounds each");
        _pair.AssertTranslated();
    }

    [Test]
    public void Another_address_space_leads_linked_jumps_to_its_own_pages([Values] Way way, [Values] bool pcid, [Values] bool keep)
    {
        SetControl(pcid ? Pcide | Pge : Pge);
        Load(way, a => SwitchSpaces(a, pcid, keep));
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(10UL + 10_000));
        _pair.AssertTranslated();
    }

    [Test]
    public void Global_pages_stay_where_they_are_until_they_are_invalidated([Values] Way way)
    {
        SetControl(Pge);
        _pair.Each(machine => machine.Map(Far, FirstFrame, Normal | Global));
        Load(way, a => SwitchSpaces(a, pcid: false, keep: false));
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        _pair.AssertTranslated();
    }

    [Test]
    public void User_code_of_two_address_spaces_is_told_apart([Values] bool pcid)
    {
        SetControl(pcid ? Pcide : 0);
        _pair.Each(machine => machine.SetGate64(0x80, BareGuest.Code + 0x1000, type: 0xEE));
        _pair.Load(a => BareGuest.GoToUser(a));
        _pair.Load(
            a =>
            {
                Label again = a.CreateLabel();
                a.xor(eax, eax);
                a.mov(r15d, 20);
                a.Label(ref again);
                a.call(Far);
                a.@int(0x80);
                a.dec(r15d);
                a.jnz(again);
                a.hlt(); // #GP
            },
            BareGuest.UserCode);
        _pair.Load(
            a =>
            {
                SwitchSpaces(a, pcid, keep: pcid);
                a.iretq();
            },
            BareGuest.Code + 0x1000);
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.GP));
        Assert.That(_pair.Jit.Rax, Is.EqualTo(10UL + 10_000));
        _pair.AssertTranslated();
    }

    [Test]
    public void Code_rewritten_while_the_jumps_to_it_are_forgotten_runs_as_it_stands([Values] Way way, [Values] bool isForgottenFirst)
    {
        const ulong number = FirstFrame + 2; // of ADD RAX, imm32
        Load(way, a =>
        {
            Label keep = a.CreateLabel();
            Forget(isForgottenFirst);
            a.cmp(r15d, 10);
            a.jne(keep);
            a.mov(__byte_ptr[number], 100);
            a.Label(ref keep);
            Forget(!isForgottenFirst);

            void Forget(bool now)
            {
                if (now)
                {
                    a.mov(rcx, cr3);
                    a.mov(cr3, rcx);
                }
            }
        });
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(11UL + 900), "eleven rounds, and nine");
        _pair.AssertTranslated();
    }

    [TestCase(NoExecute | Normal, 0UL)]
    [TestCase(0UL, 0UL)]
    [TestCase(Normal, Smep)]
    public void A_linked_jump_into_a_page_that_may_not_run_any_more_faults_at_its_target(ulong rights, ulong control)
    {
        // Supervisor pages, so that SMEP is about the one page.
        _pair.Each(machine =>
        {
            for (ulong page = 0; page < 512; page++)
            {
                machine.Map(page << 12, page << 12, 3);
            }

            machine.Map(Far, FirstFrame, 3);
        });
        SetControl(control);
        foreach (Way way in Enum.GetValues<Way>())
        {
            _pair.Each(machine => machine.Map(Far, FirstFrame, 3));
            Load(way, a =>
            {
                Label keep = a.CreateLabel();
                a.cmp(r15d, 5);
                a.jne(keep);
                a.mov(rcx, FirstFrame | rights);
                a.mov(__[Entry], rcx);
                a.invlpg(__byte_ptr[(long)Far]);
                a.Label(ref keep);
            });
            _pair.Run(what: way.ToString());
            Assert.Multiple(() =>
            {
                Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF), way.ToString());
                Assert.That(_pair.FaultRip, Is.EqualTo(Far), way.ToString());
                Assert.That(_pair.Jit.State->Cr2, Is.EqualTo(Far), way.ToString());
                Assert.That(_pair.Jit.Rax, Is.EqualTo(16UL), "rounds before");
            });
        }

        _pair.AssertTranslated();
    }

    [Test]
    public void SMAP_is_asked_at_every_access_of_a_loop_that_turns_it_on_and_off()
    {
        _pair.Each(machine =>
        {
            for (ulong page = 0; page < 512; page++)
            {
                machine.Map(page << 12, page << 12, page << 12 == BareGuest.Data ? Normal : 3);
            }
        });
        SetControl(Smap);
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(rbx, BareGuest.Data);
            a.mov(r15d, 6);
            a.Label(ref again);
            a.stac();
            a.add(__[rbx], r15);
            a.mov(rax, __[rbx]);
            a.clac();
            a.dec(r15d);
            a.jnz(again);
            a.add(__[rbx], r15);
            a.hlt();
        });
        _pair.Run();
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_pair.Jit.Frame(0), Is.EqualTo(3UL), "a write to a present page");
            Assert.That(_pair.Jit.Peek<ulong>(BareGuest.Data), Is.EqualTo(21UL));
        });
        _pair.AssertTranslated();
    }

    [Test]
    public void Tables_replaced_behind_INVLPG_are_walked_anew([Values] bool switchesSpace)
    {
        // Far is entered through the first tables, its neighbors make sure that the way there is known.
        const ulong directoryEntry = 0x3000;
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(r15d, 6);
            a.Label(ref again);
            a.mov(rax, __[Far + 0x4000]);
            a.mov(rax, __[Far + 0x5000]);
            a.add(r8, __[Far]);
            a.mov(rcx, OtherTables + 0x3000 | 7);
            a.mov(__[directoryEntry], rcx);
            Forget(a);
            a.add(r9, __[Far]);
            a.mov(rcx, BareGuest.PageTable | 7);
            a.mov(__[directoryEntry], rcx);
            Forget(a);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Each(machine =>
        {
            machine.Poke(FirstFrame, 1UL);
            machine.Poke(SecondFrame, 1000UL);
        });
        _pair.ResetRegisters();
        _pair.Set(8, 0);
        _pair.Set(9, 0);
        _pair.Run();
        Assert.That((_pair.Jit.State->Gpr[8], _pair.Jit.State->Gpr[9]), Is.EqualTo((6UL, 6000UL)));
        _pair.AssertTranslated();

        void Forget(Assembler a)
        {
            if (switchesSpace)
            {
                a.mov(rcx, cr3);
                a.mov(cr3, rcx);
            }
            else
            {
                a.invlpg(__byte_ptr[Far]);
            }
        }
    }

    /// <summary>ADD RAX, imm32, whose last three bytes are in the page behind: with other bytes there it adds another number.</summary>
    [Test]
    public void An_instruction_that_runs_over_into_a_remapped_page_is_what_stands_there_now([Values] bool switchesSpace, [Values] bool global)
    {
        SetControl(global ? Pge : 0);
        ulong extra = global && !switchesSpace ? Global : 0;
        _pair.Each(machine =>
        {
            machine.Poke(Far - 3, 0x0105_4800_0000_0000UL >> 40);
            machine.Poke(FirstFrame, 0xC3_000000UL);
            machine.Poke(SecondFrame, 0xC3_000100UL);
        });
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(r15d, 20);
            a.Label(ref again);
            a.call(Far - 3);
            if (switchesSpace)
            {
                SwitchSpaces(a, pcid: false, keep: false);
            }
            else
            {
                Alternate(a, FirstFrame | Normal | extra, SecondFrame | Normal | extra, invalidate: true);
            }

            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Each(machine => machine.Rsp = BareGuest.Stack);
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo((10 * 1UL) + (10 * 0x10001UL)), "ten rounds each");
        _pair.AssertTranslated();
    }

    [Test]
    public void An_instruction_that_runs_over_into_a_page_that_is_gone_faults_there()
    {
        _pair.Each(machine =>
        {
            machine.Poke(Far - 3, 0x0105_4800_0000_0000UL >> 40);
            machine.Poke(FirstFrame, 0xC3_000000UL);
        });
        _pair.Load(a =>
        {
            Label again = a.CreateLabel(), keep = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(r15d, 20);
            a.Label(ref again);
            a.call(Far - 3);
            a.cmp(r15d, 5);
            a.jne(keep);
            a.mov(__qword_ptr[Entry], 0);
            a.invlpg(__byte_ptr[(long)Far]);
            a.Label(ref keep);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Each(machine => machine.Rsp = BareGuest.Stack);
        _pair.Run();
        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
            Assert.That(_pair.FaultRip, Is.EqualTo(Far - 3));
            Assert.That(_pair.Jit.State->Cr2, Is.EqualTo(Far));
            Assert.That(_pair.Jit.Rax, Is.EqualTo(16UL));
        });
        _pair.AssertTranslated();
    }

    [Test]
    public void Returns_to_neighboring_bytes_keep_their_places_in_the_jump_table()
    {
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(r15d, 500);
            a.Label(ref again);
            for (int i = 0; i < 16; i++)
            {
                a.call(Far);
            }

            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Run(budget: 100_000);
        Assert.That(_pair.Jit.State->Halted);
        Assert.That(_pair.Jit.State->Engine->Counters.JumpSearches, Is.Positive.And.LessThan(100), "of 8,000 returns");
    }

    [Test]
    public void A_jump_to_an_address_that_is_not_canonical_faults_at_the_jump([Values] Way way)
    {
        const ulong target = 0x0000_8000_0000_0000;
        _pair.Each(machine => machine.Poke(BareGuest.Data, Far));
        Load(way, a =>
        {
            Label keep = a.CreateLabel();
            a.cmp(r15d, 5);
            a.jne(keep);
            a.mov(r13, target);
            a.mov(__[BareGuest.Data], r13);
            a.Label(ref keep);
        });
        _pair.Run();
        if (way == Way.Call)
        {
            Assert.That(_pair.Vector, Is.EqualTo(-1), "a direct call goes where it always did");
            return;
        }

        Assert.Multiple(() =>
        {
            Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.GP));
            Assert.That(_pair.FaultRip, Is.InRange(BareGuest.Code, BareGuest.Code + 0x100), "the jump's own");
            Assert.That(_pair.Jit.Frame(4), Is.EqualTo(way == Way.Return ? BareGuest.Stack - 16 : BareGuest.Stack), "RSP as it was");
        });
        _pair.AssertTranslated();
    }

    /// <summary>Twenty rounds: one way to the far page, then what a test does in between.</summary>
    private void Load(Way way, Action<Assembler> between)
    {
        _pair.Each(machine => machine.Poke(BareGuest.Data, Far));
        _pair.Load(a =>
        {
            Label again = a.CreateLabel(), back = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(r15d, 20);
            a.mov(r13, Far);
            a.mov(rsi, BareGuest.Data);
            a.Label(ref again);
            switch (way)
            {
                case Way.Call: a.call(Far); break;
                case Way.IndirectCall: a.call(r13); break;
                case Way.CallThroughMemory: a.call(__qword_ptr[rsi]); break;
                default:
                    a.lea(rcx, __[back]);
                    a.push(rcx);
                    a.push(r13);
                    a.ret();
                    break;
            }

            a.Label(ref back);
            between(a);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Each(machine => machine.Rsp = BareGuest.Stack);
    }

    /// <summary>Maps the far page to the first frame before odd rounds and to the second one before even rounds; the first of all is even.</summary>
    private static void Alternate(Assembler a, ulong first, ulong second, bool invalidate)
    {
        a.test(r15d, 1);
        a.mov(rcx, first);
        a.mov(rdx, second);
        a.cmovz(rcx, rdx);
        a.mov(__[Entry], rcx);
        if (invalidate)
        {
            a.invlpg(__byte_ptr[(long)Far]);
        }
    }

    private static void SwitchSpaces(Assembler a, bool pcid, bool keep)
    {
        ulong retain = keep && pcid ? 1UL << 63 : 0;
        a.test(r15d, 1);
        a.mov(rcx, BareGuest.PageTables | retain);
        a.mov(rdx, OtherTables | (pcid ? 5UL : 0) | retain);
        a.cmovz(rcx, rdx);
        a.mov(cr3, rcx);
    }

    private void SetControl(ulong bits) => _pair.Each(machine =>
    {
        machine.State->Cr4 |= bits;
        Uml.Core.Cpu.Paging.Mmu.UpdateMode(machine.State);
        Uml.Core.Cpu.Paging.Mmu.FlushAll(machine.State);
    });
}
