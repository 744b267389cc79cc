using System.Runtime.InteropServices;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Translate;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.Execute;

/// <summary>What a slow path has to know about the place it was called from.</summary>
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

    /// <summary>From <see cref="CpuState.PageRip"/> to the target of the jump or call.</summary>
    public int Target;
    public byte OpIndex;
    public Flavor Flavor;
    public OperandUse Use;
    public byte Size;
    public SegmentIndex Segment;
    public bool Aligned;

    /// <summary>For a write: what the instruction has left to do when its own block is dropped by it.</summary>
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

    public Site* At(byte* returnAddress) => Sites + *(int*)(returnAddress + AnnotationOffset);

    /// <summary>Notes that a place jumps to a block's translation of its flavor, and no longer to another's.</summary>
    public void SetTarget(Site* site, Block* target)
    {
        if (site->LinkedTo == target)
        {
            return;
        }

        int number = (int)(site - Sites) + 1;
        if (site->LinkedTo != null)
        {
            int* link = &site->LinkedTo->Translations[(int)site->Flavor].FirstIncoming;
            while (*link != number)
            {
                link = &Sites[*link - 1].NextIncoming;
            }

            *link = site->NextIncoming;
        }

        ref TranslatedBlock translation = ref target->Translations[(int)site->Flavor];
        site->LinkedTo = target;
        site->NextIncoming = translation.FirstIncoming;
        translation.FirstIncoming = number;
    }

    public void Clear() => Count = 0;

    public void Dispose() => _memory.Dispose();
}
