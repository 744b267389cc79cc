using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Segments;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interrupts;

/// <summary>PUSHF, POPF, CLI, STI, CLAC, STAC.</summary>
// SAFETY: handlers: the handler contract (Op). PUSHF reads the low bytes of a local of eight.
internal static unsafe class FlagLoads
{
    /// <summary>Flags any privilege may load.</summary>
    public const ulong Plain = Flags.Status | Flags.TF | Flags.DF;

    /// <summary>Replaces the masked flags; the caller updates the mode and stepping.</summary>
    public static void Apply(CpuState* s, ulong value, ulong mask) => Flags.Set(s, (Flags.Get(s) & ~mask) | (value & mask));

    /// <summary>PUSHF, PUSHFD, PUSHFQ: VM and RF read as zero.</summary>
    public static Op* Push<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (IsSensitive(s))
        {
            return Raise.GP(s);
        }

        ulong flags = Flags.Get(s) & ~(ulong)(Flags.VM | Flags.RF);
        return Stack.Push(s, *(T*)&flags) ? op + 1 : null;
    }

    /// <summary>POPF, POPFD, POPFQ (Intel SDM vol. 2, POPF, table 4-21).</summary>
    public static Op* Pop<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (IsSensitive(s))
        {
            return Raise.GP(s);
        }

        if (!StackFrame.Peek(s, 0, sizeof(T), out ulong value))
        {
            return null;
        }

        ulong mask = Plain | Flags.NT;
        if (sizeof(T) != 2)
        {
            mask |= Flags.AC | Flags.ID;
        }

        if (s->Cpl <= Flags.Iopl(s))
        {
            mask |= Flags.IF;
        }

        if (s->Cpl == 0)
        {
            mask |= Flags.IOPL;
        }

        Stack.Drop(s, (ulong)sizeof(T));
        ulong before = s->SystemFlags;
        Apply(s, value, mask);
        if (sizeof(T) != 2)
        {
            s->SystemFlags &= ~(ulong)Flags.RF;
        }

        return AfterLoad(s, op, before ^ s->SystemFlags);
    }

    private static Op* AfterLoad(CpuState* s, Op* op, ulong changed)
    {
        CpuMode mode = s->Mode;
        if ((changed & Flags.AC) != 0)
        {
            Mmu.UpdateMode(s);
        }

        if ((changed & Flags.TF) != 0)
        {
            DebugState.RefreshStepping(s);
            return BlockExit.Behind(s, op);
        }

        bool interruptDue = (changed & s->SystemFlags & Flags.IF) != 0 && BlockExit.WantsAttention(s);
        return interruptDue ? BlockExit.Behind(s, op) : BlockExit.NextOrBehind(s, op, mode);
    }

    /// <summary>CLI.</summary>
    public static Op* ClearInterrupt(CpuState* s, Op* op)
    {
        if (!MayToggleInterrupts(s))
        {
            return Raise.GP(s);
        }

        s->SystemFlags &= ~(ulong)Flags.IF;
        return op + 1;
    }

    /// <summary>STI: interrupts are recognised after the next instruction.</summary>
    public static Op* SetInterrupt(CpuState* s, Op* op)
    {
        if (!MayToggleInterrupts(s))
        {
            return Raise.GP(s);
        }

        if ((s->SystemFlags & Flags.IF) != 0)
        {
            return op + 1;
        }

        s->SystemFlags |= Flags.IF;
        return BlockExit.NextInShadow(s, op);
    }

    /// <summary>CLAC; not recognised in virtual-8086 mode or above CPL 0.</summary>
    public static Op* ClearAlignmentCheck(CpuState* s, Op* op) => ChangeAlignmentCheck(s, op, 0);

    /// <summary>STAC.</summary>
    public static Op* SetAlignmentCheck(CpuState* s, Op* op) => ChangeAlignmentCheck(s, op, Flags.AC);

    private static Op* ChangeAlignmentCheck(CpuState* s, Op* op, ulong value)
    {
        if (s->Cpl != 0)
        {
            return Raise.UD(s);
        }

        s->SystemFlags = (s->SystemFlags & ~(ulong)Flags.AC) | value;
        Mmu.UpdateMode(s);
        return op + 1;
    }

    /// <summary>CLI and STI need CPL at most IOPL; CR4.PVI and VME, which would use VIF instead, are not offered.</summary>
    private static bool MayToggleInterrupts(CpuState* s) => s->Cpl <= Flags.Iopl(s) || (s->Mode & CpuMode.Protected) == 0;

    /// <summary>PUSHF and POPF in virtual-8086 mode need IOPL 3.</summary>
    private static bool IsSensitive(CpuState* s) => (s->Mode & CpuMode.Virtual8086) != 0 && Flags.Iopl(s) != 3;
}
