using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>A translation of a block for jumps that pass flags by one source instead of saving them.</summary>
// SAFETY: the mapping is this table's own until Dispose. Add is called only when HasRoom; numbers in lists are those that Add gave out
// since the last Clear, which is when all translations that hold them are dropped.
internal unsafe struct Specialization
{
    /// <summary>The most for one block and flavor, a limit of ours: jumps with flags of further sources save them.</summary>
    public const int Maximum = 4;

    public FlagState Source;

    /// <summary>Null when the block would save these flags anyway, so that there is nothing to gain.</summary>
    public byte* Entry;
    public byte* Abandon;

    /// <summary>The next specialization of the same block and flavor, as number plus one.</summary>
    public int Next;
}

/// <summary>The table of all specializations.</summary>
internal sealed unsafe class Specializations : IDisposable
{
    private readonly HostMemory _memory;
    private readonly int _capacity;

    public Specializations(ulong size)
    {
        _memory = new HostMemory(size);
        _capacity = (int)(size / (ulong)sizeof(Specialization));
    }

    private int Count { get; set; }

    /// <summary>Whether there is room for another.</summary>
    public bool HasRoom => Count < _capacity;

    private Specialization* Items => (Specialization*)_memory.Pointer;

    /// <summary>The specialization that a list link names.</summary>
    /// <param name="number">The link: number plus one, or 0.</param>
    /// <returns>Null at the end of the list.</returns>
    public Specialization* At(int number) => number == 0 ? null : Items + (number - 1);

    /// <summary>A translation's specialization for a source.</summary>
    /// <param name="translation">The translation.</param>
    /// <param name="source">The source.</param>
    /// <param name="count">Receives how many specializations of the translation were looked at: all, when none matches.</param>
    /// <returns>Null when there is none.</returns>
    public Specialization* Find(in TranslatedBlock translation, in FlagState source, out int count)
    {
        count = 0;
        for (Specialization* item = At(translation.FirstSpecialization); item != null; item = At(item->Next))
        {
            count++;
            if (item->Source == source)
            {
                return item;
            }
        }

        return null;
    }

    public Specialization* Add(ref TranslatedBlock translation, in FlagState source)
    {
        Specialization* item = Items + Count++;
        *item = new Specialization { Source = source, Next = translation.FirstSpecialization };
        translation.FirstSpecialization = Count;
        return item;
    }

    public void Clear() => Count = 0;

    public void Dispose() => _memory.Dispose();
}
