namespace Uml.Differential.Tests.Generation;

/// <summary>What a generated program of several instructions is about.</summary>
internal enum ProgramKind
{
    /// <summary>Instructions of all forms, jumps among them; operands anywhere in the data windows.</summary>
    Sequence,

    /// <summary>A sequence whose operands and stack are around the ends of pages.</summary>
    PageEnd,

    /// <summary>A sequence that changes its own instructions.</summary>
    SelfModifying,

    /// <summary>A loop of arbitrary bytes, or of instructions that were damaged; it may change itself while it runs.</summary>
    Bytes,
}
