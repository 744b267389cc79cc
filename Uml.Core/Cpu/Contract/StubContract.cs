namespace Uml.Core.Cpu.Contract;

/// <summary>What a stub is for.</summary>
internal enum StubKind : byte
{
    /// <summary>
    /// Translates the linear address in the address register to the host address of the operand, as many bytes as its site says.
    /// </summary>
    Access,
    Commit,
    Handler,
    Lookup,
    Link,
    CheckPage,
    Specialize,

    /// <summary>Does not return.</summary>
    Reenter,
    Refill,

    /// <summary>Loads the x87 unit, or does not return.</summary>
    LoadX87,

    /// <summary>Sets ZF when vector registers are loaded.</summary>
    LoadVectors,

    /// <summary>Does not return.</summary>
    Interpret,

    /// <summary>Sets ZF when the walk succeeded; the address register is the host address of the operand then.</summary>
    WalkForRead,
    WalkForWrite,

    /// <summary>Sets ZF when all repetitions are done.</summary>
    String,
}

/// <summary>What translated code may assume, and must observe, when it calls a stub.</summary>
/// <param name="Kind">What it is for.</param>
/// <param name="Flavor">The flavor of translations that may call it; <see cref="Flavor.Count"/>: any.</param>
internal readonly record struct StubContract(StubKind Kind, Flavor Flavor)
{
    /// <summary>Whether the call is followed by the number of its site.</summary>
    public bool HasSite => Kind is not (StubKind.Refill or StubKind.LoadVectors or StubKind.WalkForRead or StubKind.WalkForWrite or StubKind.String);

    /// <summary>Whether the stub does not return, or exits once the poll word is set: a loop through it ends.</summary>
    public bool FindsWay => Kind is StubKind.Lookup or StubKind.Link or StubKind.CheckPage or StubKind.Reenter or StubKind.Interpret;
}
