using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.CodeCache;

/// <summary>Chaining: patches jumps of translated code to other translations, and unpatches them when those are dropped.</summary>
/// <param name="memory">Code memory.</param>
/// <param name="sites">The sites of such jumps.</param>
/// <param name="specializations">Translations for known flag sources.</param>
/// <param name="usesToSpecialize">How often a jump saves its flags before its target is translated for their source.</param>
// SAFETY: sites and blocks are of the current epoch: all of them go at once. A site's Jump and Epoch are 4-byte fields in writable code
// memory, which the emitter placed within its translation; Entry and Abandon likewise in executable memory, and a jump fits over an Entry.
// Code is patched on the thread that runs it, while it is in a slow path.
internal sealed unsafe class CodeLinks(CodeMemory memory, SiteTable sites, Specializations specializations, int usesToSpecialize)
{
    public SiteTable Sites => sites;

    public int UsesToSpecialize => usesToSpecialize;

    /// <summary>Chains a site's jump to a translation, until that is dropped.</summary>
    public void Link(Site* site, Block* target)
    {
        if (site->HasDirect && (site - 1)->LinkedTo != target)
        {
            // It is chained to a former block at the same address.
            sites.RemoveTarget(site - 1);
            Unlink(site - 1);
        }

        CodeMemory.Patch(site->Jump, memory.ToWritable(target->Translations[(int)site->Flavor].Entry));
        sites.SetTarget(site, target);
    }

    /// <summary>Chains a site's jump to a specialization of its target.</summary>
    public void Link(Site* site, Block* target, Specialization* special)
    {
        CodeMemory.Patch(site->Jump, memory.ToWritable(special->Entry));
        sites.SetTarget(site, target);
    }

    /// <summary>Makes the block's translations unreachable.</summary>
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

    /// <summary>Patches an entry to jump somewhere else.</summary>
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
