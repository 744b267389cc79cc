using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Segments;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interrupts;

/// <summary>Delivery in IA-32e mode (Intel SDM vol. 3, 6.14).</summary>
// SAFETY: as in EventDelivery.cs; a vector is a byte, and its entry is checked against the limit of the IDT.
internal static unsafe partial class EventDelivery
{
    private static bool DeliverLong(CpuState* s, in Event e)
    {
        if (!ReadLongGate(s, e, out Descriptor gate, out ulong target)
            || !ReadHandlerCode(s, e, gate.GateSelector, out Descriptor code, out int cpl))
        {
            return false;
        }

        if (!code.IsLong || code.IsDefault32)
        {
            return Fault.FailGP(s, DescriptorTables.Error(gate.GateSelector, e.Ext));
        }

        if (!LongStack(s, e, gate.GateStack, cpl, out ulong rsp)
            || !SegmentLoader.CheckTarget(s, gate.GateSelector, ref code, target, e.Ext))
        {
            return false;
        }

        if (!PushLongFrame(s, e, rsp & ~15UL, cpl, out rsp))
        {
            return false;
        }

        if (cpl != s->Cpl)
        {
            s->Segments[(int)SegmentIndex.Ss] = SegmentLoader.NullStack(cpl);
        }

        s->Gpr[4] = rsp;
        EnterFlags(s, gate.Type == SystemType.InterruptGate);
        SegmentLoader.CommitCode(s, gate.GateSelector, code, cpl, target);
        Mmu.UpdateMode(s);
        return true;
    }

    private static bool PushLongFrame(CpuState* s, in Event e, ulong rsp, int cpl, out ulong top)
    {
        var frame = new StackFrame(rsp, cpl, e.Ext);
        bool pushed = frame.Push(s, s->Segments[(int)SegmentIndex.Ss].Selector, 8)
            && frame.Push(s, s->Gpr[4], 8)
            && frame.Push(s, FrameFlags(s, e), 8)
            && frame.Push(s, s->Segments[(int)SegmentIndex.Cs].Selector, 8)
            && frame.Push(s, e.ReturnRip, 8)
            && (!e.HasError || frame.Push(s, e.Error, 8));
        top = frame.Pointer;
        return pushed;
    }

    /// <summary>Reads and checks a 16-byte gate.</summary>
    private static bool ReadLongGate(CpuState* s, in Event e, out Descriptor gate, out ulong target)
    {
        gate = default;
        target = 0;
        uint entry = (uint)e.Vector * 16;
        if (entry + 15 > s->IdtLimit)
        {
            return Fault.FailGP(s, e.IdtError);
        }

        if (!Mmu.ReadSystem(s, s->IdtBase + entry, out ulong low) || !Mmu.ReadSystem(s, s->IdtBase + entry + 8, out ulong high))
        {
            return false;
        }

        gate = new Descriptor(low);
        target = gate.GateOffset | (high << 32);
        return CheckGate(s, e, gate, gate.IsSystem && gate.Type is SystemType.InterruptGate or SystemType.TrapGate);
    }

    /// <summary>The checks all gates have in common: type, privilege of INT n, presence, in this order.</summary>
    private static bool CheckGate(CpuState* s, in Event e, Descriptor gate, bool typeFits)
    {
        if (!typeFits || (e.ChecksDpl && gate.Dpl < s->Cpl))
        {
            return Fault.FailGP(s, e.IdtError);
        }

        return gate.IsPresent || Fault.Fail(s, ExceptionVector.NP, e.IdtError);
    }

    /// <summary>Reads the handler's code segment and says at which privilege it runs.</summary>
    private static bool ReadHandlerCode(CpuState* s, in Event e, ushort selector, out Descriptor code, out int cpl)
    {
        cpl = s->Cpl;
        if (!SegmentLoader.ReadCode(s, selector, out code, e.Ext))
        {
            return false;
        }

        uint error = DescriptorTables.Error(selector, e.Ext);
        if (code.Dpl > s->Cpl)
        {
            return Fault.FailGP(s, error);
        }

        if (!code.IsPresent)
        {
            return Fault.Fail(s, ExceptionVector.NP, error);
        }

        if (!code.IsConformingCode)
        {
            cpl = code.Dpl;
        }

        return true;
    }

    /// <summary>
    /// The stack a handler starts on: of the IST, of an inner level, or the current one (Intel SDM vol. 3, 6.14.4 and 6.14.5).
    /// </summary>
    private static bool LongStack(CpuState* s, in Event e, int interruptStack, int cpl, out ulong rsp)
    {
        if (interruptStack != 0)
        {
            return TaskState.ReadInterruptStack(s, interruptStack, e.Ext, out rsp);
        }

        rsp = s->Gpr[4];
        return cpl == s->Cpl || TaskState.ReadStack64(s, cpl, e.Ext, out rsp);
    }
}
