using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>Makes blocks from the guest's bytes.</summary>
// SAFETY: the caller (BlockCache) passes a processor's state, and Block.MaxSize bytes at block that no other block has.
internal unsafe interface IBlockDecoder
{
    /// <summary>Decodes a block into memory at <paramref name="block"/>, which has room for the longest one.</summary>
    /// <param name="s">The processor, whose mode counts.</param>
    /// <param name="block">Receives it.</param>
    /// <param name="linear">Linear address of the first byte, for the second page of a crossing instruction.</param>
    /// <param name="physical">Guest-physical address of the first byte; RAM.</param>
    /// <returns>False when the first instruction runs over into a page that cannot be fetched: the fault is recorded.</returns>
    bool Decode(CpuState* s, Block* block, ulong linear, ulong physical);
}
