using System.Runtime.InteropServices;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// A TLB entry: a tag for each kind of access, which is the linear address of the page if the access needs no slow path, and the host
/// address of the page. Only RAM is ever entered; devices always take the slow path.
/// </summary>
// SAFETY: HostPage is a page of guest RAM, which outlives the TLB, once any tag of the entry is valid; it is not followed otherwise.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TlbEntry
{
    public ulong ReadTag;

    /// <summary>
    /// Valid only once the dirty bit is set, and never for a page whose writes are watched (<see cref="Memory.PageInfo.Watched"/>) or that
    /// has a watchpoint.
    /// </summary>
    public ulong WriteTag;
    public ulong ExecuteTag;

    /// <summary>Host address of the page.</summary>
    public byte* HostPage;

    // Where emitted code finds the fields.
    public const int ReadTagOffset = 0, WriteTagOffset = 8, ExecuteTagOffset = 16, HostPageOffset = 24;

    /// <summary>
    /// An invalid tag for the entry that an address maps to. It is page-aligned like any other, but of a page that maps to another entry
    /// and is not adjacent, so that it neither equals the page of an operand's last byte nor is near the address.
    /// </summary>
    public static ulong Invalid(ulong linear) => Page.Base(linear ^ (2 * GuestRam.PageSize));
}
