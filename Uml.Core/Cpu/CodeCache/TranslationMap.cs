using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>
/// Which part of code memory was emitted for which block, to tell after a fault. Both parts of code memory are filled from their start
/// on, so translations are in order in each.
/// </summary>
// SAFETY: blocks noted here stay in BlockCache's memory until all are dropped, when Clear is called; the map only passes them on.
internal sealed unsafe class TranslationMap
{
    private readonly List<Entry> _entries = [];

    /// <summary>Notes a translation.</summary>
    /// <param name="hot">Where it begins, from the start of code memory.</param>
    /// <param name="cold">Where its code that seldom runs begins.</param>
    public void Add(uint hot, uint cold, Block* block, Flavor flavor) => _entries.Add(new Entry(hot, cold, (nint)block, block->Mode, flavor));

    public void Clear() => _entries.Clear();

    /// <summary>The translation that a place in code memory belongs to.</summary>
    /// <param name="offset">The place, from the start of code memory.</param>
    /// <param name="isCold">It is among the code that seldom runs.</param>
    /// <returns>Null when there is none.</returns>
    public Entry? Find(uint offset, bool isCold)
    {
        for (int i = _entries.Count - 1; i >= 0; i--)
        {
            if ((isCold ? _entries[i].Cold : _entries[i].Hot) <= offset)
            {
                return _entries[i];
            }
        }

        return null;
    }

    /// <summary>One translation of a block, which stays in memory until everything is dropped.</summary>
    internal readonly record struct Entry(uint Hot, uint Cold, nint Address, CpuMode Mode, Flavor Flavor)
    {
        public Block* Block => (Block*)Address;
    }
}
