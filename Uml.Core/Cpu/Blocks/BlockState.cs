using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>Which block a virtual CPU is running: the part of its memory behind <see cref="PagingState"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BlockState
{
    public Block* CurrentBlock;

    /// <summary>The running operation: slow paths derive RIP and the exact count of retired instructions from it.</summary>
    public Op* CurrentOp;

    /// <summary>
    /// The operation the interpreter continues with after an exit from translated code; null when <see cref="EngineState.Exit"/> gives the
    /// reason of the exit.
    /// </summary>
    public Op* NextOp;

    public JumpCacheEntry* JumpCache;

    // SAFETY: a processor's memory has the parts in this order (VirtualCpu), and does not move.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BlockState* Of(CpuState* s) => (BlockState*)(PagingState.Of(s) + 1);
}
