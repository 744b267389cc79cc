using Uml.Core.Cpu.CodeCache;

namespace Uml.Core.Cpu.Contract;

/// <summary>Which of the guest's registers a translation has in registers of the host. A block has one translation for each it runs in.</summary>
internal enum Flavor : byte
{
    /// <summary>General registers only.</summary>
    Integer,

    /// <summary>Vector registers and MXCSR too.</summary>
    Vector,

    /// <summary>The x87 and MMX registers as well.</summary>
    X87,
    Count,
}

/// <summary>One translation of a block: addresses in executable memory, null while there is none.</summary>
internal unsafe struct TranslatedBlock
{
    /// <summary>For jumps from translated code: counts the block's instructions and looks whether anything waits.</summary>
    public byte* Entry;

    /// <summary>Behind that, for those who have done so.</summary>
    public byte* Body;

    /// <summary>Looks for what has taken the block's place: where <see cref="Entry"/> leads once it is dropped.</summary>
    public byte* Abandon;

    /// <summary>The places that jump here, or to a specialization, by number plus one: see <see cref="SiteTable"/>.</summary>
    public int FirstIncoming;

    /// <summary>The translations for known sources of flags, by number plus one: see <see cref="Specializations"/>.</summary>
    public int FirstSpecialization;
}

/// <summary>The translations of a block, by flavor.</summary>
[System.Runtime.CompilerServices.InlineArray((int)Flavor.Count)]
internal struct Translations
{
    private TranslatedBlock _element;
}
