using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Paging;

/// <summary>What paging keeps of a virtual CPU in its memory, behind <see cref="EngineState"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PagingState
{
    /// <summary>The TLB of the current address space and privilege.</summary>
    public TlbEntry* Tlb;

    // ---- the emitted page walk, see EmittedPageWalk ----

    /// <summary>What U/S of a page has to be in the view in force: these bits of its rights have to equal the second field.</summary>
    public ulong WalkMask, WalkWant;

    /// <summary>Bits that must be clear in every paging-structure entry.</summary>
    public ulong WalkReserved;

    /// <summary>The ranges of large pages that the current address space has noted.</summary>
    public LargePageRange* LargePages;

    /// <summary>The first entry of the <see cref="WalkCache"/>.</summary>
    public byte* Walks;

    // SAFETY: a processor's memory has the parts in this order (VirtualCpu), and does not move.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PagingState* Of(CpuState* s) => (PagingState*)(s->Engine + 1);
}
