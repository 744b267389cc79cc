using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>Far JMP and CALL (Intel SDM vol. 2, JMP and CALL; vol. 3, 5.8). Operand sizes are in bytes.</summary>
// SAFETY: handlers: the handler contract (Op). The pointer's offset is read from a local as wide as T; Size of a gate is 2, 4 or 8.
internal static unsafe class FarTransfers
{
    /// <summary>JMP ptr16:16/32: the offset is the immediate, the selector in R0.</summary>
    public static Op* JumpDirect(CpuState* s, Op* op) =>
        Jump(s, op->R0, (uint)op->Imm) ? BlockExit.Continue(s) : null;

    /// <summary>JMP m16:16/32/64.</summary>
    public static Op* JumpIndirect<T>(CpuState* s, Op* op) where T : unmanaged =>
        LoadPointer<T>(s, op, out ushort selector, out ulong offset) && Jump(s, selector, offset) ? BlockExit.Continue(s) : null;

    /// <summary>CALL ptr16:16/32: operands as for <see cref="JumpDirect"/>, R2 is the operand size.</summary>
    public static Op* CallDirect(CpuState* s, Op* op) =>
        Call(s, op->R0, (uint)op->Imm, op->R2, Flow.Next(s, op)) ? BlockExit.Continue(s) : null;

    /// <summary>CALL m16:16/32/64.</summary>
    public static Op* CallIndirect<T>(CpuState* s, Op* op) where T : unmanaged =>
        LoadPointer<T>(s, op, out ushort selector, out ulong offset) && Call(s, selector, offset, sizeof(T), Flow.Next(s, op))
            ? BlockExit.Continue(s)
            : null;

    private static bool LoadPointer<T>(CpuState* s, Op* op, out ushort selector, out ulong offset) where T : unmanaged
    {
        selector = 0;
        offset = 0;
        if (!Operand.Linear(s, op, sizeof(T) + 2, write: false, out ulong linear) || !Operand.LoadAt(s, linear, op->Segment, out T low))
        {
            return false;
        }

        offset = sizeof(T) switch { 2 => *(ushort*)&low, 4 => *(uint*)&low, _ => *(ulong*)&low };
        linear += (ulong)sizeof(T);
        return Operand.LoadAt(s, (s->Mode & CpuMode.LongActive) != 0 ? linear : (uint)linear, op->Segment, out selector);
    }

    private static bool Jump(CpuState* s, ushort selector, ulong offset)
    {
        if (Segmentation.IsRealStyle(s))
        {
            return JumpReal(s, selector, offset);
        }

        if (!ReadTarget(s, selector, out Descriptor descriptor))
        {
            return false;
        }

        if (!descriptor.IsSystem)
        {
            return CheckDirect(s, selector, descriptor) && Enter(s, selector, descriptor, s->Cpl, offset);
        }

        if (!Gate.Read(s, selector, descriptor, out Gate gate) || !SegmentLoader.ReadCode(s, gate.Selector, out Descriptor code))
        {
            return false;
        }

        bool allowed = code.IsConformingCode ? code.Dpl <= s->Cpl : code.Dpl == s->Cpl;
        return allowed && gate.Accepts(code)
            ? Enter(s, gate.Selector, code, s->Cpl, gate.Offset)
            : Fault.FailGP(s, DescriptorTables.Error(gate.Selector));
    }

    private static bool JumpReal(CpuState* s, ushort selector, ulong offset)
    {
        if (offset > s->Segments[(int)SegmentIndex.Cs].Limit)
        {
            return Fault.FailGP(s);
        }

        SegmentLoader.LoadReal(s, SegmentIndex.Cs, selector);
        s->Rip = offset;
        Mmu.UpdateMode(s);
        return true;
    }

    private static bool Call(CpuState* s, ushort selector, ulong offset, int size, ulong returnRip)
    {
        if (Segmentation.IsRealStyle(s))
        {
            StackFrame frame = CurrentStack(s, s->Cpl);
            if (!PushReturn(s, ref frame, size, returnRip) || !JumpReal(s, selector, offset))
            {
                return false;
            }

            s->Gpr[4] = StackFrame.Merge(s->Gpr[4], frame.Pointer, frame.Mask);
            return true;
        }

        if (!ReadTarget(s, selector, out Descriptor descriptor))
        {
            return false;
        }

        if (!descriptor.IsSystem)
        {
            return CheckDirect(s, selector, descriptor) && CallSameLevel(s, selector, descriptor, offset, size, returnRip);
        }

        return Gate.Read(s, selector, descriptor, out Gate gate) && CallGate(s, gate, returnRip);
    }

    private static bool CallGate(CpuState* s, Gate gate, ulong returnRip)
    {
        if (!SegmentLoader.ReadCode(s, gate.Selector, out Descriptor code))
        {
            return false;
        }

        if (code.Dpl > s->Cpl || !gate.Accepts(code))
        {
            return Fault.FailGP(s, DescriptorTables.Error(gate.Selector));
        }

        if (code.IsConformingCode || code.Dpl == s->Cpl)
        {
            return CallSameLevel(s, gate.Selector, code, gate.Offset, gate.Size, returnRip);
        }

        return gate.Size == 8 ? CallInnerLong(s, gate, code, returnRip) : CallInnerLegacy(s, gate, code, returnRip);
    }

    private static bool CallSameLevel(CpuState* s, ushort selector, Descriptor code, ulong offset, int size, ulong returnRip)
    {
        // The frame goes where the new code's mode puts it: a 64-bit target uses all of RSP.
        StackFrame frame = SegmentLoader.IsLongCode(s, code) ? new StackFrame(s->Gpr[4], s->Cpl, 0) : CurrentStack(s, s->Cpl);
        if (!SegmentLoader.CheckTarget(s, selector, ref code, offset) || !PushReturn(s, ref frame, size, returnRip))
        {
            return false;
        }

        s->Gpr[4] = StackFrame.Merge(s->Gpr[4], frame.Pointer, frame.Mask);
        SegmentLoader.CommitCode(s, selector, code, s->Cpl, offset);
        Mmu.UpdateMode(s);
        return true;
    }

    private static bool CallInnerLong(CpuState* s, Gate gate, Descriptor code, ulong returnRip)
    {
        int cpl = code.Dpl;
        if (!TaskState.ReadStack64(s, cpl, 0, out ulong rsp) || !SegmentLoader.CheckTarget(s, gate.Selector, ref code, gate.Offset))
        {
            return false;
        }

        var frame = new StackFrame(rsp, cpl, 0);
        if (!frame.Push(s, s->Segments[(int)SegmentIndex.Ss].Selector, 8)
            || !frame.Push(s, s->Gpr[4], 8)
            || !PushReturn(s, ref frame, 8, returnRip))
        {
            return false;
        }

        s->Segments[(int)SegmentIndex.Ss] = SegmentLoader.NullStack(cpl);
        s->Gpr[4] = frame.Pointer;
        SegmentLoader.CommitCode(s, gate.Selector, code, cpl, gate.Offset);
        Mmu.UpdateMode(s);
        return true;
    }

    private static bool CallInnerLegacy(CpuState* s, Gate gate, Descriptor code, ulong returnRip)
    {
        int cpl = code.Dpl;
        if (!TaskState.ReadInnerStack(s, cpl, 0, out SegmentRegister stack, out ulong esp)
            || !SegmentLoader.CheckTarget(s, gate.Selector, ref code, gate.Offset))
        {
            return false;
        }

        var frame = new StackFrame(stack, esp, cpl, DescriptorTables.Error(stack.Selector));
        if (!frame.Push(s, s->Segments[(int)SegmentIndex.Ss].Selector, gate.Size)
            || !frame.Push(s, s->Gpr[4], gate.Size)
            || !CopyParameters(s, gate, ref frame)
            || !PushReturn(s, ref frame, gate.Size, returnRip))
        {
            return false;
        }

        s->Segments[(int)SegmentIndex.Ss] = stack;
        s->Gpr[4] = StackFrame.Merge(esp, frame.Pointer, frame.Mask);
        SegmentLoader.CommitCode(s, gate.Selector, code, cpl, gate.Offset);
        Mmu.UpdateMode(s);
        return true;
    }

    private static bool CopyParameters(CpuState* s, Gate gate, ref StackFrame frame)
    {
        for (int i = gate.Parameters - 1; i >= 0; i--)
        {
            if (!StackFrame.Peek(s, (ulong)(i * gate.Size), gate.Size, out ulong value) || !frame.Push(s, value, gate.Size))
            {
                return false;
            }
        }

        return true;
    }

    private static bool PushReturn(CpuState* s, ref StackFrame frame, int size, ulong returnRip) =>
        frame.Push(s, s->Segments[(int)SegmentIndex.Cs].Selector, size) && frame.Push(s, returnRip, size);

    private static StackFrame CurrentStack(CpuState* s, int cpl) => (s->Mode & CpuMode.Long64) != 0
        ? new StackFrame(s->Gpr[4], cpl, 0)
        : new StackFrame(s->Segments[(int)SegmentIndex.Ss], s->Gpr[4], cpl, 0);

    private static bool ReadTarget(CpuState* s, ushort selector, out Descriptor descriptor)
    {
        descriptor = default;
        if (DescriptorTables.IsNull(selector))
        {
            return Fault.FailGP(s);
        }

        if (!DescriptorTables.Read(s, selector, out descriptor))
        {
            return false;
        }

        bool both = SegmentLoader.IsLongCode(s, descriptor) && descriptor.IsDefault32;
        return descriptor.IsSystem || (descriptor.IsCode && !both) || Fault.FailGP(s, DescriptorTables.Error(selector));
    }

    /// <summary>A far transfer straight to a code segment stays at its privilege level.</summary>
    private static bool CheckDirect(CpuState* s, ushort selector, Descriptor code)
    {
        bool allowed = code.IsConformingCode ? code.Dpl <= s->Cpl : (selector & 3) <= s->Cpl && code.Dpl == s->Cpl;
        return allowed || Fault.FailGP(s, DescriptorTables.Error(selector));
    }

    private static bool Enter(CpuState* s, ushort selector, Descriptor code, int cpl, ulong rip)
    {
        if (!SegmentLoader.CheckTarget(s, selector, ref code, rip))
        {
            return false;
        }

        SegmentLoader.CommitCode(s, selector, code, cpl, rip);
        Mmu.UpdateMode(s);
        return true;
    }
}

/// <summary>A call gate, read and checked (Intel SDM vol. 3, 5.8.3).</summary>
/// <param name="Selector">Code segment.</param>
/// <param name="Offset">Entry point.</param>
/// <param name="Size">Bytes of each value pushed: 2, 4 or 8.</param>
/// <param name="Parameters">Values copied from the caller's stack.</param>
internal readonly record struct Gate(ushort Selector, ulong Offset, int Size, int Parameters)
{
    /// <summary>A 64-bit gate leads to 64-bit code only.</summary>
    public bool Accepts(Descriptor code) => Size != 8 || (code.IsLong && !code.IsDefault32);

    /// <summary>Reads the gate a far pointer names; records #GP or #NP with its selector when it cannot be used.</summary>
    public static unsafe bool Read(CpuState* s, ushort selector, Descriptor descriptor, out Gate gate)
    {
        gate = default;
        uint error = DescriptorTables.Error(selector);
        bool isLong = (s->Mode & CpuMode.LongActive) != 0;
        bool isGate = descriptor.Type == SystemType.CallGate || (!isLong && descriptor.Type == SystemType.CallGate16);
        if (!isGate && !isLong && descriptor.Type is SystemType.TaskGate or SystemType.Tss or SystemType.Tss16)
        {
            CpuLog.Of(s).ReportOnce(SystemReport.TaskSwitch, selector);
        }

        if (!isGate || descriptor.Dpl < s->Cpl || descriptor.Dpl < (selector & 3))
        {
            return Fault.FailGP(s, error);
        }

        if (!descriptor.IsPresent)
        {
            return Fault.Fail(s, ExceptionVector.NP, error);
        }

        if (!isLong)
        {
            bool is32 = descriptor.Type == SystemType.CallGate;
            uint offset = is32 ? descriptor.GateOffset : descriptor.GateOffset & ushort.MaxValue;
            gate = new Gate(descriptor.GateSelector, offset, is32 ? 4 : 2, descriptor.GateParameters);
            return true;
        }

        if (!DescriptorTables.ReadHigh(s, selector, out ulong high))
        {
            return false;
        }

        // The type field of the upper half must be zero, so that it is no valid descriptor by itself (vol. 3, 5.8.3.1).
        if ((high >> 40 & 0x1F) != 0)
        {
            return Fault.FailGP(s, error);
        }

        gate = new Gate(descriptor.GateSelector, descriptor.GateOffset | (high << 32), 8, 0);
        return true;
    }
}
