using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <content>Halt, pending events, and what holds them off.</content>
// SAFETY: the state is taken under Access, which whoever frees it, or lets the machine run, waits for; see ProcessorRegisters.State.
public sealed unsafe partial class ProcessorRegisters
{
    /// <summary>Whether the CPU has halted (HLT) until an interrupt comes.</summary>
    public bool IsHalted { get => Get<bool>(static s => &s->Halted); set => Set(static s => &s->Halted, value); }

    /// <summary>Whether interrupts are held off for one instruction, behind STI, MOV SS or POP SS (Intel SDM vol. 3, 6.8.3).</summary>
    public bool InterruptShadow
    {
        get => Get<bool>(static s => &s->InterruptShadow);
        set
        {
            lock (Access)
            {
                State->InterruptShadow = value;
                DebugState.RefreshStepping(State);
                EventLines.LookAgain(State);
            }
        }
    }

    /// <summary>Whether non-maskable interrupts are held off until the next IRET (Intel SDM vol. 3, 6.7.1).</summary>
    public bool NmiBlocked
    {
        get => Get<bool>(static s => &s->NmiBlocked);
        set
        {
            lock (Access)
            {
                State->NmiBlocked = value;
                EventLines.LookAgain(State);
            }
        }
    }

    /// <summary>Whether a non-maskable interrupt waits to be delivered.</summary>
    public bool NmiPending
    {
        get
        {
            lock (Access)
            {
                return Volatile.Read(ref State->NmiLine) != 0;
            }
        }

        set
        {
            lock (Access)
            {
                EventLines.SetNmi(State, value);
            }
        }
    }

    /// <summary>
    /// B0 to B3 of DR6 for data breakpoints that the MOV SS or POP SS in front of RIP has hit: they are raised behind the next instruction
    /// (Intel SDM vol. 3, 6.8.3). Without <see cref="InterruptShadow"/> there are none.
    /// </summary>
    /// <exception cref="RegisterValueException">Another bit is set.</exception>
    public uint PendingBreakpoints
    {
        get => Get<uint>(static s => &s->HeldDebug);
        set
        {
            RegisterValueException.ThrowIf((value & ~DebugState.Breakpoints) != 0 ? RegisterRefusal.ReservedBits : RegisterRefusal.None, value);
            Set(static s => &s->HeldDebug, value);
        }
    }
}
