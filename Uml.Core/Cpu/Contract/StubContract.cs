using Uml.Core.Cpu.CodeCache;

namespace Uml.Core.Cpu.Contract;

/// <summary>What a stub is for.</summary>
internal enum StubKind : byte
{
    /// <summary>Finds the operand in the address register, which points to it afterwards: <see cref="Site.Size"/> bytes.</summary>
    Access,
    Commit,
    Handler,
    Lookup,
    Link,
    CheckPage,
    Specialize,

    /// <summary>Does not come back.</summary>
    Reenter,
    Refill,

    /// <summary>Loads the x87 unit, or does not come back.</summary>
    LoadX87,

    /// <summary>ZF set when vector registers are loaded.</summary>
    LoadVectors,

    /// <summary>Does not come back.</summary>
    Interpret,

    /// <summary>ZF set when the address register points to the operand now, in a page from there on.</summary>
    WalkForRead,
    WalkForWrite,

    /// <summary>ZF set when it is done.</summary>
    String,
}

/// <summary>What translated code can rely on, and has to keep to, when it calls a stub.</summary>
/// <param name="Kind">What it is for.</param>
/// <param name="Flavor">The flavor of translations that may call it; <see cref="Flavor.Count"/>: any.</param>
internal readonly record struct StubContract(StubKind Kind, Flavor Flavor)
{
    /// <summary>Whether the call is followed by the number of its site.</summary>
    public bool HasSite => Kind is not (StubKind.Refill or StubKind.LoadVectors or StubKind.WalkForRead or StubKind.WalkForWrite or StubKind.String);

    /// <summary>Whether it does not come back, or not by the same way once something waits: no loop through it lasts.</summary>
    public bool FindsWay => Kind is StubKind.Lookup or StubKind.Link or StubKind.CheckPage or StubKind.Reenter or StubKind.Interpret;
}
