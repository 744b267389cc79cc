namespace Uml.Core.Cpu.Blocks;

/// <summary>Notified when blocks are decoded, dropped and flushed.</summary>
// SAFETY: a block passed here is valid during the call, and its memory until the next Flushed.
internal unsafe interface IBlockListener
{
    /// <summary>No room for another block: the cache has to flush before it decodes one.</summary>
    bool IsFull { get; }

    /// <summary>A block was decoded, and may be run next.</summary>
    void Decoded(Block* block);

    /// <summary>A block is invalid and must not be entered again. It may be the running one.</summary>
    void Dropped(Block* block);

    /// <summary>All blocks were dropped at once. None of them is running.</summary>
    void Flushed();
}
