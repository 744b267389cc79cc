namespace Uml.Core.Cpu.Blocks;

/// <summary>Told what becomes of blocks.</summary>
// SAFETY: a block passed here is valid during the call, and its memory until the next Flushed.
internal unsafe interface IBlockListener
{
    /// <summary>All blocks have to go before there can be another.</summary>
    bool IsFull { get; }

    /// <summary>A block was decoded, and may be run next.</summary>
    void Decoded(Block* block);

    /// <summary>A block must not be entered any more. It may be the one that runs.</summary>
    void Dropped(Block* block);

    /// <summary>All blocks are gone. None of them runs.</summary>
    void Flushed();
}
