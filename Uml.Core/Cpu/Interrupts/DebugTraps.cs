using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interrupts;

/// <summary>
/// Debug exceptions (Intel SDM vol. 3, 18.3). While <see cref="Attention.SingleStep"/> is set the engine runs instructions one by one,
/// each between <see cref="BeforeInstruction"/> and <see cref="AfterInstruction"/>.
/// </summary>
/// <remarks>
/// Whether an instruction traps is decided by TF at its beginning; SYSCALL and interrupt delivery change that, MOV SS and POP SS defer the
/// trap.
/// </remarks>
// SAFETY: s is a live processor's state, no block of which runs. Only its fields are touched.
internal static unsafe class DebugTraps
{
    /// <summary>
    /// Call with exact RIP before a single-stepped instruction, after interrupts were polled: ends the interrupt shadow and checks for an
    /// instruction breakpoint. False: #DB is recorded, to be delivered with <see cref="CpuState.Rip"/> as the return address.
    /// </summary>
    public static bool BeforeInstruction(CpuState* s)
    {
        s->InterruptShadow = false;
        s->Engine->StepTrap = (s->SystemFlags & Flags.TF) != 0;
        s->Engine->PendingDebug = s->HeldDebug;
        s->HeldDebug = 0;

        // RF applies to this instruction and is cleared by it, unless the instruction is an IRET that sets it.
        bool resumes = (s->SystemFlags & Flags.RF) != 0;
        s->SystemFlags &= ~(ulong)Flags.RF;
        if ((s->Dr7 & DebugState.Enables) == 0 || resumes)
        {
            return true;
        }

        ulong linear = s->Rip;
        if ((s->Mode & CpuMode.Long64) == 0)
        {
            linear = (uint)(linear + s->Segments[(int)SegmentIndex.Cs].Base);
        }

        uint hit = DebugState.Match(s, linear, 1, DebugState.Execute);
        if (hit == 0)
        {
            return true;
        }

        s->Dr6 |= hit;
        return RecordAtRip(s);
    }

    /// <summary>Call after a single-stepped instruction has retired, RIP behind it. False: #DB is recorded as a trap.</summary>
    public static bool AfterInstruction(CpuState* s)
    {
        uint reasons = s->Engine->PendingDebug | (s->Engine->StepTrap ? DebugState.BS : 0);
        s->Engine->PendingDebug = 0;
        s->Engine->StepTrap = false;
        DebugState.RefreshStepping(s);
        if (reasons == 0)
        {
            return true;
        }

        s->Dr6 |= reasons;
        return RecordAtRip(s);
    }

    private static bool RecordAtRip(CpuState* s)
    {
        Raise.Exception(s, ExceptionVector.DB);
        s->Engine->Exit = ExitCode.ExceptionAtRip;
        return false;
    }
}
