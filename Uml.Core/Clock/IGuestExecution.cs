namespace Uml.Core.Clock;

/// <summary>The execution of the guest, as its clock uses it: one CPU, or all CPUs of a machine together.</summary>
internal interface IGuestExecution
{
    /// <summary>Instructions retired since the machine was built; exact, also when a device asks from within a slice.</summary>
    ulong InstructionsRetired { get; }

    /// <summary>Ends the current slice soon, or the next one at once. Callable from any thread.</summary>
    void RequestAttention();
}
