using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Paging;

/// <summary>The paging part of a virtual CPU's memory, behind <see cref="EngineState"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PagingState
{
    /// <summary>The TLB of the current address space and privilege.</summary>
    public TlbEntry* Tlb;

    // ---- the emitted page walk, see EmittedPageWalk ----

    /// <summary>The U/S check of the current view: a page's access rights, masked by the first, must equal the second.</summary>
    public ulong WalkMask, WalkWant;

    /// <summary>Bits that must be clear in every paging-structure entry.</summary>
    public ulong WalkReserved;

    /// <summary>The ranges covered by large pages in the current address space.</summary>
    public LargePageRange* LargePages;

    /// <summary>The first entry of the <see cref="WalkCache"/>.</summary>
    public byte* Walks;

    // SAFETY: a processor's memory has the parts in this order (VirtualCpu), and does not move.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PagingState* Of(CpuState* s) => (PagingState*)(s->Engine + 1);
}
