using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.Paging;

/// <summary>
/// One translation: a page-aligned linear address for each kind of access that may go ahead without asking, and what to add to a
/// linear address to get the host address. Only RAM is ever entered; devices always take the slow path.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TlbEntry
{
    public ulong ReadTag;

    /// <summary>Set only once the dirty bit is, and never for a page that holds translated code or a watchpoint.</summary>
    public ulong WriteTag;
    public ulong ExecuteTag;
    public nint Addend;

    /// <summary>Never equals a page-aligned address.</summary>
    public const ulong Invalid = 1;
}
