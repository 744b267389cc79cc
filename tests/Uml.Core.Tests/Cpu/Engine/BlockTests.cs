using System.Runtime.CompilerServices;
using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu;
using Uml.Core.Memory;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Engine;

[TestFixture(CpuEngine.Interpreter)]
[TestFixture(CpuEngine.Jit)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class BlockTests(CpuEngine engine) : IDisposable
{
    private readonly BareGuest _machine = new BareGuest(engine).Start64(hasHandlers: false);

    public void Dispose() => _machine.Dispose();

    [Test]
    public void The_budget_is_exact_at_every_instruction_of_a_program([Range(1, 40)] int budget)
    {
        // Blocks of 1, 2 and 3 instructions, one of them a loop.
        _machine.Load(a =>
        {
            Label loop = a.CreateLabel(), skip = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(ecx, 4);
            a.Label(ref loop);
            a.inc(rax);
            a.jmp(skip);
            a.Label(ref skip);
            a.inc(rax);
            a.dec(ecx);
            a.jne(loop);
            for (int i = 0; i < 30; i++)
            {
                a.inc(rax);
            }
        });
        RunResult result = _machine.Run(budget);
        Assert.Multiple(() =>
        {
            Assert.That(result, Is.EqualTo(RunResult.BudgetExhausted));
            Assert.That(_machine.Cpu.InstructionsRetired, Is.EqualTo((ulong)budget));
            Assert.That(_machine.Rax, Is.EqualTo(ExpectedIncrements(budget)));
        });
    }

    [Test]
    public void A_program_cut_at_any_place_goes_on_as_if_it_had_not_been_cut([Range(1, 12)] int slice)
    {
        _machine.Load(a =>
        {
            Label loop = a.CreateLabel();
            a.mov(ecx, 1000);
            a.xor(eax, eax);
            a.Label(ref loop);
            a.lea(eax, __[rax + (rcx * 2) + 1]);
            a.dec(ecx);
            a.jne(loop);
        });
        _machine.Run(slice);
        long left = 2 + 3000 - slice;
        while (left > 0)
        {
            long now = Math.Min(left, slice);
            _machine.Cpu.Run(now);
            left -= now;
        }

        Assert.That(_machine.Rax, Is.EqualTo(1_002_000UL));
        Assert.That(_machine.Cpu.InstructionsRetired, Is.EqualTo(3002UL));
    }

    [Test]
    public void A_page_never_has_more_blocks_than_a_write_to_it_can_look_through()
    {
        // Code that is entered at every byte, in modes that differ in whether the vector and x87 units are on.
        const ulong page = BareGuest.Data;
        for (ulong i = 0; i < GuestRam.PageSize; i++)
        {
            _machine.Poke(page + i, (byte)0xF4);
        }

        int most = 0;
        for (ulong mode = 0; mode < 4; mode++)
        {
            _machine.State->Cr0 = (_machine.State->Cr0 & ~4UL) | ((mode & 1) << 2);
            _machine.State->Cr4 = (_machine.State->Cr4 & ~(1UL << 9)) | ((mode & 2) << 8);
            Mmu.UpdateMode(_machine.State);
            for (ulong i = 0; i < GuestRam.PageSize; i++)
            {
                _machine.State->Halted = false;
                _machine.Run(1, page + i);
                most = Math.Max(most, _machine.State->Engine->Pages[page / GuestRam.PageSize].Blocks);
            }
        }

        Assert.That(most, Is.EqualTo(BlockCache.MaximumInPage));
        Assert.That(_machine.State->Engine->Counters.CacheFlushes, Is.EqualTo(3UL));
        _machine.Poke(page, new Filler());
        Assert.Multiple(() =>
        {
            Assert.That(_machine.State->Engine->Pages[page / GuestRam.PageSize].Blocks, Is.Zero);
            Assert.That(_machine.State->Engine->Pages[page / GuestRam.PageSize].CodeMask, Is.Zero);
        });
    }

    [InlineArray(GuestRam.PageSize)]
    private struct Filler
    {
        private byte _element;
    }

    [Test]
    public void Code_that_overwrites_an_instruction_further_on_in_its_own_block_runs_the_new_one()
    {
        int prefix = BareGuest.Assemble(a => Patch(a, 0)).Length;
        _machine.Load(a =>
        {
            Patch(a, (int)BareGuest.Code + prefix + 1);
            a.mov(eax, 1);
            a.nop();
        });
        _machine.Run(4);
        Assert.That(_machine.Rax, Is.EqualTo(2UL));

        static void Patch(Assembler a, int target)
        {
            a.mov(ebx, target);
            a.mov(__byte_ptr[rbx], 2);
        }
    }

    [Test]
    public void Code_written_through_another_mapping_of_its_page_is_seen()
    {
        const ulong alias = 0x50000;
        _machine.Map(alias, BareGuest.Code);
        _machine.Load(a =>
        {
            a.mov(eax, 1);
            a.mov(rbx, alias + 1);
            a.mov(__dword_ptr[rbx], 7);
        });
        _machine.Run(3);
        _machine.Run(1);
        Assert.That(_machine.Rax, Is.EqualTo(7UL));
    }

    [Test]
    public void Data_beside_code_can_be_written_without_losing_the_code()
    {
        _machine.Load(a =>
        {
            Label loop = a.CreateLabel();
            a.mov(ecx, 100);
            a.mov(rbx, BareGuest.Code + 0x800);
            a.Label(ref loop);
            a.add(__qword_ptr[rbx], 1);
            a.dec(ecx);
            a.jne(loop);
        });
        _machine.Run(302);
        Assert.That(_machine.Peek<ulong>(BareGuest.Code + 0x800), Is.EqualTo(100UL));
        Assert.That(_machine.State->Engine->Counters.BlocksInvalidated, Is.Zero);
    }

    [Test]
    public void A_device_write_to_executed_code_is_seen()
    {
        _machine.Load(a => a.mov(eax, 1));
        _machine.Run(1);
        _machine.Poke(BareGuest.Code + 1, 9);
        _machine.Run(1);
        Assert.That(_machine.Rax, Is.EqualTo(9UL));
    }

    [Test]
    public void An_instruction_across_a_page_end_is_looked_up_in_both_pages([Range(1, 9)] int before)
    {
        // mov rax, imm64 is ten bytes; its tail lies in whatever the next page is mapped to.
        ulong start = BareGuest.Code + 0x1000 - (ulong)before;
        byte[] bytes = BareGuest.Assemble(a => a.mov(rax, 0x1122334455667788L), start);
        for (int i = 0; i < before; i++)
        {
            _machine.Poke(start + (ulong)i, bytes[i]);
        }

        for (int copy = 0; copy < 2; copy++)
        {
            for (int i = before; i < bytes.Length; i++)
            {
                _machine.Poke((copy == 0 ? 0x11000UL : 0x60000UL) + (ulong)(i - before), i == 9 ? (byte)copy : bytes[i]);
            }
        }

        _machine.Run(1, start);
        Assert.That(_machine.Rax >> 56, Is.Zero);
        _machine.Map(0x11000, 0x60000);
        _machine.Run(1, start);
        Assert.That(_machine.Rax >> 56, Is.EqualTo(1UL));
    }

    [Test]
    public void A_block_that_ends_with_its_page_goes_on_in_the_page_mapped_behind_it()
    {
        ulong start = BareGuest.Code + 0x1000 - 5;
        _machine.Load(a => a.mov(eax, 1), start);
        _machine.Load(a => a.mov(ebx, 1), 0x11000);
        _machine.Load(a => a.mov(ebx, 2), 0x60000);
        for (ulong target = 1; target <= 2; target++)
        {
            _machine.Map(0x11000, target == 1 ? 0x11000UL : 0x60000UL);
            _machine.Run(2, start);
            Assert.That(_machine.State->Gpr[3], Is.EqualTo(target));
        }
    }

    [Test]
    public void A_cache_far_smaller_than_the_program_only_costs_time()
    {
        using BareGuest small = new BareGuest(engine, codeCacheSize: engine == CpuEngine.Jit ? 1UL << 20 : 64 << 10).Start64(hasHandlers: false);
        small.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 3);
            a.Label(ref again);
            for (int i = 0; i < 4000; i++)
            {
                Label next = a.CreateLabel();
                a.inc(rax);
                a.jmp(next);
                a.Label(ref next);
            }

            a.dec(ecx);
            a.jne(again);
        });
        small.Run(1 + (3 * (8000 + 2)));
        Assert.That(small.Rax, Is.EqualTo(12000UL));
        Assert.That(small.Cpu.Blocks.Epoch, Is.GreaterThan(1UL));
    }

    private static ulong ExpectedIncrements(int budget)
    {
        ulong increments = 0;
        int left = budget - 2;
        for (int round = 0; round < 4; round++)
        {
            increments += left >= 1 ? 1UL : 0;
            increments += left >= 3 ? 1UL : 0;
            left -= 5;
        }

        return increments + (left > 0 ? (ulong)left : 0);
    }
}
