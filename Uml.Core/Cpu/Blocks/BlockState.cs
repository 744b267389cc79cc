using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>Which block a virtual CPU runs, in its memory behind <see cref="PagingState"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BlockState
{
    public Block* CurrentBlock;

    /// <summary>The operation that runs: slow paths find RIP and the exact count of retired instructions through it.</summary>
    public Op* CurrentOp;

    /// <summary>The operation to go on with in the interpreter after translated code has been left; null when <see cref="EngineState.Exit"/> tells.</summary>
    public Op* NextOp;

    public JumpCacheEntry* JumpCache;

    // SAFETY: a processor's memory has the parts in this order (VirtualCpu), and does not move.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockState* Of(CpuState* s) => (BlockState*)(PagingState.Of(s) + 1);
}
