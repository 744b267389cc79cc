using Uml.Core.Interop;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// The translation buffers of one processor: a small set of address spaces tagged by PCID, so that a context switch finds its
/// translations warm. Global pages are entered in each space that uses them.
/// </summary>
internal sealed unsafe class AddressSpaces : IDisposable
{
    private const int Count = 8;
    private const int TablesPerSpace = (int)TlbView.Count;

    private readonly HostMemory _tables = new((ulong)((Count * TablesPerSpace) + 1) * Tlb.TableSize);
    private readonly Space[] _spaces = new Space[Count];
    private int _current;
    private ulong _clock;

    public AddressSpaces()
    {
        FillInvalid(_tables.Pointer, (Count * TablesPerSpace) + 1);
        for (int i = 0; i < Count; i++)
        {
            _spaces[i].Reset(uint.MaxValue);
        }

        _spaces[0].Reset(0);
    }

    /// <summary>A table in which nothing is ever found: sends every access through the slow path.</summary>
    public TlbEntry* AlwaysMiss => Table(Count, 0);

    /// <summary>The current space's table for one view.</summary>
    public TlbEntry* Current(TlbView view) => Table(_current, view);

    /// <summary>The current space's table for one view, about to be written to.</summary>
    public TlbEntry* CurrentForFill(TlbView view)
    {
        _spaces[_current].UsedViews |= 1 << (int)view;
        return Table(_current, view);
    }

    /// <summary>Makes the space of a PCID current, keeping or dropping what it holds.</summary>
    public void Select(uint pcid, bool keep)
    {
        int found = Find(pcid);
        if (found < 0)
        {
            found = Oldest();
            Clear(found);
            _spaces[found].Reset(pcid);
        }
        else if (!keep)
        {
            Clear(found);
        }

        _current = found;
        _spaces[found].LastUse = ++_clock;
    }

    /// <summary>Remembers that a page larger than 4 KiB was entered: invalidating any part of it must drop all of it.</summary>
    public void NoteLargePage(ulong linear, int pageShift)
    {
        ulong start = linear & ~((1UL << pageShift) - 1);
        ref Space space = ref _spaces[_current];
        int half = (int)(linear >> 63);
        space.LargeStart[half] = Math.Min(space.LargeStart[half], start);
        space.LargeLast[half] = Math.Max(space.LargeLast[half], start + ((1UL << pageShift) - 1));
    }

    /// <summary>Drops one page from the current space, and from the others too since it may be global (INVLPG).</summary>
    public void InvalidatePage(ulong linear)
    {
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
            InvalidatePage(found, linear);
        }
    }

    public void InvalidateSpace(uint pcid)
    {
        int found = Find(pcid);
        if (found >= 0)
        {
            Clear(found);
        }
    }

    public void FlushAll()
    {
        for (int i = 0; i < Count; i++)
        {
            Clear(i);
        }
    }

    /// <summary>Takes the write permission of a host page out of every table: its writes have to be seen from now on.</summary>
    public void ForbidWrites(byte* hostPage)
    {
        for (int i = 0; i < Count; i++)
        {
            for (int view = 0; view < TablesPerSpace; view++)
            {
                if ((_spaces[i].UsedViews & (1 << view)) != 0)
                {
                    ForbidWrites(Table(i, (TlbView)view), hostPage);
                }
            }
        }
    }

    public void Dispose() => _tables.Dispose();

    private static void ForbidWrites(TlbEntry* table, byte* hostPage)
    {
        for (TlbEntry* entry = table; entry < table + Tlb.EntriesPerTable; entry++)
        {
            // Tags are page-aligned when valid, so an invalid one never matches a page-aligned host address.
            if ((byte*)entry->Addend + entry->WriteTag == hostPage)
            {
                entry->WriteTag = TlbEntry.Invalid;
            }
        }
    }

    private TlbEntry* Table(int space, TlbView view) =>
        (TlbEntry*)(_tables.Pointer + (((space * TablesPerSpace) + (int)view) * Tlb.TableSize));

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
        int half = (int)(linear >> 63);
        if (linear >= _spaces[space].LargeStart[half] && linear <= _spaces[space].LargeLast[half])
        {
            Clear(space);
            return;
        }

        for (int view = 0; view < TablesPerSpace; view++)
        {
            TlbEntry* entry = Tlb.Entry(Table(space, (TlbView)view), linear);
            entry->ReadTag = entry->WriteTag = entry->ExecuteTag = TlbEntry.Invalid;
        }
    }

    private void Clear(int space)
    {
        ref Space entry = ref _spaces[space];
        for (int view = 0; view < TablesPerSpace; view++)
        {
            if ((entry.UsedViews & (1 << view)) != 0)
            {
                FillInvalid((byte*)Table(space, (TlbView)view), 1);
            }
        }

        ulong lastUse = entry.LastUse;
        entry.Reset(entry.Pcid);
        entry.LastUse = lastUse;
    }

    private static void FillInvalid(byte* tables, int count)
    {
        // Only tags matter; an addend of the same value does no harm.
        new Span<ulong>(tables, count * Tlb.TableSize / sizeof(ulong)).Fill(TlbEntry.Invalid);
    }

    [System.Runtime.CompilerServices.InlineArray(2)]
    private struct Halves
    {
        private ulong _element;
    }

    private struct Space
    {
        public uint Pcid;
        public int UsedViews;
        public ulong LastUse;

        /// <summary>Range that covers all large pages entered, for the lower and the upper half of the address space.</summary>
        public Halves LargeStart, LargeLast;

        public void Reset(uint pcid)
        {
            Pcid = pcid;
            UsedViews = 0;
            LargeStart[0] = LargeStart[1] = ulong.MaxValue;
            LargeLast[0] = LargeLast[1] = 0;
        }
    }
}
