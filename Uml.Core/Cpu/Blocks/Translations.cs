using System.Runtime.CompilerServices;

namespace Uml.Core.Cpu.Blocks;

/// <summary>One translation of a block: addresses in executable memory, null while there is none.</summary>
internal unsafe struct TranslatedBlock
{
    /// <summary>For jumps from translated code: counts the block's instructions and looks whether anything waits.</summary>
    public byte* Entry;

    /// <summary>Behind that, for those who have done so.</summary>
    public byte* Body;

    /// <summary>Looks for what has taken the block's place: where <see cref="Entry"/> leads once it is dropped.</summary>
    public byte* Abandon;

    /// <summary>The places that jump here, or to a specialization, by number plus one: see <c>SiteTable</c>.</summary>
    public int FirstIncoming;

    /// <summary>The translations for known sources of flags, by number plus one: see <c>Specializations</c>.</summary>
    public int FirstSpecialization;
}

/// <summary>The translations of a block, by flavor.</summary>
[InlineArray(Flavors)]
internal struct Translations
{
    /// <summary>Flavors of translation.</summary>
    public const int Flavors = 3;

    private TranslatedBlock _element;
}
