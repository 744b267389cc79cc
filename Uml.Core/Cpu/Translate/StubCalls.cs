using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Calls of stubs. Those that lead to the runtime are followed by the number of a site, by which it knows the place of the call; they give the
/// site, to be filled in.
/// </summary>
/// <param name="code">Writes them.</param>
/// <param name="memory">Where they go.</param>
/// <param name="stubs">What is called.</param>
/// <param name="sites">The sites of all translations.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class StubCalls(HostAssembler code, CodeMemory memory, RuntimeStubs stubs, SiteTable sites, BlockContext context)
{
    // SAFETY: a site is a place in the table, which has room for all sites of a block when it is begun; stubs outlive translations.

    /// <summary>See <see cref="RuntimeStubs.Access"/>.</summary>
    public Site* Access() => Call(stubs.Access(context.Flavor));

    /// <summary>See <see cref="RuntimeStubs.Commit"/>.</summary>
    public Site* Commit() => Call(stubs.Commit(context.Flavor));

    /// <summary>See <see cref="RuntimeStubs.CallHandler"/>.</summary>
    public Site* Handler(bool sharesX87) => Call(stubs.CallHandler(context.Flavor, sharesX87));

    /// <summary>See <see cref="RuntimeStubs.Lookup"/>.</summary>
    public Site* Lookup() => Call(stubs.Lookup(context.Flavor));

    /// <summary>See <see cref="RuntimeStubs.Link"/>.</summary>
    public Site* Link() => Call(stubs.Link(context.Flavor));

    /// <summary>See <see cref="RuntimeStubs.CheckPage"/>.</summary>
    public Site* CheckPage() => Call(stubs.CheckPage(context.Flavor));

    /// <summary>See <see cref="RuntimeStubs.Reenter"/>.</summary>
    public Site* Reenter() => Call(stubs.Reenter(context.Flavor));

    /// <summary>See <see cref="RuntimeStubs.LoadX87"/>.</summary>
    public Site* LoadX87() => Call(stubs.LoadX87);

    /// <summary>See <see cref="RuntimeStubs.Interpret"/>.</summary>
    public Site* Interpret() => Call(stubs.Interpret);

    /// <summary>See <see cref="RuntimeStubs.Specialize"/>.</summary>
    /// <param name="site">A site that <see cref="Add"/> gave.</param>
    public void Specialize(Site* site) => Call(stubs.Specialize(context.Flavor), site);

    /// <summary>See <see cref="RuntimeStubs.Walk"/>.</summary>
    public void Walk(bool write) => code.Call(stubs.Walk(write));

    /// <summary>See <see cref="RuntimeStubs.String"/>.</summary>
    public void String(bool moves, int size) => code.Call(stubs.String(moves, size, context.IsLong));

    /// <summary>See <see cref="RuntimeStubs.Refill"/>.</summary>
    public void Refill() => code.Call(stubs.Refill(context.Flavor));

    /// <summary>See <see cref="RuntimeStubs.LoadVectors"/>.</summary>
    public void LoadVectors() => code.Call(stubs.LoadVectors);

    /// <summary>Marks where a site that is not linked goes on: here, as it is executed.</summary>
    public void MarkUnlinked(Site* site) => site->Unlinked = memory.ToExecutable(code.Position);

    /// <summary>Adds a site whose stub is called later.</summary>
    public Site* Add() => sites.Sites + sites.Add(new Site { Block = context.Block, Flavor = context.Flavor });

    private Site* Call(byte* stub)
    {
        Site* site = Add();
        Call(stub, site);
        return site;
    }

    private void Call(byte* stub, Site* site)
    {
        code.Call(stub);
        code.Annotation((int)(site - sites.Sites));
    }
}
