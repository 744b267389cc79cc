using System.Runtime.InteropServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>One decoded instruction, ready to run: a handler and its operands, in unmanaged block memory.</summary>
/// <remarks>
/// A handler returns the next operation to run: <c>op + 1</c> when it falls through, the first operation of another block when it
/// jumps, or null after setting <see cref="EngineState.Exit"/>. It must not change guest state before the last thing that can fault.
/// </remarks>
// SAFETY: the handler contract, which every function Op* (CpuState*, Op*) and what it calls relies on. The engine (InterpreterEngine,
// Runtime) upholds it. s is the start of a processor's memory: VirtualCpu owns that, it does not move, and it is freed only when nothing
// runs. op is an operation of a block in BlockCache: dropping the block leaves its memory as it is, and only BlockCache.Find may reuse it,
// so a handler that has looked up another block uses op again only if the cache's epoch is the same. op + 1 exists, because
// Flow.FallThrough ends each block. Offsets in R0, R1, R2, Base and Index come from OperandFields and the binders, and lie within the
// processor's memory together with the width that the handler was bound for; what the guest computes is never such an offset. Guest memory
// is reached through Operand, Stack and Mmu only.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Op
{
    public delegate*<CpuState*, Op*, Op*> Handler;

    /// <summary>
    /// Immediate operand, sign- or zero-extended as the instruction says; the linked block in jumps; a fourth register operand of VEX
    /// instructions.
    /// </summary>
    public long Imm;

    /// <summary>Displacement of the memory operand, or of a direct jump's target from <see cref="EngineState.BlockRip"/>.</summary>
    public long Disp;

    /// <summary>
    /// Register operands in Iced's operand order, as byte offsets into <see cref="CpuState"/>. A vector of indices in a memory operand
    /// is in R1.
    /// </summary>
    public ushort R0, R1, R2;

    /// <summary>Base and index of the memory operand, as byte offsets into <see cref="CpuState"/> (<see cref="EngineState.Zero"/> when absent).</summary>
    public ushort Base, Index;

    /// <summary>log2 of the index scale.</summary>
    public byte Scale;

    /// <summary>What the address needs beyond base + index * scale + displacement.</summary>
    public AddressFlags Address;

    /// <summary>Segment of the memory operand, <see cref="SegmentIndex"/>.</summary>
    public SegmentIndex Segment;

    /// <summary>Instruction length in bytes.</summary>
    public byte Length;

    /// <summary>Bytes from the start of the block to this instruction.</summary>
    public ushort Offset;

    /// <summary>Iced's Code of the instruction.</summary>
    public ushort Code;

    /// <summary>A conditional jump in the middle of a block: not taken, it falls through to the next operation.</summary>
    public bool Continues;

    /// <summary>False for an invalid or unimplemented instruction, whose handler raises an exception.</summary>
    public bool IsImplemented;
}

/// <summary>Address forms beyond base + index * scale + displacement.</summary>
[Flags]
internal enum AddressFlags : byte
{
    None = 0,

    /// <summary>32-bit address size: the sum wraps at 32 bits.</summary>
    Wrap32 = 1,

    /// <summary>16-bit address size.</summary>
    Wrap16 = 2,

    /// <summary>Add the segment's base (FS and GS in 64-bit mode; any in segmented modes).</summary>
    SegmentBase = 4,

    /// <summary>Check the segment's limit and type before (legacy and compatibility modes).</summary>
    SegmentCheck = 8,
}
