namespace Uml.Core.Sandbox;

/// <summary>The mode in which a <see cref="CodeSandbox"/> runs its code.</summary>
public enum CodeMode
{
    /// <summary>64-bit mode: flat, paging on with an identity map.</summary>
    Bits64,

    /// <summary>32-bit protected mode: flat, paging off.</summary>
    Bits32,

    /// <summary>Real mode: CS, DS, ES and SS are the segment of the code.</summary>
    Bits16,
}

/// <summary>Why a <see cref="CodeSandbox"/> stopped.</summary>
public enum CodeStopReason
{
    /// <summary>HLT; RIP is behind it.</summary>
    Halt,

    /// <summary>INT3; RIP is behind it.</summary>
    Breakpoint,

    /// <summary>The instruction budget is used up; RIP is at the next instruction.</summary>
    BudgetExhausted,

    /// <summary>An exception, or a software interrupt; RIP is where it was taken.</summary>
    Exception,

    /// <summary>An exception that could not be delivered, for example because the stack is not mapped.</summary>
    TripleFault,
}

/// <summary>How a run of a <see cref="CodeSandbox"/> ended.</summary>
/// <param name="Reason">Why it stopped.</param>
/// <param name="InstructionsRetired">Instructions that the run completed, each repetition of a REP instruction counted.</param>
/// <param name="Vector">The exception's vector (Intel SDM vol. 3, table 7-1); null when there was none.</param>
/// <param name="ErrorCode">The exception's error code; 0 for those without.</param>
public readonly record struct CodeResult(CodeStopReason Reason, ulong InstructionsRetired, byte? Vector = null, uint ErrorCode = 0);
