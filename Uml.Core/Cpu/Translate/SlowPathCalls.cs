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

    /// <summary>Calls a stub.</summary>
    /// <returns>The site, to be filled in.</returns>
    public Site* Call(byte* stub)
    {
        Site* site = Add();
        Call(stub, site);
        return site;
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
    /// <returns>The site, to be filled in.</returns>
    public Site* Add() => sites.Sites + sites.Add(new Site { Block = context.Block, Flavor = context.Flavor });
}
