using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>
/// What was emitted for a block, before it is checked and installed: addresses in writable memory. As a <see cref="TranslatedBlock"/> it can
/// be run.
/// </summary>
internal unsafe struct EmittedBlock
{
    // SAFETY: an address is good until the store that the code is in is cleared; nobody keeps one of these for longer than it takes to
    // install it.

    /// <summary>What runs often, from the entry on, and what seldom runs.</summary>
    public byte* Hot, HotEnd, Cold, ColdEnd;

    /// <summary>Where the runtime enters it besides.</summary>
    public byte* Body, Abandon;

    /// <summary>The one place in other code that it may jump to, and the flavor it has to have there.</summary>
    public byte* Exit;
    public Flavor ExitFlavor;

    /// <summary>Its sites, by number, begin here.</summary>
    public int FirstSite;
}
