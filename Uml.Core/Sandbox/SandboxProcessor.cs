using Uml.Core.Bus;

namespace Uml.Core.Sandbox;

/// <summary>The pins of a processor, in place of which the test makes accesses.</summary>
public sealed class SandboxProcessor : IProcessor
{
    private readonly Dictionary<uint, CpuidValues> _cpuid = [];
    private ILocalApic? _localApic;

    internal SandboxProcessor(int index) => Index = index;

    /// <inheritdoc/>
    public int Index { get; }

    /// <summary>Whether the INTR pin is asserted.</summary>
    public bool IsInterruptRequested { get; private set; }

    /// <summary>Non-maskable interrupts so far.</summary>
    public int NmiCount { get; private set; }

    /// <summary>The CPUID leaves that devices have set.</summary>
    public IReadOnlyDictionary<uint, CpuidValues> Cpuid => _cpuid;

    /// <summary>Acknowledges an interrupt, as a processor with interrupts enabled does.</summary>
    /// <returns>The vector; -1 when there is none.</returns>
    public int AcknowledgeInterrupt() => IsInterruptRequested && _localApic is { } apic ? apic.AcknowledgeInterrupt() : -1;

    void IProcessor.SetInterruptRequest(bool asserted) => IsInterruptRequested = asserted;

    void IProcessor.RaiseNmi() => NmiCount++;

    void IProcessor.ConnectLocalApic(ILocalApic? localApic) => _localApic = localApic;

    void IProcessor.SetCpuid(uint leaf, CpuidValues? values)
    {
        if (values is { } set)
        {
            _cpuid[leaf] = set;
        }
        else
        {
            _cpuid.Remove(leaf);
        }
    }
}
