using System.Runtime.InteropServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>A site: what a slow path knows about the call that entered it.</summary>
// SAFETY: the mapping is this table's own until Dispose. Add is called only when HasRoom; site numbers come from Add, and a return address
// passed to At is that of a call which the emitter let such a number follow (CodeChecker checks that, where it is on). LinkedTo is a block
// of the current epoch.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Site
{
    public Block* Block;

    /// <summary>The displacement of the jump that can be chained, in the writable mapping.</summary>
    public byte* Jump;

    /// <summary>
    /// For a jump to another page: the recorded epoch, in the writable mapping (see <see cref="JumpTables"/>). Null for a jump within the
    /// page.
    /// </summary>
    public byte* Epoch;

    /// <summary>
    /// Where the jump leads while it is not chained: code that looks up the target, in the writable mapping. For computed jumps, in the
    /// executable mapping: code that executes the instruction when its target is not translated.
    /// </summary>
    public byte* Unlinked;

    /// <summary>The block it is chained to, or null; and the next site chained to the same translation, as number plus one.</summary>
    public Block* LinkedTo;
    public int NextIncoming;

    /// <summary>From <see cref="HotWords.PageRip"/> to the target of the jump or call.</summary>
    public int Target;
    public byte OpIndex;
    public Flavor Flavor;
    public OperandUse Use;

    /// <summary>For a jump that may be chained to a specialization: the source of its flags, by number in the table.</summary>
    public int Source;

    /// <summary>How often such a jump is still taken before a specialization is made.</summary>
    public int Uses;

    /// <summary>Whether the preceding site is such a jump, to the same target.</summary>
    public bool HasDirect;
    public byte Size;
    public SegmentIndex Segment;
    public bool Aligned;

    /// <summary>
    /// For a write: the kind of instruction, whose remaining effects are completed in C# when the write drops its own block. For a computed
    /// jump: its kind.
    /// </summary>
    public Form Form;
}

/// <summary>
/// The sites: calls of slow paths in translated code. Each call is followed by a no-op that carries the site's number, so no argument has
/// to be loaded before the call; the return address identifies the site.
/// </summary>
internal sealed unsafe class SiteTable : IDisposable
{
    /// <summary>Offset of the number from the return address (see HostAssembler.Annotation).</summary>
    public const int AnnotationOffset = 3;

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

    /// <summary>Whether there is room for a number of further sites.</summary>
    public bool HasRoom(int count) => Count + count <= _capacity;

    public int Add(in Site site)
    {
        Sites[Count] = site;
        return Count++;
    }

    /// <summary>Adds a flag source.</summary>
    /// <returns>Its number.</returns>
    public int AddSource(in FlagState source)
    {
        _sources.Add(source);
        return _sources.Count - 1;
    }

    public FlagState Source(int number) => _sources[number];

    public Site* At(byte* returnAddress) => Sites + *(int*)(returnAddress + AnnotationOffset);

    /// <summary>Records that a site's jump leads to a block's translation of its flavor, and no longer to another's.</summary>
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

    /// <summary>Records that a site's jump is not chained any more.</summary>
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

    /// <summary>Removes the latest sites, whose code was discarded.</summary>
    public void Truncate(int count) => Count = count;

    public void Clear()
    {
        Count = 0;
        _sources.Clear();
    }

    private int Number(Site* site) => (int)(site - Sites) + 1;

    public void Dispose() => _memory.Dispose();
}
