using System.Runtime.InteropServices;

namespace Uml.Core.Memory;

/// <summary>Why somebody has to know when a page is written to.</summary>
[Flags]
internal enum WatchReasons : uint
{
    None = 0,

    /// <summary>Code was made from it. Stays as long as there is such code.</summary>
    Code = 1,

    /// <summary>It has not been written to since a <see cref="Memory.DirtyLog"/> was last collected. Goes with the first write.</summary>
    DirtyLog = 2,

    /// <summary>Somebody needs what it holds now. Goes with the first write, before which it is told of.</summary>
    CopyOnWrite = 4,
}

/// <summary>What the engine knows about one page of guest RAM. Emitted code reads and writes it.</summary>
// SAFETY: FirstBlock is BlockCache's, which empties it before the blocks go; nobody else follows it. The offsets of fields, which emitted
// code uses, are those of the fields: EmittedOffsetTests.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PageInfo
{
    /// <summary>One bit for each 64 bytes of the page that code was made from.</summary>
    public ulong CodeMask;

    /// <summary>The list of what was made from the page; its type is the business of whoever makes it.</summary>
    public void* FirstBlock;

    /// <summary>Who has to know of writes. Not zero: no TLB has a write tag for the page (see <see cref="GuestWrites"/>).</summary>
    public WatchReasons Watched;

    /// <summary>A TLB may hold a write tag for this page.</summary>
    public bool MayBeWriteMapped;

    /// <summary>How many blocks there are in the list.</summary>
    public ushort Blocks;

    // Where emitted code finds the fields.
    public const int WatchedOffset = 16, MayBeWriteMappedOffset = 20;

    /// <summary>
    /// Asks whether a TLB may let the page be written to without telling anybody, and notes that one does. The emitted page
    /// walk does the same.
    /// </summary>
    public bool TryMapForWriting()
    {
        MayBeWriteMapped |= Watched == 0;
        return Watched == 0;
    }
}
