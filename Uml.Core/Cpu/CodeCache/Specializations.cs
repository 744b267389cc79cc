using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>A translation of a block for those who come with flags of one source, not saved.</summary>
internal unsafe struct Specialization
{
    /// <summary>The most of a block and flavor. A limit of ours: what is reached with flags of many sources saves them.</summary>
    public const int Maximum = 4;

    public FlagState Source;

    /// <summary>Null: the block would save such flags anyway.</summary>
    public byte* Entry;
    public byte* Abandon;

    /// <summary>The next one of the same block and flavor, by number plus one.</summary>
    public int Next;
}

/// <summary>All specializations.</summary>
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

    /// <summary>The first, or the next one, of a list.</summary>
    /// <param name="number">As the list has it.</param>
    /// <returns>Null at its end.</returns>
    public Specialization* At(int number) => number == 0 ? null : Items + (number - 1);

    /// <summary>A translation's specialization for a source.</summary>
    /// <param name="translation">The translation.</param>
    /// <param name="source">The source.</param>
    /// <param name="count">How many there are of the translation.</param>
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
