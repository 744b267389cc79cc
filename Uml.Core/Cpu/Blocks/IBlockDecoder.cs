using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>Decodes guest code into blocks.</summary>
// SAFETY: the caller (BlockCache) passes a processor's state, and Block.MaxSize bytes at block that no other block has.
internal unsafe interface IBlockDecoder
{
    /// <summary>Decodes a block into memory at <paramref name="block"/>, which has room for the longest one.</summary>
    /// <param name="s">The processor; its mode selects how bytes are decoded.</param>
    /// <param name="block">Where the block is written.</param>
    /// <param name="linear">Linear address of the first byte, for the second page of a crossing instruction.</param>
    /// <param name="physical">Guest-physical address of the first byte; RAM.</param>
    /// <returns>False after recording a fault: the first instruction crosses into a page that cannot be fetched.</returns>
    bool Decode(CpuState* s, Block* block, ulong linear, ulong physical);
}
