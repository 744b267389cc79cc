using Uml.Core.Bus;

namespace Uml.Core.Cpu;

/// <summary>The processor as its local APIC and the machine's loop see it.</summary>
internal sealed unsafe partial class VirtualCpu : IProcessor
{
    private ILocalApic? _localApic;

    public bool HasLocalApic => _localApic is not null;

    /// <summary>Whether an interrupt could end a halt: RFLAGS.IF is set, or something is pending already.</summary>
    public bool CanBeWoken => (_state->SystemFlags & Flags.IF) != 0 || Volatile.Read(ref _state->NmiLine) != 0;

    public void SetInterruptRequest(bool asserted)
    {
        Volatile.Write(ref _state->InterruptLine, asserted ? 1 : 0);
        if (asserted)
        {
            Interlocked.Or(ref _state->Poll, (int)Attention.Interrupt);
        }
    }

    public void RaiseNmi()
    {
        Volatile.Write(ref _state->NmiLine, 1);
        Interlocked.Or(ref _state->Poll, (int)Attention.Nmi);
    }

    /// <summary>Makes the current <see cref="Run"/>, or else the next one, return <see cref="RunResult.Attention"/> soon. Callable from any thread.</summary>
    public void RequestAttention() => Interlocked.Or(ref _state->Poll, (int)Attention.Machine);

    public void ConnectLocalApic(ILocalApic? localApic) => _localApic = localApic;

    public void SetCpuid(uint leaf, CpuidValues? values) => Cpuid.Set(leaf, values);

    /// <summary>The state after power-on; pins that devices drive are theirs to reset.</summary>
    public void Reset()
    {
        Volatile.Write(ref _state->NmiLine, 0);
        CpuReset.PowerOn(_state);
    }
}
