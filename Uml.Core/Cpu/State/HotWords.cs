using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>
/// The words that translated code uses most: within a one-byte displacement of R12, which its stack pointer points to. Each access with a
/// displacement of four bytes would be three bytes longer, which costs kernels several percent.
/// </summary>
// SAFETY: JumpTable is set by JumpTables, to the table in force; group addresses are written before they are used, by translated code.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct HotWords
{
    /// <summary>The most groups of accesses that are open at a time.</summary>
    public const int GroupSlots = 4;

    /// <summary>Instructions that may still retire before the engine has to return. Counted down block by block.</summary>
    public long Remaining;

    /// <summary>Linear address of the page of the running translation, to which translated code adds constants to form RIP.</summary>
    public ulong PageRip;

    /// <summary>
    /// Arithmetic flags as LAHF and SETO leave them in AX; valid while translated code runs and the flags are neither in the host's flags
    /// register nor represented by a flag source.
    /// </summary>
    public ulong FlagWord;

    /// <summary>The jump table of the current address space and view (see <c>JumpTables</c>).</summary>
    public byte* JumpTable;

    /// <summary>Save values across a memory access in the middle of an instruction.</summary>
    public ulong Spill;
    public ulong SecondSpill;

    /// <summary>Host addresses of open groups of accesses, while the address register is used for other accesses.</summary>
    public GroupAddresses GroupAddresses;

    /// <summary>Operands or results saved for a flag source, to recompute flags from.</summary>
    public ulong KeptFirst;
    public ulong KeptSecond;
}

/// <summary>A host address for each open group of accesses.</summary>
[InlineArray(HotWords.GroupSlots)]
internal struct GroupAddresses
{
    private ulong _element;
}
