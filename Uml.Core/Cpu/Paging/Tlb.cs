using System.Runtime.CompilerServices;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// Layout of the software translation buffer. An address space (PCID) has one direct-mapped table for each way of looking at memory,
/// so that a privilege change is a pointer change.
/// </summary>
internal static unsafe class Tlb
{
    public const int IndexBits = 10;
    public const int EntriesPerTable = 1 << IndexBits;
    public const int EntrySize = 32;
    public const int TableSize = EntriesPerTable * EntrySize;

    /// <summary>What turns a linear address into the byte offset of its entry.</summary>
    public const int IndexShift = 12 - 5, IndexMask = (EntriesPerTable - 1) << 5;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TlbEntry* Entry(TlbEntry* table, ulong linear) =>
        (TlbEntry*)((byte*)table + ((linear >> IndexShift) & IndexMask));
}

/// <summary>The tables of one address space.</summary>
internal enum TlbView
{
    /// <summary>CPL 3.</summary>
    User,

    /// <summary>CPL 0 to 2; holds no user page while SMAP forbids them.</summary>
    Supervisor,

    /// <summary>CPL 0 to 2 with EFLAGS.AC set: user pages are allowed in spite of SMAP.</summary>
    SupervisorAc,
    Count,
}
