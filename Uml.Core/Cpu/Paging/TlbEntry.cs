using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// One translation: a page-aligned linear address for each kind of access that may go ahead without asking, and where the page is in
/// host memory. Only RAM is ever entered; devices always take the slow path.
/// </summary>
// SAFETY: HostPage is a page of guest RAM, which outlives the TLB, once any tag of the entry is valid; it is not followed otherwise.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TlbEntry
{
    public ulong ReadTag;

    /// <summary>Set only once the dirty bit is, and never for a page whose writes are watched (<see cref="Memory.PageInfo.Watched"/>) or that has a watchpoint.</summary>
    public ulong WriteTag;
    public ulong ExecuteTag;

    /// <summary>Host address of the page.</summary>
    public byte* HostPage;

    // Where emitted code finds the fields.
    public const int ReadTagOffset = 0, WriteTagOffset = 8, ExecuteTagOffset = 16, HostPageOffset = 24;

    /// <summary>
    /// A tag that nothing matches in the entry that serves an address: page-aligned like any other, but of a page that another entry
    /// serves, and not the page behind, so that neither equality with the page of an operand's last byte nor a small distance from the tag
    /// can come about.
    /// </summary>
    public static ulong Invalid(ulong linear) => (linear ^ 0x2000) & ~0xFFFUL;
}
