using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>
/// Which part of code memory was emitted for which block, for fault reports. Hot and cold code memory are each filled from the start, so
/// translations are in ascending order in both.
/// </summary>
// SAFETY: blocks noted here stay in BlockCache's memory until all are dropped, when Clear is called; the map only passes them on.
internal sealed unsafe class TranslationMap
{
    private readonly List<Entry> _entries = [];

    /// <summary>Notes a translation.</summary>
    /// <param name="hot">Offset of its hot code in code memory.</param>
    /// <param name="cold">Offset of its cold code, which seldom runs.</param>
    public void Add(uint hot, uint cold, Block* block, Flavor flavor) => _entries.Add(new Entry(hot, cold, block, block->Mode, flavor));

    public void Clear() => _entries.Clear();

    /// <summary>The translation that an offset in code memory belongs to.</summary>
    /// <param name="offset">The offset.</param>
    /// <param name="isCold">The offset is in cold code.</param>
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
    // Not a record: the native compiler cannot make code that prints a pointer.
    internal readonly struct Entry(uint hot, uint cold, Block* block, CpuMode mode, Flavor flavor)
    {
        public uint Hot => hot;

        public uint Cold => cold;

        public Block* Block => block;

        public CpuMode Mode => mode;

        public Flavor Flavor => flavor;
    }
}
