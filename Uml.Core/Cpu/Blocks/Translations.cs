using System.Runtime.CompilerServices;

namespace Uml.Core.Cpu.Blocks;

/// <summary>One translation of a block: addresses in executable memory, null while there is none.</summary>
// SAFETY: addresses in code memory, good until everything is dropped; CodeLinks clears them when the block is.
internal unsafe struct TranslatedBlock
{
    /// <summary>Where chained jumps lead: counts the block's instructions against the budget, and exits when that is used up.</summary>
    public byte* Entry;

    /// <summary>Behind that check, for callers that have counted already.</summary>
    public byte* Body;

    /// <summary>
    /// Code that looks up the block now at this address: <see cref="Entry"/> is patched to jump here when the block is dropped.
    /// </summary>
    public byte* Abandon;

    /// <summary>
    /// Head of the list of sites chained to this translation or a specialization of it, as site number plus one: see <c>SiteTable</c>.
    /// </summary>
    public int FirstIncoming;

    /// <summary>Head of the list of specializations for known flag sources, as number plus one: see <c>Specializations</c>.</summary>
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
