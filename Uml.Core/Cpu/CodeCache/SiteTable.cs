using System.Runtime.InteropServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>What a slow path has to know about the place it was called from.</summary>
// SAFETY: the mapping is this table's own until Dispose. Add is called only when HasRoom; site numbers come from Add, and a return address
// passed to At is that of a call which the emitter let such a number follow (CodeChecker checks that, where it is on). LinkedTo is a block
// of the current epoch.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Site
{
    public Block* Block;

    /// <summary>The displacement of the jump to be pointed to the target, in writable memory.</summary>
    public byte* Jump;

    /// <summary>The number the jump is taken under when it leads to another page; null when it stays in its own.</summary>
    public byte* Epoch;

    /// <summary>
    /// The code that looks for the target: where the jump leads while it is not linked. For computed jumps, in executable memory, what does
    /// the instruction when its target is not translated.
    /// </summary>
    public byte* Unlinked;

    /// <summary>The block it is linked to, or null; and the next one of the places linked to the same translation, by number plus one.</summary>
    public Block* LinkedTo;
    public int NextIncoming;

    /// <summary>From <see cref="EngineState.PageRip"/> to the target of the jump or call.</summary>
    public int Target;
    public byte OpIndex;
    public Flavor Flavor;
    public OperandUse Use;

    /// <summary>Of a jump that is to lead to a translation for the source of its flags: that source, by number in the table.</summary>
    public int Source;

    /// <summary>How often such a jump may still be taken before there is to be such a translation.</summary>
    public int Uses;

    /// <summary>Whether the place before this one is such a jump, for the same target.</summary>
    public bool HasDirect;
    public byte Size;
    public SegmentIndex Segment;
    public bool Aligned;

    /// <summary>
    /// For a write: the instruction, which has something left to do when its own block is dropped by it. For a computed jump: which kind.
    /// </summary>
    public Form Form;
}

/// <summary>
/// The places that call slow paths. Each call is followed by a no-op that carries the number of its place: nothing has to be loaded
/// before the call, and a return address is enough to know everything.
/// </summary>
internal sealed unsafe class SiteTable : IDisposable
{
    /// <summary>Where the number stands behind the return address (see HostAssembler.Annotation).</summary>
    private const int AnnotationOffset = 3;

    private readonly HostMemory _memory;
    private readonly int _capacity;
    private readonly List<FlagState> _sources = [];

    public SiteTable(ulong size)
    {
        _memory = new HostMemory(size);
        _capacity = (int)(size / (ulong)sizeof(Site));
    }

    public int Count { get; private set; }

    public Site* Sites => (Site*)_memory.Pointer;

    /// <summary>Whether a number of further places fit.</summary>
    public bool HasRoom(int count) => Count + count <= _capacity;

    public int Add(in Site site)
    {
        Sites[Count] = site;
        return Count++;
    }

    /// <summary>Notes a source of flags.</summary>
    /// <returns>Its number.</returns>
    public int AddSource(in FlagState source)
    {
        _sources.Add(source);
        return _sources.Count - 1;
    }

    public FlagState Source(int number) => _sources[number];

    public Site* At(byte* returnAddress) => Sites + *(int*)(returnAddress + AnnotationOffset);

    /// <summary>Notes that a place jumps to a block's translation of its flavor, and no longer to another's.</summary>
    public void SetTarget(Site* site, Block* target)
    {
        if (site->LinkedTo == target)
        {
            return;
        }

        RemoveTarget(site);
        ref TranslatedBlock translation = ref target->Translations[(int)site->Flavor];
        site->LinkedTo = target;
        site->NextIncoming = translation.FirstIncoming;
        translation.FirstIncoming = Number(site);
    }

    /// <summary>Notes that a place jumps to no block's translation any more.</summary>
    public void RemoveTarget(Site* site)
    {
        if (site->LinkedTo == null)
        {
            return;
        }

        int* link = &site->LinkedTo->Translations[(int)site->Flavor].FirstIncoming;
        while (*link != Number(site))
        {
            link = &Sites[*link - 1].NextIncoming;
        }

        *link = site->NextIncoming;
        site->LinkedTo = null;
    }

    /// <summary>Forgets the latest places, whose code was not put into use.</summary>
    public void Truncate(int count) => Count = count;

    public void Clear()
    {
        Count = 0;
        _sources.Clear();
    }

    private int Number(Site* site) => (int)(site - Sites) + 1;

    public void Dispose() => _memory.Dispose();
}
