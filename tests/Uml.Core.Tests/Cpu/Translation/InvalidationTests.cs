using Iced.Intel;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>What changes the meaning of paging structures is heeded by the very next access of translated code, and the next jump.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class InvalidationTests : IDisposable
{
    private const ulong Far = BareGuest.Code + 0x2000, FirstFrame = 0x90000, SecondFrame = 0x92000;
    private const ulong Entry = BareGuest.PageTable + ((Far >> 12) * 8);
    private const ulong NoExecute = 1UL << 63, Normal = 7, Accessed = Normal | 0x60;
    private const ulong Pge = 1 << 7, Pcide = 1 << 17, Nxe = 1 << 11;

    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    /// <summary>
    /// The page is not global, and was entered as the kernel's: types 0 to 3 (Intel SDM vol. 2, INVPCID) all drop it, and with it the jumps
    /// that were linked to it.
    /// </summary>
    [Test]
    public void A_page_of_the_kernel_remapped_by_INVPCID_is_what_linked_jumps_lead_to([Values(0, 1, 2, 3)] int type)
    {
        LoadStep(FirstFrame, 1);
        LoadStep(SecondFrame, 1000);
        _pair.Each(machine =>
        {
            machine.Map(Far, FirstFrame);
            machine.Poke(BareGuest.Data, 0UL);
            machine.Poke(BareGuest.Data + 8, Far);
            machine.State->Cr4 |= Pge | Pcide;
            Mmu.UpdateMode(machine.State);
        });
        _pair.Load(a =>
        {
            // Four rounds with each: the first looks the page up, others go by the jump that was linked then.
            Label again = a.CreateLabel(), keep = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(r15d, 39);
            a.mov(esi, type);
            a.mov(rbx, FirstFrame | Normal);
            a.mov(rcx, SecondFrame | Normal);
            a.Label(ref again);
            a.call(Far);
            a.test(r15d, 3);
            a.jnz(keep);
            a.xchg(rbx, rcx);
            a.mov(__[Entry], rbx);
            a.invpcid(rsi, __xmmword_ptr[BareGuest.Data]);
            a.Label(ref keep);
            a.dec(r15d);
            a.jns(again);
            a.hlt();
        });
        _pair.Each(machine => machine.Rsp = BareGuest.Stack);
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(20UL + 20_000), "twenty rounds each");
        _pair.AssertTranslated();
    }

    /// <summary>Without EFER.NXE bit 63 of an entry is reserved (Intel SDM vol. 3, 4.5.4), from the WRMSR on that clears it.</summary>
    [Test]
    public void A_page_that_may_not_run_is_reserved_as_soon_as_NXE_is_cleared()
    {
        _pair.Each(machine =>
        {
            machine.Map(Far, FirstFrame, Accessed | NoExecute);
            machine.State->Efer |= Nxe;
            Mmu.UpdateMode(machine.State);
        });
        _pair.Load(a =>
        {
            a.mov(rax, __[Far]);
            a.mov(ecx, 0xC000_0080);
            a.rdmsr();
            a.and(eax, ~(int)Nxe);
            a.wrmsr();
            a.mov(rbx, __[Far]);
            a.hlt();
        });
        _pair.Run();
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
        Assert.That(_pair.Jit.Frame(0), Is.EqualTo(PageWalk.ErrorPresent | PageWalk.ErrorReserved));
        _pair.AssertTranslated();
    }

    /// <summary>
    /// The entry of the page that runs changes, and its translation is displaced without an INVLPG: the next jump in the page may lead to either
    /// frame (Intel SDM vol. 3, 5.10.2.3). Behind an INVLPG it leads to the page's own, whatever it did before.
    /// </summary>
    [Test]
    public void A_jump_within_a_page_does_not_stay_linked_to_another_frame()
    {
        const ulong displacing = Far + (1UL << 30);
        LoadJump(FirstFrame, 1);
        LoadJump(SecondFrame, 1000);
        _pair.Each(machine =>
        {
            machine.Map(Far, FirstFrame);
            machine.Poke(0x2000 + 8, 0x3000 | Normal);
        });
        _pair.Load(a =>
        {
            Label again = a.CreateLabel();
            a.mov(rdi, displacing);
            a.mov(rbx, SecondFrame | Accessed);
            a.call(Far);
            a.mov(rbx, FirstFrame | Accessed);
            a.mov(__[Entry], rbx);
            a.invlpg(__byte_ptr[(long)Far]);
            a.xor(eax, eax);
            a.mov(r15d, 20);
            a.Label(ref again);
            a.call(Far);
            a.dec(r15d);
            a.jnz(again);
            a.hlt();
        });
        _pair.Each(machine => machine.Rsp = BareGuest.Stack);
        _pair.Run();
        Assert.That(_pair.Jit.Rax, Is.EqualTo(20UL));
        _pair.AssertTranslated();
    }

    private void LoadJump(ulong frame, int step) => _pair.Load(
        a =>
        {
            Label next = a.CreateLabel();
            a.mov(__[Entry], rbx);
            a.mov(rcx, __[rdi]);
            a.jmp(next);
            a.nop();
            a.Label(ref next);
            a.add(rax, step);
            a.ret();
        },
        frame);

    private void LoadStep(ulong frame, int step) => _pair.Load(
        a =>
        {
            a.add(rax, step);
            a.ret();
        },
        frame);
}
