using Uml.Core.Bus;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <summary>The processor as its local APIC and the machine's loop see it.</summary>
// SAFETY: _state is valid until Dispose (see VirtualCpu). Other threads touch Poll and the lines only, atomically, and hold off Dispose
// meanwhile: MachineLoop and RealTimeClock by their locks, VirtualMachine.InvokeAsync by its gate, CodeSandbox by its registration.
internal sealed unsafe partial class VirtualCpu : IProcessor
{
    public bool HasLocalApic => _system.LocalApic is not null;

    public bool IsHalted => _state->Halted && (Volatile.Read(ref _state->Engine->Poll) & (int)(Attention.Interrupt | Attention.Nmi)) == 0;

    /// <summary>Whether an interrupt could end a halt: RFLAGS.IF is set, or something is pending already.</summary>
    public bool CanBeWoken => (_state->SystemFlags & Flags.IF) != 0 || Volatile.Read(ref _state->NmiLine) != 0;

    public void SetInterruptRequest(bool asserted)
    {
        // Devices may be detached behind the end of their machine, which changes lines.
        if (_state == null)
        {
            return;
        }

        Volatile.Write(ref _state->Engine->InterruptLine, asserted ? 1 : 0);
        if (asserted)
        {
            Interlocked.Or(ref _state->Engine->Poll, (int)Attention.Interrupt);
        }
    }

    public void RaiseNmi()
    {
        if (_state != null)
        {
            EventLines.SetNmi(_state, pending: true);
        }
    }

    /// <summary>Makes the current <see cref="Run"/>, or else the next one, return <see cref="RunResult.Attention"/> soon. Callable from any thread.</summary>
    public void RequestAttention() => Interlocked.Or(ref _state->Engine->Poll, (int)Attention.Machine);

    public void ConnectLocalApic(ILocalApic? localApic) => _system.LocalApic = localApic;

    public void SetCpuid(uint leaf, CpuidValues? values) => Cpuid.Set(leaf, values);

    /// <summary>Sets the state after power-on, except for pins that devices drive, which they reset themselves.</summary>
    public void Reset()
    {
        EventLines.SetNmi(_state, pending: false);
        CpuReset.PowerOn(_state);
    }
}
