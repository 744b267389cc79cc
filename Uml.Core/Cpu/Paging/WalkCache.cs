using System.Runtime.InteropServices;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// Where the last level of the paging structures of 2 MiB of linear addresses lies: a processor's paging-structure cache (Intel SDM vol. 3,
/// 5.10.3), which <c>EmittedPageWalk</c> fills and uses. Everything in it is forgotten at once, by a new epoch, whenever
/// anything is invalidated or another address space comes into force.
/// </summary>
// SAFETY: the mapping is this cache's own, with room for the header and all entries; emitted code indexes it masked (IndexMask), and
// follows Table only when the tag has the current epoch: it is a table in guest RAM then.
internal sealed unsafe class WalkCache : IDisposable
{
    /// <summary>Covers 1 GiB.</summary>
    private const int Entries = 512;

    /// <summary>In front of the entries: the epoch, in the bits of a tag that 2 MiB pages leave free.</summary>
    private const int HeaderSize = 32;

    /// <summary>What turns a linear address into the number of its 2 MiB, and that into the byte offset of its entry.</summary>
    public const int PageShift = 21, EntryShift = 5, IndexMask = Entries - 1;

    /// <summary>From the first entry to the epoch.</summary>
    public const int EpochOffset = -HeaderSize;

    private const int EpochShift = 64 - PageShift;

    private readonly HostMemory _memory = new(HeaderSize + (Entries * (ulong)sizeof(WalkCacheEntry)));

    public WalkCache() => Forget();

    /// <summary>The first entry.</summary>
    public byte* First => _memory.Pointer + HeaderSize;

    /// <summary>Forgets everything.</summary>
    public void Forget()
    {
        ulong* epoch = (ulong*)_memory.Pointer;
        *epoch += 1UL << EpochShift;
        if (*epoch == 0)
        {
            // Numbers start over. 0 is that of entries that never were.
            NativeMemory.Clear(_memory.Pointer, (nuint)_memory.Size);
            *epoch = 1UL << EpochShift;
        }
    }

    public void Dispose() => _memory.Dispose();
}

/// <summary>The way to one table of 4 KiB pages.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct WalkCacheEntry
{
    public const int TagOffset = 0, RightsOffset = 8, AnyOffset = 16, TableOffset = 24;

    /// <summary>The number of the 2 MiB, and the epoch.</summary>
    public ulong Tag;

    /// <summary>The entries on the way: all of them by AND, and by OR.</summary>
    public ulong Rights, Any;

    /// <summary>The table, in the host's memory.</summary>
    public byte* Table;
}
