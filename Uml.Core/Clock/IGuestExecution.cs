namespace Uml.Core.Clock;

/// <summary>What runs the guest, as its clock sees it: one CPU, or all CPUs of a machine together.</summary>
internal interface IGuestExecution
{
    /// <summary>Instructions retired since the machine was built; exact, also when a device asks from within a slice.</summary>
    ulong InstructionsRetired { get; }

    /// <summary>Gets the guest to return from its slice soon, or at once from the next one. Callable from any thread.</summary>
    void RequestAttention();
}
