using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Emit;

/// <summary>
/// Emits the walk through four levels of paging structures that fills a TLB entry without leaving emitted code. It enters
/// what is there and needs no change: present, accessed, permitted, dirty when written to, RAM. Everything else is left to
/// <see cref="PageWalk"/>, which knows all the rules.
/// </summary>
/// <remarks>
/// In: the linear address in the address register, of an operand within one page. Out: ZF set and the host address in its place, or
/// ZF clear and nothing changed. The scratch register is destroyed, all others are kept.
/// </remarks>
internal sealed unsafe class EmittedPageWalk(HostAssembler code)
{
    // SAFETY: pointers are positions in the assembler's memory, and only taken to bind jumps. Emitted loads stay in RAM: each table's
    // address is compared with RAM's bounds first, and the masks keep an index within its table.
    private const int Entry = HostRegister.Rax, Index = HostRegister.Rcx, Rights = HostRegister.Rdx, Any = HostRegister.Rsi, Mask = HostRegister.Rdi;
    private const int PresentAndAccessed = (int)(PageWalk.P | PageWalk.A), PageSizeBit = (int)PageWalk.PS;

    /// <summary>Differs from a tag in a bit that makes it that of no address in the page.</summary>
    private const int OtherTag = 2 * GuestRam.PageSize;

    private static readonly int[] Saved = [Entry, Index, Rights, Any, Mask];

    private readonly List<nint> _failures = [];

    /// <summary>Emits the walk for reads or for writes.</summary>
    /// <returns>Its first byte.</returns>
    public byte* Emit(bool write)
    {
        _failures.Clear();
        code.Align(16);
        byte* start = code.Position;
        code.HideReturnAddress();
        foreach (int register in Saved)
        {
            code.Store(GuestRegisters.State, StateLayout.Gpr(register), register);
        }

        code.MoveImmediate(Mask, (long)PageWalk.AddressMask);
        byte* unknown = EmitRecall();
        EmitLast();
        byte* known = code.Jump();
        code.Bind(unknown);
        EmitCanonical();
        code.MoveImmediate(Rights, -1);
        code.ArithmeticRegister(Arithmetic.Xor, Any, Any, wide: false);
        code.Load(Entry, GuestRegisters.State, StateLayout.Cr3);
        code.ArithmeticRegister(Arithmetic.And, Entry, Mask);
        EmitLevel(39);
        code.TestAl(PageSizeBit);
        FailIf(Condition.Ne);
        byte* large1G = EmitTable(30);
        byte* large2M = EmitTable(21);
        code.ArithmeticRegister(Arithmetic.And, Entry, Mask);
        EmitHostAddress(GuestRegisters.Scratch);
        EmitRemember();
        EmitLast();
        code.Bind(known);
        code.ArithmeticRegister(Arithmetic.And, Entry, Mask);
        byte* found = code.Jump();
        code.Bind(large1G);
        EmitLarge(30);
        byte* found1G = code.Jump();
        code.Bind(large2M);
        EmitLarge(21);
        code.Bind(found);
        code.Bind(found1G);
        EmitFill(write);
        code.ArithmeticMemoryImmediate(Arithmetic.Add, GuestRegisters.State, StateLayout.TlbMisses, 1);
        EmitExit(success: true);
        foreach (nint failure in _failures)
        {
            code.Bind((byte*)failure);
        }

        EmitExit(success: false);
        return start;
    }

    private void FailIf(int condition) => _failures.Add((nint)code.JumpIf(condition));

    private void EmitExit(bool success)
    {
        foreach (int register in Saved)
        {
            code.Load(register, GuestRegisters.State, StateLayout.Gpr(register));
        }

        code.SetZeroFlag(success);
        code.ReturnToHidden();
    }

    private void EmitCanonical()
    {
        code.Move(Entry, GuestRegisters.Address);
        code.ShiftLeft(Entry, 16);
        code.ShiftArithmeticRight(Entry, 16);
        code.ArithmeticRegister(Arithmetic.Cmp, Entry, GuestRegisters.Address);
        FailIf(Condition.Ne);
    }

    /// <summary>Takes the way to the last level out of the <see cref="WalkCache"/>.</summary>
    /// <returns>The jump taken when it is not there.</returns>
    private byte* EmitRecall()
    {
        EmitCacheEntry();
        code.ArithmeticMemory(Arithmetic.Cmp, GuestRegisters.Scratch, Index, WalkCacheEntry.TagOffset);
        byte* unknown = code.JumpIf(Condition.Ne);
        code.Load(Rights, Index, WalkCacheEntry.RightsOffset);
        code.Load(Any, Index, WalkCacheEntry.AnyOffset);
        code.Load(Entry, Index, WalkCacheEntry.TableOffset);
        return unknown;
    }

    private void EmitRemember()
    {
        code.Move(GuestRegisters.Tlb, Entry);
        EmitCacheEntry();
        code.Store(Index, WalkCacheEntry.TagOffset, GuestRegisters.Scratch);
        code.Store(Index, WalkCacheEntry.RightsOffset, Rights);
        code.Store(Index, WalkCacheEntry.AnyOffset, Any);
        code.Move(Entry, GuestRegisters.Tlb);
        code.Store(Index, WalkCacheEntry.TableOffset, Entry);
        code.Load(GuestRegisters.Tlb, GuestRegisters.State, StateLayout.Tlb);
    }

    /// <summary>The address of the cache's entry for the address into the index, and what its tag would be into the scratch register.</summary>
    private void EmitCacheEntry()
    {
        code.Move(GuestRegisters.Scratch, GuestRegisters.Address);
        code.ShiftRight(GuestRegisters.Scratch, WalkCache.PageShift);
        code.Move(Index, GuestRegisters.Scratch, wide: false);
        code.ArithmeticImmediate(Arithmetic.And, Index, WalkCache.IndexMask, wide: false);
        code.ShiftLeft(Index, WalkCache.EntryShift);
        code.Load(Entry, GuestRegisters.State, StateLayout.Walks);
        code.ArithmeticMemory(Arithmetic.Or, GuestRegisters.Scratch, Entry, WalkCache.EpochOffset);
        code.ArithmeticRegister(Arithmetic.Add, Index, Entry);
    }

    /// <summary>From a table of 4 KiB pages, which the entry has the host's address of, to the page's entry.</summary>
    private void EmitLast() => EmitEntry(12);

    /// <summary>Follows the address in the entry to the entry for the next level.</summary>
    /// <returns>The jump taken when it maps a page.</returns>
    private byte* EmitTable(int shift)
    {
        code.ArithmeticRegister(Arithmetic.And, Entry, Mask);
        EmitLevel(shift);
        code.TestAl(PageSizeBit);
        return code.JumpIf(Condition.Ne);
    }

    private void EmitLevel(int shift)
    {
        EmitHostAddress(GuestRegisters.Scratch);
        EmitEntry(shift);
    }

    /// <summary>Loads the entry of a table in the host's memory, and checks and collects what it allows.</summary>
    private void EmitEntry(int shift)
    {
        code.Move(Index, GuestRegisters.Address);
        code.ShiftRight(Index, shift - 3);
        code.ArithmeticImmediate(Arithmetic.And, Index, 0xFF8, wide: false);
        code.LoadIndexed(Entry, Entry, Index);
        code.Move(GuestRegisters.Scratch, Entry, wide: false);
        code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, PresentAndAccessed, wide: false);
        code.ArithmeticImmediate(Arithmetic.Cmp, GuestRegisters.Scratch, PresentAndAccessed, wide: false);
        FailIf(Condition.Ne);
        code.TestMemory(Entry, GuestRegisters.State, StateLayout.WalkReserved);
        FailIf(Condition.Ne);
        code.ArithmeticRegister(Arithmetic.And, Rights, Entry);
        code.ArithmeticRegister(Arithmetic.Or, Any, Entry);
    }

    /// <summary>A guest-physical address in RAM, to where it is in the host's memory.</summary>
    private void EmitHostAddress(int temporary)
    {
        code.ArithmeticMemory(Arithmetic.Cmp, Entry, GuestRegisters.State, StateLayout.RamLowEnd);
        byte* low = code.JumpIf(Condition.B);
        code.MoveImmediate(temporary, (long)GuestMemoryLayout.HighRamStart);
        code.ArithmeticRegister(Arithmetic.Cmp, Entry, temporary);
        FailIf(Condition.B);
        code.ArithmeticMemory(Arithmetic.Cmp, Entry, GuestRegisters.State, StateLayout.RamHighEnd);
        FailIf(Condition.Ae);
        code.MoveImmediate(temporary, (long)(GuestMemoryLayout.HighRamStart - GuestMemoryLayout.DeviceHoleStart));
        code.ArithmeticRegister(Arithmetic.Sub, Entry, temporary);
        code.Bind(low);
        code.ArithmeticMemory(Arithmetic.Add, Entry, GuestRegisters.State, StateLayout.RamBase);
    }

    /// <summary>The 4 KiB of a large page that the address is in. The page has to be noted already (see <see cref="AddressSpaces.NoteLargePage"/>).</summary>
    private void EmitLarge(int shift)
    {
        code.Move(Index, Entry, wide: false);
        code.ArithmeticImmediate(Arithmetic.And, Index, (int)(((1L << shift) - 1) & -(2L * GuestRam.PageSize)), wide: false);
        FailIf(Condition.Ne);

        // Rights are taken; what remains is the address.
        code.ArithmeticRegister(Arithmetic.And, Entry, Mask);
        code.ArithmeticImmediate(Arithmetic.And, Entry, -(1 << shift));
        code.Move(Index, GuestRegisters.Address);
        code.ArithmeticImmediate(Arithmetic.And, Index, (int)(((1L << shift) - 1) & -(long)GuestRam.PageSize), wide: false);
        code.ArithmeticRegister(Arithmetic.Or, Entry, Index);
        code.Move(Index, GuestRegisters.Address);
        code.ShiftRight(Index, 63);
        code.ShiftLeft(Index, 4);
        code.ArithmeticMemory(Arithmetic.Add, Index, GuestRegisters.State, StateLayout.LargePages);
        code.Move(GuestRegisters.Scratch, GuestRegisters.Address);
        code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, -(1 << shift));
        code.ArithmeticMemory(Arithmetic.Cmp, GuestRegisters.Scratch, Index, 0);
        FailIf(Condition.B);
        code.ArithmeticMemory(Arithmetic.Cmp, GuestRegisters.Scratch, Index, 8);
        FailIf(Condition.A);
    }

    /// <summary>Checks permissions and writes the entry: the guest-physical page is in the entry's register, its rights are collected.</summary>
    private void EmitFill(bool write)
    {
        code.Move(Index, Rights);
        code.ArithmeticMemory(Arithmetic.And, Index, GuestRegisters.State, StateLayout.WalkMask);
        code.ArithmeticMemory(Arithmetic.Cmp, Index, GuestRegisters.State, StateLayout.WalkWant);
        FailIf(Condition.Ne);
        EmitHostAddress(GuestRegisters.Scratch);

        code.Move(GuestRegisters.Scratch, GuestRegisters.Address);
        code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, -GuestRam.PageSize);
        EmitPageInfo();

        // Writable: W in all levels, and D in the leaf. D means nothing in tables; that kernels set it there is relied on for speed only.
        const int writable = (int)(PageWalk.W | PageWalk.D);
        code.Move(Index, Rights, wide: false);
        code.ArithmeticImmediate(Arithmetic.And, Index, writable, wide: false);
        code.ArithmeticImmediate(Arithmetic.Cmp, Index, writable, wide: false);
        byte* readOnly = code.JumpIf(Condition.Ne);
        code.ArithmeticMemoryImmediate(Arithmetic.Cmp, Mask, PageInfo.WatchedOffset, 0, wide: false);
        byte* watched = code.JumpIf(Condition.Ne);
        code.StoreByteImmediate(Mask, PageInfo.MayBeWriteMappedOffset, 1);
        code.Move(Index, GuestRegisters.Scratch);
        byte* tagged = code.Jump();
        code.Bind(readOnly);
        code.Bind(watched);
        if (write)
        {
            _failures.Add((nint)code.Jump());
        }
        else
        {
            code.Move(Index, GuestRegisters.Scratch);
            code.ArithmeticImmediate(Arithmetic.Xor, Index, OtherTag);
        }

        code.Bind(tagged);
        EmitTlbEntry();
    }

    /// <summary>What is known of the page, into the mask's register, which is not needed as such any more.</summary>
    private void EmitPageInfo()
    {
        code.Move(Mask, Entry);
        code.ArithmeticMemory(Arithmetic.Sub, Mask, GuestRegisters.State, StateLayout.RamBase);
        code.ShiftRight(Mask, 12);
        code.LoadAddress(Mask, Mask, Mask, 1, 0);
        code.ShiftLeft(Mask, 3);
        code.ArithmeticMemory(Arithmetic.Add, Mask, GuestRegisters.State, StateLayout.Pages);
    }

    private void EmitTlbEntry()
    {
        // Mask: the entry.
        code.Move(Mask, GuestRegisters.Address);
        code.ShiftRight(Mask, Tlb.IndexShift);
        code.ArithmeticImmediate(Arithmetic.And, Mask, Tlb.IndexMask, wide: false);
        code.ArithmeticRegister(Arithmetic.Add, Mask, GuestRegisters.Tlb);
        code.Store(Mask, TlbEntry.ReadTagOffset, GuestRegisters.Scratch);
        code.Store(Mask, TlbEntry.WriteTagOffset, Index);
        code.Store(Mask, TlbEntry.HostPageOffset, Entry);

        // Executable: no NX anywhere, and a page of the view's own privilege.
        code.Move(Index, GuestRegisters.Scratch);
        code.ArithmeticImmediate(Arithmetic.Xor, Index, OtherTag);
        code.ArithmeticRegister(Arithmetic.Or, Any, Any);
        byte* noExecute = code.JumpIf(Condition.S);
        code.ArithmeticImmediate(Arithmetic.And, Rights, (int)PageWalk.U, wide: false);
        code.ArithmeticMemory(Arithmetic.Cmp, Rights, GuestRegisters.State, StateLayout.WalkWant);
        byte* otherPrivilege = code.JumpIf(Condition.Ne);
        code.Move(Index, GuestRegisters.Scratch);
        code.Bind(noExecute);
        code.Bind(otherPrivilege);
        code.Store(Mask, TlbEntry.ExecuteTagOffset, Index);

        // Its granule is used.
        code.ArithmeticRegister(Arithmetic.Sub, Mask, GuestRegisters.Tlb);
        code.ShiftRight(Mask, Tlb.OffsetToGranuleShift);
        code.StoreByteImmediate(GuestRegisters.Tlb, Mask, Tlb.UsedOffset, 1);

        code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Address, (int)Page.OffsetMask, wide: false);
        code.ArithmeticRegister(Arithmetic.Add, GuestRegisters.Address, Entry);
    }
}
