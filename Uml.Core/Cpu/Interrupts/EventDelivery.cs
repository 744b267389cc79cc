using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Segments;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interrupts;

/// <summary>Where an interrupt comes from.</summary>
internal enum InterruptKind
{
    /// <summary>A maskable interrupt from the local APIC.</summary>
    Hardware,

    /// <summary>A non-maskable interrupt.</summary>
    Nmi,

    /// <summary>An exception the processor raised.</summary>
    Exception,

    /// <summary>INT n.</summary>
    Software,

    /// <summary>INT3 and INTO.</summary>
    SoftwareException,

    /// <summary>INT1: an exception for privilege checks and error codes.</summary>
    PrivilegedSoftware,
}

/// <summary>
/// Interrupt and exception delivery (Intel SDM vol. 3, chapter 6). State changes only after the whole frame has been pushed; a fault during
/// delivery becomes another exception, a double fault, or a shutdown.
/// </summary>
// SAFETY: s is a live processor's state, no block of which runs. Gates, descriptors and frames are guest memory and go through Mmu and
// StackFrame.
internal static unsafe partial class EventDelivery
{
    /// <summary>An event to deliver.</summary>
    private readonly record struct Event(byte Vector, bool HasError, uint Error, InterruptKind Kind, ulong ReturnRip)
    {
        /// <summary>The EXT bit of error codes raised while delivering (Intel SDM vol. 3, 6.13).</summary>
        public uint Ext => Kind is InterruptKind.Software or InterruptKind.SoftwareException ? 0u : 1u;

        /// <summary>Error code that points at the event's own IDT entry.</summary>
        public uint IdtError => (uint)(Vector << 3) | 2 | Ext;

        /// <summary>Gates check their DPL against instructions only.</summary>
        public bool ChecksDpl => Kind is InterruptKind.Software or InterruptKind.SoftwareException;
    }

    private enum FaultClass
    {
        Benign,
        Contributory,
        PageFault,
        DoubleFault,
    }

    /// <summary>
    /// Delivers an interrupt or exception. <see cref="CpuState.Rip"/> is that of the current instruction on entry (where a fault during
    /// delivery returns to) and the handler's on success.
    /// </summary>
    /// <param name="s">The CPU, no block running.</param>
    /// <param name="vector">The vector.</param>
    /// <param name="hasError">An error code is pushed (outside real mode).</param>
    /// <param name="error">The error code.</param>
    /// <param name="kind">Where it comes from.</param>
    /// <param name="returnRip">RIP to push: of the instruction for faults, behind it for traps and software interrupts.</param>
    /// <returns>False after a triple fault: Exit is Shutdown.</returns>
    public static bool Deliver(CpuState* s, byte vector, bool hasError, uint error, InterruptKind kind, ulong returnRip)
    {
        s->Halted = false;
        s->InterruptShadow = false;
        s->Engine->StepTrap = false;
        if (kind is not (InterruptKind.Software or InterruptKind.SoftwareException))
        {
            // A fault and INT1 discard pending debug exceptions; with INT n they are raised before the first instruction of its handler.
            s->Engine->PendingDebug = 0;
        }

        if (kind == InterruptKind.Nmi)
        {
            s->NmiBlocked = true;
        }

        // Exceptions that are neither contributory nor page faults could recur for ever, such as #AC on the pushes of a handler at CPL 3. A
        // processor would hang; this one shuts down.
        const int mostAttempts = 8;
        var current = new Event(vector, hasError, error, kind, returnRip);
        for (int attempt = 1; !TryDeliver(s, current); attempt++)
        {
            if (attempt == mostAttempts || !Combine(s, ref current))
            {
                s->Engine->Exit = ExitCode.Shutdown;
                return false;
            }
        }

        if (current.Vector == ExceptionVector.DB)
        {
            s->Dr7 &= ~(ulong)DebugState.GD;
        }

        DebugState.RefreshStepping(s);
        s->Engine->Exit = ExitCode.BlockEnd;
        return true;
    }

    /// <summary>Delivers the exception recorded in the state: a fault, or a trap whose return address is in RIP already.</summary>
    public static void DeliverException(CpuState* s) =>
        Deliver(s, s->Engine->ExceptionVector, s->Engine->ExceptionHasError, s->Engine->ExceptionError, InterruptKind.Exception, s->Rip);

    /// <summary>Delivers a non-maskable interrupt.</summary>
    public static void DeliverNmi(CpuState* s) => Deliver(s, ExceptionVector.NMI, hasError: false, 0, InterruptKind.Nmi, s->Rip);

    /// <summary>Delivers a maskable interrupt.</summary>
    public static void DeliverInterrupt(CpuState* s, byte vector) =>
        Deliver(s, vector, hasError: false, 0, InterruptKind.Hardware, s->Rip);

    /// <summary>Combines an event and the exception that its delivery raised into the next event; false: shutdown.</summary>
    private static bool Combine(CpuState* s, ref Event current)
    {
        FaultClass first = current.Kind == InterruptKind.Exception ? Classify(current.Vector) : FaultClass.Benign;
        FaultClass second = Classify(s->Engine->ExceptionVector);
        if (first == FaultClass.DoubleFault && second != FaultClass.Benign)
        {
            return false;
        }

        // Intel SDM vol. 3, table 6-5.
        bool doubles = (first == FaultClass.Contributory && second == FaultClass.Contributory)
            || (first == FaultClass.PageFault && second is FaultClass.Contributory or FaultClass.PageFault);
        current = doubles
            ? new Event(ExceptionVector.DF, true, 0, InterruptKind.Exception, s->Rip)
            : new Event(s->Engine->ExceptionVector, s->Engine->ExceptionHasError, s->Engine->ExceptionError, InterruptKind.Exception, s->Rip);
        return true;
    }

    private static FaultClass Classify(byte vector) => vector switch
    {
        ExceptionVector.DE or ExceptionVector.TS or ExceptionVector.NP or ExceptionVector.SS or ExceptionVector.GP => FaultClass.Contributory,
        ExceptionVector.PF => FaultClass.PageFault,
        ExceptionVector.DF => FaultClass.DoubleFault,
        _ => FaultClass.Benign,
    };

    private static bool TryDeliver(CpuState* s, in Event e)
    {
        if ((s->Mode & CpuMode.Protected) == 0)
        {
            return DeliverReal(s, e);
        }

        return (s->Mode & CpuMode.LongActive) != 0 ? DeliverLong(s, e) : DeliverProtected(s, e);
    }

    /// <summary>
    /// RFLAGS as the frame holds them: RF is set for faults, so that an instruction breakpoint does not hit again (vol. 3, 18.3.1.1).
    /// </summary>
    private static ulong FrameFlags(CpuState* s, in Event e)
    {
        ulong flags = Flags.Get(s);
        bool isFault = e.Kind == InterruptKind.Exception
            && e.Vector is not (ExceptionVector.DB or ExceptionVector.BP or ExceptionVector.OF or ExceptionVector.NMI or ExceptionVector.DF or ExceptionVector.MC);
        return isFault ? flags | Flags.RF : flags;
    }

    /// <summary>The flags a handler begins with.</summary>
    private static void EnterFlags(CpuState* s, bool interruptGate)
    {
        const ulong always = Flags.TF | Flags.NT | Flags.RF | Flags.VM;
        s->SystemFlags &= ~(interruptGate ? always | Flags.IF : always);
    }

    /// <summary>Real-address mode: the table holds far pointers, there are no error codes (Intel SDM vol. 3, 21.1.4).</summary>
    private static bool DeliverReal(CpuState* s, in Event e)
    {
        uint entry = (uint)e.Vector * 4;
        if (entry + 3 > s->IdtLimit)
        {
            return Fault.FailGP(s, e.IdtError);
        }

        if (!Mmu.ReadSystem(s, s->IdtBase + entry, out uint target))
        {
            return false;
        }

        var frame = new StackFrame(s->Segments[(int)SegmentIndex.Ss], s->Gpr[4], 0, 0);
        if (!frame.Push(s, Flags.Get(s), 2)
            || !frame.Push(s, s->Segments[(int)SegmentIndex.Cs].Selector, 2)
            || !frame.Push(s, e.ReturnRip, 2))
        {
            return false;
        }

        s->Gpr[4] = StackFrame.Merge(s->Gpr[4], frame.Pointer, frame.Mask);
        EnterFlags(s, interruptGate: true);
        s->SystemFlags &= ~(ulong)Flags.AC;
        SegmentLoader.LoadReal(s, SegmentIndex.Cs, (ushort)(target >> 16));
        s->Rip = (ushort)target;
        Mmu.UpdateMode(s);
        return true;
    }
}
