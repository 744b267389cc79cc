using Uml.Core.Bus;

namespace Uml.Devices.Tests.Fakes;

/// <summary>The pins of a processor.</summary>
internal sealed class FakeProcessor(int index) : IProcessor
{
    public int Index => index;

    public bool IsInterruptRequested { get; private set; }

    public int NmiCount { get; private set; }

    public ILocalApic? LocalApic { get; private set; }

    public Dictionary<uint, CpuidValues> Cpuid { get; } = [];

    public void SetInterruptRequest(bool asserted) => IsInterruptRequested = asserted;

    public void RaiseNmi() => NmiCount++;

    public void ConnectLocalApic(ILocalApic? localApic) => LocalApic = localApic;

    public void SetCpuid(uint leaf, CpuidValues? values)
    {
        Cpuid.Remove(leaf);
        if (values is { } set)
        {
            Cpuid[leaf] = set;
        }
    }

    /// <summary>Takes an interrupt as a processor with interrupts enabled does.</summary>
    public int Acknowledge() => IsInterruptRequested ? LocalApic!.AcknowledgeInterrupt() : -1;
}
