using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// Layout of the software TLB. An address space (PCID) has one direct-mapped table for each way of looking at memory,
/// so that a privilege change is a pointer change.
/// </summary>
/// <remarks>
/// A table is as large as programs are, 1 GiB: an entry that has to come from the host's memory still costs less than a walk, and entries
/// of accesses that do not wait for each other come at the same time. Its pages are the host's only once they are touched, and most never
/// are. Behind the entries a byte for each granule of them tells whether there may be anything in it, so that emptying and searching
/// take as long as there is something, and another whether its memory has been touched.
/// </remarks>
// SAFETY: a table is TableSize bytes that AddressSpaces owns. The index of an entry is masked, and granules are numbered from entries of
// the table, so both lie within it whatever the address is.
internal static unsafe class Tlb
{
    /// <summary>262,144 pages.</summary>
    public const int IndexBits = 18;
    public const int EntriesPerTable = 1 << IndexBits;
    public const int EntrySize = 32;

    /// <summary>What turns a linear address into the byte offset of its entry.</summary>
    public const int IndexShift = 12 - 5, IndexMask = (EntriesPerTable - 1) << 5;

    /// <summary>From the byte offset of an entry to the number of its granule of 64 entries.</summary>
    public const int OffsetToGranuleShift = GranuleShift + 5;

    /// <summary>From the start of a table to a byte for each granule, not zero when something was entered in it.</summary>
    public const int UsedOffset = EntriesPerTable * EntrySize;

    /// <summary>Whole pages, so that entries lie within the host's cache lines and memory can be given back.</summary>
    public const int TableSize = (UsedOffset + (2 * Granules) + 0xFFF) & ~0xFFF;

    private const int GranuleShift = 6, GranuleEntries = 1 << GranuleShift, Granules = EntriesPerTable / GranuleEntries;
    private const int TouchedOffset = UsedOffset + Granules;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TlbEntry* Entry(TlbEntry* table, ulong linear) =>
        (TlbEntry*)((byte*)table + ((linear >> IndexShift) & IndexMask));

    /// <summary>The entry that is to serve an address, about to be written.</summary>
    public static TlbEntry* Enter(TlbEntry* table, ulong linear)
    {
        TlbEntry* entry = Entry(table, linear);
        Used(table)[GranuleOf(table, entry)] = 1;
        return entry;
    }

    /// <summary>Prepares a table in zeroed memory.</summary>
    public static void Initialize(TlbEntry* table)
    {
        // A tag of zero names page 0: the first entry serves that, and an operand at the end of the last page wraps around to it.
        Invalidate(table, 0);
        Invalidate(table + (EntriesPerTable - 1), (EntriesPerTable - 1UL) << 12);
    }

    /// <summary>Empties a table.</summary>
    /// <returns>How many granules have memory of the host for the first time.</returns>
    public static int Clear(TlbEntry* table)
    {
        Span<byte> used = Used(table);
        Span<byte> touched = new((byte*)table + TouchedOffset, Granules);
        int grown = 0;
        for (int granule = Next(used, 0); granule >= 0; granule = Next(used, granule + 1))
        {
            for (int i = granule << GranuleShift; i < (granule + 1) << GranuleShift; i++)
            {
                // Only tags matter; a host page is believed with a tag that matches.
                *(Vector256<ulong>*)(table + i) = Vector256.Create(TlbEntry.Invalid((ulong)i << 12));
            }

            used[granule] = 0;
            grown += 1 - touched[granule];
            touched[granule] = 1;
        }

        return grown;
    }

    /// <summary>Empties the entry that serves an address.</summary>
    public static void Remove(TlbEntry* table, ulong linear)
    {
        TlbEntry* entry = Entry(table, linear);
        if (Used(table)[GranuleOf(table, entry)] != 0)
        {
            Invalidate(entry, linear);
        }
    }

    /// <summary>Takes the write permission of a host page out of a table.</summary>
    public static void ForbidWrites(TlbEntry* table, byte* hostPage)
    {
        Span<byte> used = Used(table);
        for (int granule = Next(used, 0); granule >= 0; granule = Next(used, granule + 1))
        {
            TlbEntry* first = table + (granule << GranuleShift);
            for (TlbEntry* entry = first; entry < first + GranuleEntries; entry++)
            {
                // Also takes it from entries that had it not.
                if (entry->HostPage == hostPage)
                {
                    entry->WriteTag = TlbEntry.Invalid((ulong)(entry - table) << 12);
                }
            }
        }
    }

    /// <summary>Takes all write permissions out of a table.</summary>
    public static void ForbidAllWrites(TlbEntry* table)
    {
        Span<byte> used = Used(table);
        for (int granule = Next(used, 0); granule >= 0; granule = Next(used, granule + 1))
        {
            for (int i = granule << GranuleShift; i < (granule + 1) << GranuleShift; i++)
            {
                table[i].WriteTag = TlbEntry.Invalid((ulong)i << 12);
            }
        }
    }

    private static void Invalidate(TlbEntry* entry, ulong linear) => entry->ReadTag = entry->WriteTag = entry->ExecuteTag = TlbEntry.Invalid(linear);

    private static int GranuleOf(TlbEntry* table, TlbEntry* entry) => (int)((entry - table) >> GranuleShift);

    private static Span<byte> Used(TlbEntry* table) => new((byte*)table + UsedOffset, Granules);

    /// <summary>The first granule from one on that is used, or -1.</summary>
    private static int Next(Span<byte> used, int from)
    {
        int next = used[from..].IndexOfAnyExcept((byte)0);
        return next < 0 ? -1 : from + next;
    }
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
