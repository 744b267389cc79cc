using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>Far RET (Intel SDM vol. 2, RET) and what it shares with IRET.</summary>
// SAFETY: handlers: the handler contract (Op). Selectors and frames are the guest's, checked by SegmentLoader and read through StackFrame.
internal static unsafe class FarReturns
{
    /// <summary>RETF: the immediate is the number of parameter bytes to release, T the operand size.</summary>
    public static Op* Return<T>(CpuState* s, Op* op) where T : unmanaged
    {
        int size = sizeof(T);
        ulong release = (ushort)op->Imm;
        if (!StackFrame.Peek(s, 0, size, out ulong rip) || !StackFrame.Peek(s, (ulong)size, size, out ulong cs))
        {
            return null;
        }

        var selector = (ushort)cs;
        if (Segmentation.IsRealStyle(s))
        {
            if (rip > s->Segments[(int)SegmentIndex.Cs].Limit)
            {
                return Raise.GP(s);
            }

            Stack.Drop(s, (ulong)(2 * size) + release);
            SegmentLoader.LoadReal(s, SegmentIndex.Cs, selector);
            s->Rip = rip;
            Mmu.UpdateMode(s);
            return BlockExit.Continue(s);
        }

        if (!ReadCode(s, selector, out Descriptor code))
        {
            return null;
        }

        bool done = (selector & 3) > s->Cpl
            ? ReturnOuter(s, selector, code, rip, size, release)
            : ReturnSame(s, selector, code, rip, (ulong)(2 * size) + release);
        return done ? BlockExit.Continue(s) : null;
    }

    private static bool ReturnSame(CpuState* s, ushort selector, Descriptor code, ulong rip, ulong release)
    {
        if (!SegmentLoader.CheckTarget(s, selector, ref code, rip))
        {
            return false;
        }

        Stack.Drop(s, release);
        SegmentLoader.CommitCode(s, selector, code, s->Cpl, rip);
        Mmu.UpdateMode(s);
        return true;
    }

    private static bool ReturnOuter(CpuState* s, ushort selector, Descriptor code, ulong rip, int size, ulong release)
    {
        ulong frame = (ulong)(2 * size) + release;
        if (!StackFrame.Peek(s, frame, size, out ulong rsp)
            || !StackFrame.Peek(s, frame + (ulong)size, size, out ulong ss)
            || !ReadStack(s, (ushort)ss, selector, code, out SegmentRegister stack)
            || !SegmentLoader.CheckTarget(s, selector, ref code, rip))
        {
            return false;
        }

        CommitOuter(s, selector, code, rip, stack, rsp, release);
        return true;
    }

    /// <summary>Reads and checks the code segment a return goes to: never to an inner level.</summary>
    public static bool ReadCode(CpuState* s, ushort selector, out Descriptor code)
    {
        if (!SegmentLoader.ReadCode(s, selector, out code))
        {
            return false;
        }

        int rpl = selector & 3;
        bool allowed = rpl >= s->Cpl && (code.IsConformingCode ? code.Dpl <= rpl : code.Dpl == rpl);
        return allowed || Fault.FailGP(s, DescriptorTables.Error(selector));
    }

    /// <summary>Reads and checks the stack segment a return loads. It may be null when 64-bit code below CPL 3 is returned to.</summary>
    public static bool ReadStack(CpuState* s, ushort selector, ushort codeSelector, Descriptor code, out SegmentRegister stack)
    {
        stack = default;
        int rpl = codeSelector & 3;
        if (DescriptorTables.IsNull(selector))
        {
            stack = new SegmentRegister { Selector = selector };
            return (SegmentLoader.IsLongCode(s, code) && rpl != 3 && (selector & 3) == rpl) || Fault.FailGP(s);
        }

        if (!DescriptorTables.Read(s, selector, out Descriptor descriptor))
        {
            return false;
        }

        uint error = DescriptorTables.Error(selector);
        if ((selector & 3) != rpl || descriptor.Dpl != rpl || !descriptor.IsWritableData)
        {
            return Fault.FailGP(s, error);
        }

        if (!descriptor.IsPresent)
        {
            return Fault.Fail(s, ExceptionVector.SS, error);
        }

        if (!DescriptorTables.MarkAccessed(s, selector, ref descriptor))
        {
            return false;
        }

        stack = descriptor.ToSegment(selector);
        return true;
    }

    /// <summary>Completes a return that loads SS:RSP, all of it checked.</summary>
    public static void CommitOuter(
        CpuState* s, ushort selector, Descriptor code, ulong rip, in SegmentRegister stack, ulong rsp, ulong release)
    {
        bool outer = (selector & 3) > s->Cpl;
        s->Segments[(int)SegmentIndex.Ss] = stack;
        SegmentLoader.CommitCode(s, selector, code, selector & 3, rip);
        if (SegmentLoader.IsLongCode(s, code))
        {
            s->Gpr[4] = rsp + release;
        }
        else
        {
            s->Gpr[4] = StackFrame.Merge(s->Gpr[4], rsp + release, StackFrame.MaskOf(stack));
        }

        if (outer)
        {
            SegmentLoader.DropInnerSegments(s);
        }

        Mmu.UpdateMode(s);
    }
}
