using Uml.Core.Cpu.Paging;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.Execute;

/// <summary>
/// Where jumps to linear addresses led, for emitted lookups: a table for each address space, view and flavor. An entry is good as long as
/// the translation of the page it was made for, so a table is emptied with its translation buffer, or when one of its pages is dropped.
/// </summary>
internal sealed unsafe class JumpTables : IDisposable
{
    public const int IndexBits = 10;
    public const int Entries = 1 << IndexBits;

    /// <summary>log2 of an entry's size: the address jumped to, and the code to run.</summary>
    public const int EntryShift = 4;

    private const int TableSize = Entries << EntryShift;
    private const int ViewSize = TableSize * (int)Flavor.Count;

    /// <summary>Bits that pages are noted by, for each half of the address space: kernels drop pages of programs all the time.</summary>
    private const int PageBits = 1024;

    private readonly HostMemory _memory;
    private readonly Note[] _notes;

    public JumpTables(int spaces)
    {
        _memory = new HostMemory((ulong)(spaces * (int)TlbView.Count * ViewSize));
        _notes = new Note[spaces * (int)TlbView.Count];
        for (int i = 0; i < _notes.Length; i++)
        {
            _notes[i].Pages = new ulong[2 * PageBits / 64];
            Fill(i);
        }
    }

    public static int RipOffset(Flavor flavor) => (int)flavor * TableSize;

    public static int CodeOffset(Flavor flavor) => RipOffset(flavor) + sizeof(ulong);

    public byte* Table(int space, TlbView view) => _memory.Pointer + (Index(space, view) * ViewSize);

    /// <summary>The table for a view in a mode. Blocks depend on the mode: what was entered in another is dropped.</summary>
    public byte* Select(int space, TlbView view, CpuMode mode)
    {
        ref Note note = ref _notes[Index(space, view)];
        if (note.Mode != mode)
        {
            Clear(space, view);
            note.Mode = mode;
        }

        return Table(space, view);
    }

    /// <summary>Remembers where an address leads.</summary>
    /// <param name="global">The page's translation outlives changes of the address space.</param>
    public void Enter(int space, TlbView view, Flavor flavor, ulong rip, byte* code, bool global)
    {
        ref Note note = ref _notes[Index(space, view)];
        note.Used = true;
        note.HasLocal |= !global;
        int page = PageBit(rip);
        note.Pages[page / 64] |= 1UL << (page % 64);
        uint low = (uint)rip;
        ulong* entry = (ulong*)(Table(space, view) + RipOffset(flavor) + ((((low >> IndexBits) ^ low) & (Entries - 1)) << EntryShift));
        entry[0] = rip;
        entry[1] = (ulong)code;
    }

    public void Clear(int space, TlbView view)
    {
        int index = Index(space, view);
        if (_notes[index].Used)
        {
            Fill(index);
        }
    }

    /// <summary>Empties a table unless all it holds is global.</summary>
    public void ClearLocal(int space, TlbView view)
    {
        if (_notes[Index(space, view)].HasLocal)
        {
            Clear(space, view);
        }
    }

    /// <summary>Drops what leads to a page.</summary>
    public void ClearPage(int space, TlbView view, ulong linear)
    {
        int page = PageBit(linear);
        if ((_notes[Index(space, view)].Pages[page / 64] & (1UL << (page % 64))) != 0)
        {
            Clear(space, view);
        }
    }

    public void ClearAll()
    {
        for (int i = 0; i < _notes.Length; i++)
        {
            if (_notes[i].Used)
            {
                Fill(i);
            }
        }
    }

    public void Dispose() => _memory.Dispose();

    private static int Index(int space, TlbView view) => (space * (int)TlbView.Count) + (int)view;

    private static int PageBit(ulong linear) => ((int)(linear >> 12) & (PageBits - 1)) + ((int)(linear >> 63) * PageBits);

    private void Fill(int index)
    {
        // An address that another entry serves: no jump that looks here asks for it.
        ulong* entry = (ulong*)(_memory.Pointer + (index * ViewSize));
        for (int i = 0; i < Entries * (int)Flavor.Count; i++)
        {
            entry[i * 2] = (ulong)((i & (Entries - 1)) ^ 1);
        }

        ref Note note = ref _notes[index];
        note.Used = note.HasLocal = false;
        Array.Clear(note.Pages);
    }

    private struct Note
    {
        public CpuMode Mode;
        public bool Used;
        public bool HasLocal;

        /// <summary>A bit for each page that has entries, by the low bits of its number.</summary>
        public ulong[] Pages;
    }
}
