using Uml.Core.Cpu;
using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.Paging;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Paging-structure entries that are code as well: the accessed and dirty bits that a page walk sets change the code.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class PageTableCodeTests : IDisposable
{
    private const ulong Page = 0x1F_0000, Frame = 0x9_0000, Slot = BareGuest.PageTable + ((Page >> 12) * 8);

    /// <summary>Of entries of a page directory and of a table of legacy paging, which leads to tables and pages of its own.</summary>
    private const ulong Directory = 0xA_0000, Table = 0xA_1000;

    /// <summary><c>add eax, 900h; add al, al; hlt</c>, and a present entry for <see cref="Frame"/>. Accessed, ADD becomes AND.</summary>
    private const ulong AddEntry = 0x40C0_0000_0009_0005, Halt = 0xF4;

    /// <summary><c>mov ebx, 900h</c>, and an accessed, writable entry. Dirty, it becomes <c>sti; add [rcx], cl; add [rax], al</c>.</summary>
    private const ulong MoveEntry = 0x40C0_0000_0009_00BB;

    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    [Test]
    public void Code_in_a_page_table_is_what_the_accessed_bit_makes_of_it()
    {
        Place(Slot, AddEntry);
        RunFrom(Slot);
        Assert.That(_pair.Jit.Rax & 0xFFFF_FF00, Is.EqualTo(0x0101_0A00UL), "added");
        _pair.Load(a =>
        {
            a.mov(rcx, __[Page]);
            a.hlt();
        });
        RunFrom(BareGuest.Code);
        RunFrom(Slot);
        Assert.That(_pair.Jit.Rax & 0xFFFF_FF00, Is.EqualTo(0x0000_0100UL), "masked");
        _pair.AssertTranslated();
    }

    [Test]
    public void Code_in_a_page_table_is_what_the_dirty_bit_makes_of_it()
    {
        Place(Slot, MoveEntry);
        RunFrom(Slot);
        Assert.That(_pair.Jit.State->Gpr[3], Is.EqualTo(0x900UL));
        _pair.Load(a =>
        {
            a.mov(__[Page], rcx);
            a.hlt();
        });
        RunFrom(BareGuest.Code);
        RunFrom(Slot);
        Assert.That(_pair.Jit.State->Gpr[3], Is.Not.EqualTo(0x900UL));
        _pair.AssertTranslated();
    }

    [Test]
    public void A_block_whose_own_access_sets_the_bit_goes_on_with_what_it_has_become([Values] bool write)
    {
        byte[] access = AccessCode(write);
        ulong start = Slot - (ulong)access.Length;
        for (int round = 0; round < 3; round++)
        {
            Place(Slot, write ? MoveEntry : AddEntry);
            _pair.Each(machine =>
            {
                for (int i = 0; i < access.Length; i++)
                {
                    machine.Poke(start + (ulong)i, access[i]);
                }

                Mmu.InvalidatePage(machine.State, Page);
            });
            RunFrom(start, $"round {round}");
            if (write)
            {
                Assert.That(_pair.Jit.State->Gpr[3], Is.Not.EqualTo(0x900UL), $"round {round}");
            }
            else
            {
                Assert.That(_pair.Jit.Rax & 0xFFFF_FF00, Is.EqualTo(0x0000_0100UL), $"round {round}");
            }
        }

        _pair.AssertTranslated();
    }

    [Test]
    public void Code_in_a_page_directory_is_what_the_accessed_bit_makes_of_it()
    {
        const ulong slot = 0x3008, page = 0x20_0000;
        Place(slot, AddEntry);
        _pair.Each(machine => machine.Poke(Frame, BareGuest.Data | 7));
        RunFrom(slot);
        Assert.That(_pair.Jit.Rax & 0xFFFF_FF00, Is.EqualTo(0x0101_0A00UL), "added");
        _pair.Load(a =>
        {
            a.mov(rbx, page);
            a.mov(rcx, __[rbx]);
            a.hlt();
        });
        RunFrom(BareGuest.Code);
        RunFrom(slot);
        Assert.That(_pair.Jit.Rax & 0xFFFF_FF00, Is.EqualTo(0x0000_0100UL), "masked");
        _pair.AssertTranslated();
    }

    [Test]
    public void So_it_is_with_32_bit_paging([Values] bool inDirectory)
    {
        using EnginePair pair = new(bitness: 32);
        ulong slot = inDirectory ? Directory + 8 : Table + (Page >> 12 << 2), page = inDirectory ? 0x80_0000 : Page;
        pair.Each(machine =>
        {
            machine.Poke(Directory, (uint)Table | 3);
            for (ulong i = 0; i < 0x200; i++)
            {
                machine.Poke(Table + (i * 4), (uint)(i << 12) | 3);
            }

            // add eax, 900h; hlt
            machine.Poke(slot, (uint)Frame | 5);
            machine.Poke(slot + 4, 0xF400U);
            machine.State->Cr3 = Directory;
            machine.State->Cr0 |= 1U << 31;
            Mmu.FlushAll(machine.State);
            Mmu.UpdateMode(machine.State);
        });
        pair.Load(a =>
        {
            a.mov(ecx, __[(uint)page]);
            a.hlt();
        });
        uint[] expected = inDirectory ? [0x0101_0A01, 0x100] : [0x0101_0A01, 0x100];
        pair.Each(machine => machine.Poke(Frame, (uint)BareGuest.Data | 3));
        foreach (uint value in expected)
        {
            pair.ResetRegisters();
            pair.Run(slot);
            Assert.That((uint)pair.Jit.Rax, Is.EqualTo(value));
            pair.Run();
        }

        pair.AssertTranslated();
    }

    [Test]
    public void An_instruction_that_begins_in_the_entry_of_the_page_it_ends_in_is_not_kept_as_it_was()
    {
        // The last entry of the page table maps the last page, and the table itself the one before: mov r8, imm64, of which two bytes are
        // in the next page. Accessed, it is imul edi, [rax + 9], imm32.
        const ulong last = 0x1F_F000, entry = BareGuest.PageTable + 0xFF8, code = last - 8;
        _pair.Each(machine =>
        {
            machine.Map(last - 0x1000, BareGuest.PageTable);
            machine.Poke(entry, 0x9_B849UL);
            machine.Poke(0x9_B000, 0xF4F4_F4F4_F4F4_0000UL);
            Mmu.FlushAll(machine.State);
        });
        for (int round = 0; round < 2; round++)
        {
            _pair.ResetRegisters();
            _pair.Set(0, BareGuest.Data);

            // Not compared with each other: the product's flags are the engine's choice.
            _pair.Each(machine =>
            {
                machine.State->Rip = code;
                machine.State->Halted = false;
                Assert.That(machine.Cpu.Run(10), Is.EqualTo(RunResult.Halted));
                Assert.That(machine.Peek<byte>(entry), Is.EqualTo(0x69));
                Assert.That(machine.State->Gpr[8], Is.EqualTo(0x0909_0909_0909_0909UL), "left alone");
                Assert.That(machine.State->Gpr[7], Is.Zero, "a product with zero");
            });
        }
    }

    [Test]
    public void Asking_whether_a_page_is_global_changes_nothing()
    {
        // A jump's target is entered in the jump table with the answer, and may lie in the page's own entry.
        const ulong entry = BareGuest.PageTable + ((Page >> 12) * 8);
        _pair.Jit.Map(Page, Frame, 0x107);
        _pair.Jit.State->Cr4 |= 1 << 7;
        Assert.That(PageWalk.IsGlobal(_pair.Jit.State, Page));
        MemoryOperands.NoteJump(_pair.Jit.State, _pair.Jit.Cpu.Jit!.Jumps, Page);
        Assert.That(_pair.Jit.Peek<ulong>(entry), Is.EqualTo(Frame | 0x107));
    }

    private static byte[] AccessCode(bool write) => BareGuest.Assemble(a =>
    {
        a.add(rsi, rdi);
        if (write)
        {
            a.mov(__[rdx], rsi);
        }
        else
        {
            a.mov(rsi, __[rdx]);
        }
    });

    private void Place(ulong slot, ulong entry) => _pair.Each(machine =>
    {
        machine.Poke(slot, entry);
        machine.Poke(slot + 8, Halt);
        Mmu.InvalidatePage(machine.State, Page);
        Mmu.FlushAll(machine.State);
    });

    private void RunFrom(ulong address, string what = "")
    {
        _pair.ResetRegisters();
        _pair.Set(0, 0x0101_0101);
        _pair.Set(1, BareGuest.Data);
        _pair.Set(2, Page);
        if (address != BareGuest.Code && _pair.Jit.Peek<byte>(Slot) is 0xBB or 0xFB)
        {
            _pair.Set(0, BareGuest.Data + 0x100);
        }

        _pair.Run(address, what: what);
    }
}
