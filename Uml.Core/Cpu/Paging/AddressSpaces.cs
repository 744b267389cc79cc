using Uml.Core.Interop;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// The TLBs of one processor: a small set of address spaces tagged by PCID, so that translations survive context switches. Global pages are
/// entered in each space that uses them.
/// </summary>
// SAFETY: the mappings are this set's own and live until Dispose, when no processor runs. Tables and ranges are indexed by the number of a
// space (below Count), a view, and the top bit of an address.
internal sealed unsafe class AddressSpaces : IDisposable
{
    public const int Count = 8;
    private const int TablesPerSpace = (int)TlbView.Count;

    /// <summary>
    /// Granules of a table (see <see cref="Tlb"/>) that may keep host memory, 4 MiB; a table with more returns it to the host when it is
    /// cleared, because with address-space randomization all of it would be touched in the end. A kernel's mappings of 256 MiB fit; a lower
    /// limit costs more than it saves.
    /// </summary>
    private const int MaximumTouched = 2048;

    private readonly HostMemory _tables = new((ulong)((Count * TablesPerSpace) + 1) * Tlb.TableSize);
    private readonly int[] _touched = new int[Count * TablesPerSpace];
    private readonly HostMemory _largePages = new(Count * 2 * (ulong)sizeof(LargePageRange));
    private readonly Space[] _spaces = new Space[Count];
    private readonly WalkCache? _walks;
    private int _current;
    private TlbView _active;
    private ulong _clock;

    /// <param name="translated">Code is translated, so there is a cache for emitted walks.</param>
    public AddressSpaces(bool translated = false)
    {
        _walks = translated ? new WalkCache() : null;
        for (int i = 0; i <= Count * TablesPerSpace; i++)
        {
            Tlb.Initialize(Table(i));
        }

        for (int i = 0; i < Count; i++)
        {
            Reset(i, uint.MaxValue);
        }

        Reset(0, 0);
    }

    /// <summary>Notified of dropped translations; may be null.</summary>
    public IAddressSpaceListener? Listener { get; set; }

    /// <summary>The number of the current space.</summary>
    public int CurrentNumber => _current;

    /// <summary>A table without valid entries: every access takes the slow path.</summary>
    public TlbEntry* AlwaysMiss => Table(Count, 0);

    /// <summary>The current space's table for one view.</summary>
    public TlbEntry* Current(TlbView view) => Table(_current, view);

    /// <summary>The current space's table for one view, to be filled.</summary>
    public TlbEntry* CurrentForFill(TlbView view)
    {
        _spaces[_current].UsedViews |= 1 << (int)view;
        return Table(_current, view);
    }

    /// <summary>Makes a view of the current space active: emitted walks fill its table.</summary>
    public TlbEntry* Activate(TlbView view)
    {
        _active = view;
        return CurrentForFill(view);
    }

    /// <summary>Makes the space of a PCID current, and keeps or drops its translations.</summary>
    public void Select(uint pcid, bool keep)
    {
        int found = Find(pcid);
        if (found < 0)
        {
            found = Oldest();
            Clear(found, globalStay: true);
            Reset(found, pcid);
        }
        else if (!keep)
        {
            Clear(found, globalStay: true);
        }

        _current = found;
        ForgetWalks();
        Listener?.Switched();
        _spaces[found].LastUse = ++_clock;
    }

    /// <summary>Records that a page larger than 4 KiB was entered: invalidating any part of it must drop all of it.</summary>
    public void NoteLargePage(ulong linear, int pageShift)
    {
        ulong start = linear & ~((1UL << pageShift) - 1);
        LargePageRange* range = LargePages(_current) + (linear >> 63);
        range->Start = Math.Min(range->Start, start);
        range->Last = Math.Max(range->Last, start + ((1UL << pageShift) - 1));
    }

    /// <summary>The ranges of large pages noted in the current space: for the lower and the upper half.</summary>
    public LargePageRange* CurrentLargePages => LargePages(_current);

    /// <summary>Drops one page from all spaces, because it may be global (INVLPG).</summary>
    public void InvalidatePage(ulong linear)
    {
        ForgetWalks();
        for (int i = 0; i < Count; i++)
        {
            InvalidatePage(i, linear);
        }
    }

    public void InvalidatePage(uint pcid, ulong linear)
    {
        int found = Find(pcid);
        if (found >= 0)
        {
            ForgetWalks();
            InvalidatePage(found, linear);
        }
    }

    /// <summary>Drops a space; global translations may stay (INVPCID type 1).</summary>
    public void InvalidateSpace(uint pcid)
    {
        int found = Find(pcid);
        if (found >= 0)
        {
            ForgetWalks();
            Clear(found, globalStay: true);
            if (found == _current)
            {
                Listener?.Switched();
            }
        }
    }

    /// <summary>The cache of emitted walks (<see cref="WalkCache"/>); null when nothing is translated.</summary>
    public byte* Walks => _walks is null ? null : _walks.First;

    /// <summary>Invalidates the cache of emitted walks.</summary>
    public void ForgetWalks() => _walks?.Forget();

    public void FlushAll()
    {
        ForgetWalks();
        for (int i = 0; i < Count; i++)
        {
            Clear(i, globalStay: false);
        }
    }

    /// <summary>Invalidates the write tags of a host page in every table, because its writes are watched from now on.</summary>
    public void ForbidWrites(byte* hostPage)
    {
        for (int table = 0; table < Count * TablesPerSpace; table++)
        {
            if (IsUsed(table))
            {
                Tlb.ForbidWrites(Table(table), hostPage);
            }
        }
    }

    /// <summary>Invalidates all write tags in every table.</summary>
    public void ForbidAllWrites()
    {
        for (int table = 0; table < Count * TablesPerSpace; table++)
        {
            if (IsUsed(table))
            {
                Tlb.ForbidAllWrites(Table(table));
            }
        }
    }

    public void Dispose()
    {
        _tables.Dispose();
        _largePages.Dispose();
        _walks?.Dispose();
    }

    private TlbEntry* Table(int space, TlbView view) => Table((space * TablesPerSpace) + (int)view);

    private bool IsUsed(int table) => (_spaces[table / TablesPerSpace].UsedViews & (1 << (table % TablesPerSpace))) != 0;

    private TlbEntry* Table(int number) => (TlbEntry*)(_tables.Pointer + (number * (long)Tlb.TableSize));

    private int Find(uint pcid)
    {
        for (int i = 0; i < Count; i++)
        {
            if (_spaces[i].Pcid == pcid)
            {
                return i;
            }
        }

        return -1;
    }

    private int Oldest()
    {
        int oldest = 0;
        for (int i = 1; i < Count; i++)
        {
            if (_spaces[i].LastUse < _spaces[oldest].LastUse)
            {
                oldest = i;
            }
        }

        return oldest;
    }

    private void InvalidatePage(int space, ulong linear)
    {
        LargePageRange* range = LargePages(space) + (linear >> 63);
        if (linear >= range->Start && linear <= range->Last)
        {
            Clear(space, globalStay: false);
            return;
        }

        for (int view = 0; view < TablesPerSpace; view++)
        {
            Tlb.Remove(Table(space, (TlbView)view), linear);
        }

        Listener?.PageInvalidated(space, linear);
    }

    private void Clear(int table)
    {
        _touched[table] += Tlb.Clear(Table(table));
        if (_touched[table] > MaximumTouched)
        {
            _tables.Discard((ulong)table * Tlb.TableSize, Tlb.TableSize);
            Tlb.Initialize(Table(table));
            _touched[table] = 0;
        }
    }

    private void Clear(int space, bool globalStay)
    {
        ref Space entry = ref _spaces[space];
        for (int view = 0; view < TablesPerSpace; view++)
        {
            if ((entry.UsedViews & (1 << view)) != 0)
            {
                Clear((space * TablesPerSpace) + view);
            }
        }

        Listener?.SpaceInvalidated(space, globalStay);

        ulong lastUse = entry.LastUse;
        Reset(space, entry.Pcid);
        entry.UsedViews = space == _current ? 1 << (int)_active : 0;
        entry.LastUse = lastUse;
    }

    private LargePageRange* LargePages(int space) => (LargePageRange*)_largePages.Pointer + (space * 2);

    private void Reset(int space, uint pcid)
    {
        _spaces[space].Reset(pcid);
        LargePages(space)[0] = LargePages(space)[1] = LargePageRange.Empty;
    }

    private struct Space
    {
        public uint Pcid;
        public int UsedViews;
        public ulong LastUse;

        public void Reset(uint pcid)
        {
            Pcid = pcid;
            UsedViews = 0;
        }
    }
}

/// <summary>Covers all pages larger than 4 KiB that were entered in one half of an address space.</summary>
internal struct LargePageRange
{
    /// <summary>First and last byte, in linear addresses.</summary>
    public ulong Start, Last;

    public static LargePageRange Empty => new() { Start = ulong.MaxValue };
}
