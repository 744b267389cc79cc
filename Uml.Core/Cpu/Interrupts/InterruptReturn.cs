using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Segments;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interrupts;

/// <summary>IRET, IRETD, IRETQ (Intel SDM vol. 2, IRET).</summary>
// SAFETY: handlers: the handler contract (Op). The array on the stack has the six values that the loop reads.
internal static unsafe class InterruptReturn
{
    /// <summary>Flags above bit 15 that any privilege may load.</summary>
    private const ulong Extended = Flags.AC | Flags.ID | Flags.RF;

    /// <summary>IRET with operand size <typeparamref name="T"/>.</summary>
    public static Op* Return<T>(CpuState* s, Op* op) where T : unmanaged
    {
        int size = sizeof(T);
        bool done;
        if (Segmentation.IsRealStyle(s))
        {
            done = ReturnReal(s, size);
        }
        else if ((s->SystemFlags & Flags.NT) != 0)
        {
            done = RefuseTaskReturn(s);
        }
        else
        {
            done = ReturnProtected(s, size);
        }

        if (!done)
        {
            return null;
        }

        s->NmiBlocked = false;
        DebugState.RefreshStepping(s);
        return BlockExit.Continue(s);
    }

    private static bool ReturnReal(CpuState* s, int size)
    {
        // In virtual-8086 mode IRET is sensitive to IOPL (vol. 3, 21.2.2).
        if ((s->Mode & CpuMode.Virtual8086) != 0 && (s->SystemFlags & Flags.IOPL) != Flags.IOPL)
        {
            return Fault.FailGP(s);
        }

        if (!PeekFrame(s, size, out ulong rip, out ulong cs, out ulong flags))
        {
            return false;
        }

        if (rip > s->Segments[(int)SegmentIndex.Cs].Limit)
        {
            return Fault.FailGP(s);
        }

        bool virtual8086 = (s->Mode & CpuMode.Virtual8086) != 0;
        Stack.Drop(s, (ulong)(3 * size));
        SegmentLoader.LoadReal(s, SegmentIndex.Cs, (ushort)cs);
        s->Rip = rip;
        ulong mask = FlagLoads.Plain | Flags.NT | Flags.IF | (virtual8086 ? 0UL : Flags.IOPL);
        FlagLoads.Apply(s, flags, size == 2 ? mask : mask | Extended);
        Mmu.UpdateMode(s);
        return true;
    }

    /// <summary>
    /// NT: a return to another task. #GP(0) in IA-32e mode; elsewhere too, because hardware task switching is not implemented.
    /// </summary>
    private static bool RefuseTaskReturn(CpuState* s)
    {
        if ((s->Mode & CpuMode.LongActive) == 0)
        {
            CpuLog.Of(s).ReportOnce(SystemReport.TaskSwitch, s->Segments[(int)SegmentIndex.Tr].Selector);
        }

        return Fault.FailGP(s);
    }

    private static bool ReturnProtected(CpuState* s, int size)
    {
        if (!PeekFrame(s, size, out ulong rip, out ulong cs, out ulong flags))
        {
            return false;
        }

        bool longActive = (s->Mode & CpuMode.LongActive) != 0;
        if (!longActive && size == 4 && s->Cpl == 0 && (flags & Flags.VM) != 0)
        {
            return ReturnToVirtual8086(s, rip, cs, flags);
        }

        var selector = (ushort)cs;
        if (!FarReturns.ReadCode(s, selector, out Descriptor code))
        {
            return false;
        }

        // 64-bit mode always pops SS:RSP, other modes only on the way out.
        bool popsStack = (s->Mode & CpuMode.Long64) != 0 || (selector & 3) > s->Cpl;
        ulong mask = FlagMask(s, size);
        if (popsStack)
        {
            if (!ReturnWithStack(s, selector, code, rip, size))
            {
                return false;
            }
        }
        else
        {
            if (!SegmentLoader.CheckTarget(s, selector, ref code, rip))
            {
                return false;
            }

            Stack.Drop(s, (ulong)(3 * size));
            SegmentLoader.CommitCode(s, selector, code, s->Cpl, rip);
        }

        FlagLoads.Apply(s, flags, mask);
        Mmu.UpdateMode(s);
        return true;
    }

    private static bool ReturnWithStack(CpuState* s, ushort selector, Descriptor code, ulong rip, int size)
    {
        if (!StackFrame.Peek(s, (ulong)(3 * size), size, out ulong rsp)
            || !StackFrame.Peek(s, (ulong)(4 * size), size, out ulong ss)
            || !FarReturns.ReadStack(s, (ushort)ss, selector, code, out SegmentRegister stack)
            || !SegmentLoader.CheckTarget(s, selector, ref code, rip))
        {
            return false;
        }

        FarReturns.CommitOuter(s, selector, code, rip, stack, rsp, 0);
        return true;
    }

    private static bool ReturnToVirtual8086(CpuState* s, ulong rip, ulong cs, ulong flags)
    {
        var values = stackalloc ulong[6];
        for (int i = 0; i < 6; i++)
        {
            if (!StackFrame.Peek(s, (ulong)(12 + (i * 4)), 4, out values[i]))
            {
                return false;
            }
        }

        if (rip > ushort.MaxValue)
        {
            return Fault.FailGP(s);
        }

        LoadVirtual8086(s, SegmentIndex.Cs, cs);
        LoadVirtual8086(s, SegmentIndex.Ss, values[1]);
        LoadVirtual8086(s, SegmentIndex.Es, values[2]);
        LoadVirtual8086(s, SegmentIndex.Ds, values[3]);
        LoadVirtual8086(s, SegmentIndex.Fs, values[4]);
        LoadVirtual8086(s, SegmentIndex.Gs, values[5]);
        s->Gpr[4] = (uint)values[0];
        s->Rip = rip;
        s->Cpl = 3;
        Flags.Set(s, flags);
        Mmu.UpdateMode(s);
        return true;
    }

    private static void LoadVirtual8086(CpuState* s, SegmentIndex index, ulong selector)
    {
        ref SegmentRegister segment = ref s->Segments[(int)index];
        segment.Selector = (ushort)selector;
        SegmentLoader.SetVirtual8086(ref segment);
    }

    private static bool PeekFrame(CpuState* s, int size, out ulong rip, out ulong cs, out ulong flags)
    {
        cs = 0;
        flags = 0;
        return StackFrame.Peek(s, 0, size, out rip)
            && StackFrame.Peek(s, (ulong)size, size, out cs)
            && StackFrame.Peek(s, (ulong)(2 * size), size, out flags);
    }

    /// <summary>The flags that are loaded from the stack, which depend on the privilege before the return.</summary>
    private static ulong FlagMask(CpuState* s, int size)
    {
        ulong mask = FlagLoads.Plain | Flags.NT;
        if (size != 2)
        {
            mask |= Extended;
        }

        if (s->Cpl <= Flags.Iopl(s))
        {
            mask |= Flags.IF;
        }

        if (s->Cpl == 0)
        {
            mask |= size == 2 ? Flags.IOPL : Flags.IOPL | Flags.VIF | Flags.VIP;
        }

        return mask;
    }
}
