using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Calls of stubs that lead to the runtime: each is followed by the number of a site, by which the runtime knows the place of the call.</summary>
/// <param name="code">Writes them.</param>
/// <param name="memory">Where they go.</param>
/// <param name="sites">The sites of all translations.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class SlowPathCalls(HostAssembler code, CodeMemory memory, SiteTable sites, BlockContext context)
{
    // SAFETY: a site is a place in the table, which has room for all sites of a block when it is begun; stubs outlive translations.

    /// <summary>A site of the block, to be filled in.</summary>
    public Site Here => new() { Block = context.Block, Flavor = context.Flavor };

    /// <summary>Calls a stub.</summary>
    /// <returns>The site's place in the table.</returns>
    public Site* Call(byte* stub, in Site site)
    {
        Site* added = Add(in site);
        Call(stub, added);
        return added;
    }

    /// <summary>Calls a stub for a site that is in the table.</summary>
    public void Call(byte* stub, Site* site)
    {
        code.Call(stub);
        code.Annotation((int)(site - sites.Sites));
    }

    /// <summary>Marks where a site that is not linked goes on: here, as it is executed.</summary>
    public void MarkUnlinked(Site* site) => site->Unlinked = memory.ToExecutable(code.Position);

    /// <summary>Adds a site whose stub is called later.</summary>
    public Site* Add(in Site site) => sites.Sites + sites.Add(in site);
}
