using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Segments;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interrupts;

/// <summary>Delivery in protected and virtual-8086 mode outside IA-32e mode (Intel SDM vol. 3, 6.12 and 21.3).</summary>
// SAFETY: as in EventDelivery.cs; a vector is a byte, and its entry is checked against the limit of the IDT.
internal static unsafe partial class EventDelivery
{
    private static bool DeliverProtected(CpuState* s, in Event e)
    {
        bool fromVirtual8086 = (s->Mode & CpuMode.Virtual8086) != 0;

        // INT n in virtual-8086 mode without VME (which is not offered) needs IOPL 3 (vol. 3, 21.3.1).
        if (fromVirtual8086 && e.Kind == InterruptKind.Software && (s->SystemFlags & Flags.IOPL) != Flags.IOPL)
        {
            return Fault.FailGP(s);
        }

        if (!ReadLegacyGate(s, e, out Descriptor gate) || !ReadHandlerCode(s, e, gate.GateSelector, out Descriptor code, out int cpl))
        {
            return false;
        }

        if (fromVirtual8086 && cpl != 0)
        {
            return Fault.FailGP(s, DescriptorTables.Error(gate.GateSelector, e.Ext));
        }

        int size = gate.Type >= SystemType.InterruptGate ? 4 : 2;
        ulong target = size == 4 ? gate.GateOffset : gate.GateOffset & ushort.MaxValue;
        SegmentRegister stack = s->Segments[(int)SegmentIndex.Ss];
        ulong esp = s->Gpr[4];
        bool inner = cpl != s->Cpl;
        if ((inner && !TaskState.ReadInnerStack(s, cpl, e.Ext, out stack, out esp))
            || !SegmentLoader.CheckTarget(s, gate.GateSelector, ref code, target, e.Ext))
        {
            return false;
        }

        uint stackError = inner ? DescriptorTables.Error(stack.Selector, e.Ext) : e.Ext;
        var frame = new StackFrame(stack, esp, cpl, stackError);
        if (!PushLegacyFrame(s, e, ref frame, size, inner, fromVirtual8086))
        {
            return false;
        }

        if (fromVirtual8086)
        {
            DropVirtual8086Segments(s);
        }

        s->Segments[(int)SegmentIndex.Ss] = stack;
        s->Gpr[4] = StackFrame.Merge(esp, frame.Pointer, frame.Mask);
        EnterFlags(s, gate.Type is SystemType.InterruptGate or SystemType.InterruptGate16);
        SegmentLoader.CommitCode(s, gate.GateSelector, code, cpl, target);
        Mmu.UpdateMode(s);
        return true;
    }

    private static bool PushLegacyFrame(CpuState* s, in Event e, ref StackFrame frame, int size, bool inner, bool fromVirtual8086)
    {
        if (fromVirtual8086
            && !(frame.Push(s, s->Segments[(int)SegmentIndex.Gs].Selector, size)
                && frame.Push(s, s->Segments[(int)SegmentIndex.Fs].Selector, size)
                && frame.Push(s, s->Segments[(int)SegmentIndex.Ds].Selector, size)
                && frame.Push(s, s->Segments[(int)SegmentIndex.Es].Selector, size)))
        {
            return false;
        }

        if (inner && !(frame.Push(s, s->Segments[(int)SegmentIndex.Ss].Selector, size) && frame.Push(s, s->Gpr[4], size)))
        {
            return false;
        }

        return frame.Push(s, FrameFlags(s, e), size)
            && frame.Push(s, s->Segments[(int)SegmentIndex.Cs].Selector, size)
            && frame.Push(s, e.ReturnRip, size)
            && (!e.HasError || frame.Push(s, e.Error, size));
    }

    /// <summary>Reads and checks an 8-byte gate. Task gates would need hardware task switching, which is not implemented.</summary>
    private static bool ReadLegacyGate(CpuState* s, in Event e, out Descriptor gate)
    {
        gate = default;
        uint entry = (uint)e.Vector * 8;
        if (entry + 7 > s->IdtLimit)
        {
            return Fault.FailGP(s, e.IdtError);
        }

        if (!Mmu.ReadSystem(s, (uint)(s->IdtBase + entry), out ulong low))
        {
            return false;
        }

        gate = new Descriptor(low);
        bool isGate = gate.IsSystem
            && gate.Type is SystemType.InterruptGate or SystemType.TrapGate or SystemType.InterruptGate16 or SystemType.TrapGate16;
        if (gate.IsSystem && gate.Type == SystemType.TaskGate)
        {
            CpuLog.Of(s).ReportOnce(SystemReport.TaskSwitch, e.Vector);
        }

        return CheckGate(s, e, gate, isGate);
    }

    private static void DropVirtual8086Segments(CpuState* s)
    {
        s->Segments[(int)SegmentIndex.Gs] = default;
        s->Segments[(int)SegmentIndex.Fs] = default;
        s->Segments[(int)SegmentIndex.Ds] = default;
        s->Segments[(int)SegmentIndex.Es] = default;
    }
}
