using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>
/// Chaining: which jumps of translated code are patched to which translations, and taken back when those are dropped.
/// </summary>
/// <param name="memory">Where the code is.</param>
/// <param name="sites">The places with such jumps.</param>
/// <param name="specializations">Translations for known sources of flags.</param>
/// <param name="usesToSpecialize">Times that a jump saves flags for the translation for all before there is to be one for their source.</param>
// SAFETY: sites and blocks are of the current epoch: all of them go at once. A site's Jump and Epoch are 4-byte fields in writable code
// memory, which the emitter placed within its translation; Entry and Abandon likewise in executable memory, and a jump fits over an Entry.
// Code is patched on the thread that runs it, while it is in a slow path.
internal sealed unsafe class CodeLinks(CodeMemory memory, SiteTable sites, Specializations specializations, int usesToSpecialize)
{
    public SiteTable Sites => sites;

    public int UsesToSpecialize => usesToSpecialize;

    /// <summary>Points a place's jump to a translation, for as long as that lasts.</summary>
    public void Link(Site* site, Block* target)
    {
        if (site->HasDirect && (site - 1)->LinkedTo != target)
        {
            // It was for what stood there before.
            sites.RemoveTarget(site - 1);
            Unlink(site - 1);
        }

        CodeMemory.Patch(site->Jump, memory.ToWritable(target->Translations[(int)site->Flavor].Entry));
        sites.SetTarget(site, target);
    }

    /// <summary>Points a place's jump to a specialization of its target.</summary>
    public void Link(Site* site, Block* target, Specialization* special)
    {
        CodeMemory.Patch(site->Jump, memory.ToWritable(special->Entry));
        sites.SetTarget(site, target);
    }

    /// <summary>Makes sure that nothing enters the block's translations any more.</summary>
    public void Drop(Block* block)
    {
        for (Flavor flavor = Flavor.Integer; flavor < Flavor.Count; flavor++)
        {
            ref TranslatedBlock translation = ref block->Translations[(int)flavor];
            if (translation.Entry != null)
            {
                UnlinkAll(translation.FirstIncoming);
                Redirect(translation.Entry, translation.Abandon);
                for (Specialization* special = specializations.At(translation.FirstSpecialization); special != null; special = specializations.At(special->Next))
                {
                    if (special->Entry != null)
                    {
                        Redirect(special->Entry, special->Abandon);
                    }
                }

                translation = default;
            }
        }
    }

    /// <summary>Makes code that was to be entered jump somewhere else.</summary>
    private void Redirect(byte* entry, byte* target) => CodeMemory.WriteJump(memory.ToWritable(entry), memory.ToWritable(target));

    private void UnlinkAll(int incoming)
    {
        while (incoming != 0)
        {
            Site* site = sites.Sites + (incoming - 1);
            Unlink(site);
            site->LinkedTo = null;
            incoming = site->NextIncoming;
        }
    }

    private void Unlink(Site* site)
    {
        CodeMemory.Patch(site->Jump, site->Unlinked);
        site->Uses = usesToSpecialize;
        if (site->Epoch != null)
        {
            *(int*)site->Epoch = 0;
        }
    }
}
