using System.Runtime.InteropServices;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// A paging-structure cache (Intel SDM vol. 3, 5.10.3), which <c>EmittedPageWalk</c> fills and uses: the page table of a 2 MiB region. All
/// of it is invalidated at once, by a new epoch, whenever anything is invalidated or another address space becomes current.
/// </summary>
// SAFETY: the mapping is this cache's own, with room for the header and all entries; emitted code indexes it masked (IndexMask), and
// follows Table only when the tag has the current epoch: it is a table in guest RAM then.
internal sealed unsafe class WalkCache : IDisposable
{
    /// <summary>Covers 1 GiB.</summary>
    private const int Entries = 512;

    /// <summary>
    /// Size of the header in front of the entries: the epoch, in the bits of a tag that the number of the region leaves free.
    /// </summary>
    private const int HeaderSize = 32;

    /// <summary>Shifts from a linear address to the number of its 2 MiB region, and from that to the byte offset of its entry.</summary>
    public const int PageShift = 21, EntryShift = 5, IndexMask = Entries - 1;

    /// <summary>From the first entry to the epoch.</summary>
    public const int EpochOffset = -HeaderSize;

    private const int EpochShift = 64 - PageShift;

    private readonly HostMemory _memory = new(HeaderSize + (Entries * (ulong)sizeof(WalkCacheEntry)));

    public WalkCache() => Forget();

    /// <summary>The first entry.</summary>
    public byte* First => _memory.Pointer + HeaderSize;

    /// <summary>Invalidates all entries.</summary>
    public void Forget()
    {
        ulong* epoch = (ulong*)_memory.Pointer;
        *epoch += 1UL << EpochShift;
        if (*epoch == 0)
        {
            // Epochs start over. 0 is that of entries that were never filled.
            NativeMemory.Clear(_memory.Pointer, (nuint)_memory.Size);
            *epoch = 1UL << EpochShift;
        }
    }

    public void Dispose() => _memory.Dispose();
}

/// <summary>The walk to one page table, which maps 4 KiB pages.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct WalkCacheEntry
{
    public const int TagOffset = 0, RightsOffset = 8, AnyOffset = 16, TableOffset = 24;

    /// <summary>The number of the 2 MiB region, and the epoch.</summary>
    public ulong Tag;

    /// <summary>The entries of the upper levels, combined by AND and by OR.</summary>
    public ulong Rights, Any;

    /// <summary>Host address of the page table.</summary>
    public byte* Table;
}
