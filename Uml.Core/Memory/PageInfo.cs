using System.Runtime.InteropServices;

namespace Uml.Core.Memory;

/// <summary>Why writes to a page are watched.</summary>
[Flags]
internal enum WatchReasons : uint
{
    None = 0,

    /// <summary>Blocks were decoded from it; lasts as long as there are any.</summary>
    Code = 1,

    /// <summary>It has not been written since a <see cref="Memory.DirtyLog"/> was last collected; ends with the first write.</summary>
    DirtyLog = 2,

    /// <summary>An observer needs its current contents; ends with the first write, before which the observer is notified.</summary>
    CopyOnWrite = 4,
}

/// <summary>What the engine knows about one page of guest RAM. Emitted code reads and writes it.</summary>
// SAFETY: FirstBlock is BlockCache's, which empties it before the blocks go; nobody else follows it. The offsets of fields, which emitted
// code uses, are those of the fields: EmittedOffsetTests.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PageInfo
{
    /// <summary>One bit for each 64 bytes of the page, set if a block was decoded from any of them.</summary>
    public ulong CodeMask;

    /// <summary>The list of blocks with code in the page, of a type that only its owner knows.</summary>
    public void* FirstBlock;

    /// <summary>Why writes are watched. Not zero: no TLB has a write tag for the page (see <see cref="GuestWrites"/>).</summary>
    public WatchReasons Watched;

    /// <summary>A TLB may hold a write tag for this page.</summary>
    public bool MayBeWriteMapped;

    /// <summary>The length of the list.</summary>
    public ushort Blocks;

    // Offsets of the fields, for emitted code.
    public const int WatchedOffset = 16, MayBeWriteMappedOffset = 20;

    /// <summary>
    /// Whether a TLB may have a write tag for the page, in which case that is recorded. The emitted page walk does the same.
    /// </summary>
    public bool TryMapForWriting()
    {
        MayBeWriteMapped |= Watched == 0;
        return Watched == 0;
    }
}
