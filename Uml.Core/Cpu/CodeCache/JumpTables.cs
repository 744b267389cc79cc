using System.Numerics;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Interop;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>
/// Caches of computed-jump targets, looked up by emitted code: a table for user mode of each address space, and one for supervisor mode,
/// each with a part for every flavor. An entry is valid as long as the mapping of its page, so a table is emptied with its TLB, or when one
/// of its pages is invalidated. Kernels map their code as global pages, so theirs is one table that survives address-space switches.
/// </summary>
/// <remarks>
/// In front of a table is its epoch, a number that no other table has or had. A direct jump to another page records the epoch it was
/// chained under, and is taken only while the table still has that epoch.
/// </remarks>
// SAFETY: the mapping is this set's own until Dispose. Spaces are below the number it was made for, the hash is shifted and masked to a
// part's size, and emitted code does the same (HashShift, IndexMask); code addresses are good until the table is emptied, which is not
// later than when they are dropped.
internal sealed unsafe class JumpTables : IAddressSpaceListener, IDisposable
{
    private const int Entries = 32768;

    /// <summary>Size of an entry: the address jumped to, and the code to run.</summary>
    public const int EntrySize = 16;

    /// <summary>
    /// The hash from an address to the byte offset of its entry: multiply (2^32 by the golden ratio), shift, mask. The lowest bits count
    /// too: neighboring calls return to within a few bytes of each other.
    /// </summary>
    public const int HashMultiplier = unchecked((int)0x9E3779B1), HashShift = 32 - 19 /* log2(Entries * EntrySize) */, IndexMask = -EntrySize;

    /// <summary>From the start of a table to its epoch.</summary>
    public const int EpochOffset = -8;

    private const int HeaderSize = GuestRam.PageSize;
    private const int FlavorSize = Entries * EntrySize;
    private const int TableSize = HeaderSize + (FlavorSize * (int)Flavor.Count);

    /// <summary>Size of the page filter for each half of the address space: kernels invalidate pages of programs all the time.</summary>
    private const int PageBits = 16384;

    /// <summary>
    /// What is emptied at once, 16 entries: a new program enters some hundred, and must not pay for all of the table. Its memory is kept, for
    /// a fault on each page that is touched again costs many times what clearing it does.
    /// </summary>
    private const int GranuleShift = 8, GranuleSize = 1 << GranuleShift;
    private const int Granules = FlavorSize * (int)Flavor.Count / GranuleSize;

    private readonly HostMemory _memory;
    private readonly Notes[] _notes;
    private readonly int _supervisor;
    private int _lastEpoch;

    public JumpTables(int spaces)
    {
        _supervisor = spaces;
        _memory = new HostMemory((ulong)(spaces + 1) * TableSize);
        _notes = new Notes[spaces + 1];
        for (int i = 0; i < _notes.Length; i++)
        {
            _notes[i].Pages = new ulong[2 * PageBits / 64];
            _notes[i].Granules = new ulong[Granules / 64];
            Prepare(i);
        }
    }

    /// <summary>Whether epochs are nearly used up, so that all code has to be dropped to start over.</summary>
    public bool EpochsRunOut => _lastEpoch > int.MaxValue - (1 << 20);

    /// <summary>The hash of an address, as emitted code computes it; the highest bits are the best.</summary>
    public static uint Hash(ulong rip) => (uint)rip * unchecked((uint)HashMultiplier);

    public static int RipOffset(Flavor flavor) => (int)flavor * FlavorSize;

    public static int CodeOffset(Flavor flavor) => RipOffset(flavor) + sizeof(ulong);

    /// <summary>The table for a view in a mode. Blocks depend on the mode, so entries of another mode are dropped.</summary>
    private byte* Select(int space, TlbView view, CpuMode mode)
    {
        int index = Index(space, view);
        ref Notes note = ref _notes[index];
        if (note.Mode != mode)
        {
            Clear(index);
            note.Mode = mode;
        }

        return Table(index);
    }

    /// <summary>Enters the translation at an address.</summary>
    /// <param name="global">The page is global: its mapping survives address-space switches.</param>
    /// <returns>The epoch of the table.</returns>
    public int Enter(int space, TlbView view, Flavor flavor, ulong rip, byte* code, bool global)
    {
        int epoch = Note(space, view, rip, global);
        int index = Index(space, view);
        ref Notes note = ref _notes[index];
        int offset = RipOffset(flavor) + ((int)(Hash(rip) >> HashShift) & IndexMask);
        int granule = offset >> GranuleShift;
        note.Granules[granule / 64] |= 1UL << (granule % 64);
        ulong* entry = (ulong*)(Table(index) + offset);
        entry[0] = rip;
        entry[1] = (ulong)code;
        return epoch;
    }

    /// <summary>Notes that code depends on the mapping of an address: the table's epoch changes when that is invalidated.</summary>
    /// <param name="global">The page's translation outlives changes of the address space.</param>
    /// <returns>The epoch of the table.</returns>
    public int Note(int space, TlbView view, ulong rip, bool global)
    {
        int index = Index(space, view);
        ref Notes note = ref _notes[index];
        note.Used = true;
        note.HasLocal |= !global;
        int page = PageBit(rip);
        note.Pages[page / 64] |= 1UL << (page % 64);
        return *(int*)(Table(index) + EpochOffset);
    }

    /// <inheritdoc/>
    public void ViewChanged(CpuState* s, int space, TlbView view) => s->Hot.JumpTable = Select(space, view, s->Mode);

    /// <inheritdoc/>
    public void Switched()
    {
        // Entries of the supervisor's table for pages that are not global are invalid now.
        if (_notes[_supervisor].HasLocal)
        {
            Clear(_supervisor);
        }
    }

    /// <inheritdoc/>
    public void PageInvalidated(int space, ulong linear)
    {
        ClearNoted(space, PageBit(linear));
        ClearNoted(_supervisor, PageBit(linear));
    }

    /// <inheritdoc/>
    public void SpaceInvalidated(int space, bool globalStay)
    {
        Clear(space);
        if (!globalStay)
        {
            Clear(_supervisor);
        }
    }

    /// <summary>Empties all tables, and starts epochs over.</summary>
    public void Reset()
    {
        // No jump is left that has recorded an old epoch.
        _lastEpoch = 0;
        for (int i = 0; i < _notes.Length; i++)
        {
            Fill(i);
        }
    }

    public void Dispose() => _memory.Dispose();

    private byte* Table(int index) => _memory.Pointer + (index * TableSize) + HeaderSize;

    private int Index(int space, TlbView view) => view == TlbView.User ? space : _supervisor;

    private static int PageBit(ulong linear) => ((int)Page.Number(linear) & (PageBits - 1)) + ((int)(linear >> 63) * PageBits);

    private void ClearNoted(int index, int page)
    {
        if ((_notes[index].Pages[page / 64] & (1UL << (page % 64))) != 0)
        {
            Fill(index);
        }
    }

    private void Clear(int index)
    {
        if (_notes[index].Used)
        {
            Fill(index);
        }
    }

    private void Fill(int index)
    {
        ref Notes note = ref _notes[index];
        byte* table = Table(index);
        ulong[] granules = note.Granules;
        for (int i = 0; i < granules.Length; i++)
        {
            for (ulong left = granules[i]; left != 0; left &= left - 1)
            {
                int granule = (i * 64) + BitOperations.TrailingZeroCount(left);
                NativeMemory.Clear(table + (granule << GranuleShift), GranuleSize);
            }

            granules[i] = 0;
        }

        Prepare(index);
        note.Used = note.HasLocal = false;
        Array.Clear(note.Pages);
    }

    /// <summary>Gives an empty table a new epoch, and makes the entry of address 0, which zeroed memory would match, invalid.</summary>
    private void Prepare(int index)
    {
        byte* table = Table(index);
        *(int*)(table + EpochOffset) = ++_lastEpoch;
        for (Flavor flavor = Flavor.Integer; flavor < Flavor.Count; flavor++)
        {
            // An address that hashes to another entry, so that no lookup of this one matches.
            *(ulong*)(table + RipOffset(flavor)) = EntrySize;
        }
    }

    private struct Notes
    {
        /// <summary>A bit for each granule with entries.</summary>
        public ulong[] Granules;

        public CpuMode Mode;
        public bool Used;
        public bool HasLocal;

        /// <summary>The page filter: a bit for the low bits of the number of each page with entries.</summary>
        public ulong[] Pages;
    }
}
