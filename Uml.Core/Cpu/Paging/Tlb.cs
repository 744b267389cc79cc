using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// Layout of the software TLB. An address space (PCID) has one direct-mapped table for each view, so that a change of privilege only
/// changes a pointer.
/// </summary>
/// <remarks>
/// A table covers 1 GiB: an entry that misses the host's caches is still cheaper than a walk, and such misses of independent accesses
/// overlap. Its pages take host memory only once they are touched, and most never are. Behind the entries there is a byte for each granule
/// of 64 entries that says whether it may have valid ones, so that clearing and searching cost in proportion to the entries used, and
/// another that says whether its memory has been touched.
/// </remarks>
// SAFETY: a table is TableSize bytes that AddressSpaces owns. The index of an entry is masked, and granules are numbered from entries of
// the table, so both lie within it whatever the address is.
internal static unsafe class Tlb
{
    /// <summary>262,144 pages.</summary>
    public const int IndexBits = 18;
    public const int EntriesPerTable = 1 << IndexBits;
    public const int EntrySize = 32;

    /// <summary>Shift and mask from a linear address to the byte offset of its entry.</summary>
    public const int IndexShift = Page.Shift - 5, IndexMask = (EntriesPerTable - 1) << 5;

    /// <summary>Shift from the byte offset of an entry to the number of its granule.</summary>
    public const int OffsetToGranuleShift = GranuleShift + 5;

    /// <summary>Offset of the bytes that say which granules are in use: not zero when an entry was filled.</summary>
    public const int UsedOffset = EntriesPerTable * EntrySize;

    /// <summary>Whole pages, so that entries do not cross cache lines and memory can be returned to the host.</summary>
    public const int TableSize = (UsedOffset + (2 * Granules) + GuestRam.PageSize - 1) & -GuestRam.PageSize;

    private const int GranuleShift = 6, GranuleEntries = 1 << GranuleShift, Granules = EntriesPerTable / GranuleEntries;
    private const int TouchedOffset = UsedOffset + Granules;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TlbEntry* Entry(TlbEntry* table, ulong linear) =>
        (TlbEntry*)((byte*)table + ((linear >> IndexShift) & IndexMask));

    /// <summary>The entry of an address, to be filled: marks its granule as used.</summary>
    public static TlbEntry* Enter(TlbEntry* table, ulong linear)
    {
        TlbEntry* entry = Entry(table, linear);
        Used(table)[GranuleOf(table, entry)] = 1;
        return entry;
    }

    /// <summary>Prepares a table in zeroed memory.</summary>
    public static void Initialize(TlbEntry* table)
    {
        // Zero would be a valid tag of page 0, in the first entry, and in the last one for an operand that wraps around from the last page.
        Invalidate(table, 0);
        Invalidate(table + (EntriesPerTable - 1), Page.Address(EntriesPerTable - 1));
    }

    /// <summary>Invalidates all entries.</summary>
    /// <returns>How many granules were touched for the first time.</returns>
    public static int Clear(TlbEntry* table)
    {
        Span<byte> used = Used(table);
        Span<byte> touched = new((byte*)table + TouchedOffset, Granules);
        int grown = 0;
        for (int granule = Next(used, 0); granule >= 0; granule = Next(used, granule + 1))
        {
            for (int i = granule << GranuleShift; i < (granule + 1) << GranuleShift; i++)
            {
                // Only tags matter: the host page is used only when a tag matches.
                *(Vector256<ulong>*)(table + i) = Vector256.Create(TlbEntry.Invalid(Page.Address((ulong)i)));
            }

            used[granule] = 0;
            grown += 1 - touched[granule];
            touched[granule] = 1;
        }

        return grown;
    }

    /// <summary>Invalidates the entry of an address.</summary>
    public static void Remove(TlbEntry* table, ulong linear)
    {
        TlbEntry* entry = Entry(table, linear);
        if (Used(table)[GranuleOf(table, entry)] != 0)
        {
            Invalidate(entry, linear);
        }
    }

    /// <summary>Invalidates the write tags of a host page.</summary>
    public static void ForbidWrites(TlbEntry* table, byte* hostPage)
    {
        Span<byte> used = Used(table);
        for (int granule = Next(used, 0); granule >= 0; granule = Next(used, granule + 1))
        {
            TlbEntry* first = table + (granule << GranuleShift);
            for (TlbEntry* entry = first; entry < first + GranuleEntries; entry++)
            {
                // Also writes to entries whose tags are invalid already.
                if (entry->HostPage == hostPage)
                {
                    entry->WriteTag = TlbEntry.Invalid(Page.Address((ulong)(entry - table)));
                }
            }
        }
    }

    /// <summary>Invalidates all write tags.</summary>
    public static void ForbidAllWrites(TlbEntry* table)
    {
        Span<byte> used = Used(table);
        for (int granule = Next(used, 0); granule >= 0; granule = Next(used, granule + 1))
        {
            for (int i = granule << GranuleShift; i < (granule + 1) << GranuleShift; i++)
            {
                table[i].WriteTag = TlbEntry.Invalid(Page.Address((ulong)i));
            }
        }
    }

    private static void Invalidate(TlbEntry* entry, ulong linear) => entry->ReadTag = entry->WriteTag = entry->ExecuteTag = TlbEntry.Invalid(linear);

    private static int GranuleOf(TlbEntry* table, TlbEntry* entry) => (int)((entry - table) >> GranuleShift);

    private static Span<byte> Used(TlbEntry* table) => new((byte*)table + UsedOffset, Granules);

    /// <summary>The first used granule at or behind a number, or -1.</summary>
    private static int Next(Span<byte> used, int from)
    {
        int next = used[from..].IndexOfAnyExcept((byte)0);
        return next < 0 ? -1 : from + next;
    }
}

/// <summary>A view: how memory is accessed. Each address space has a table for each.</summary>
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
