using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Segments;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Control;

/// <summary>IN, OUT, INS, OUTS at one operand width. A write to a port ends the block: the device may ask the machine to stop.</summary>
// SAFETY: handlers: the handler contract (Op). RAX and DX by constant offsets, counters by constants; the bus gets values.
internal static unsafe class PortHandlers<T>
    where T : unmanaged
{
    private const ushort Rax = CpuState.GprStart, Rdx = CpuState.GprStart + 16;

    /// <summary>IN rAX, imm8.</summary>
    public static Op* InImmediate(CpuState* s, Op* op) => In(s, op, (byte)op->Imm);

    /// <summary>IN rAX, DX.</summary>
    public static Op* InDx(CpuState* s, Op* op) => In(s, op, Operand.Reg<ushort>(s, Rdx));

    /// <summary>OUT imm8, rAX.</summary>
    public static Op* OutImmediate(CpuState* s, Op* op) => Out(s, op, (byte)op->Imm);

    /// <summary>OUT DX, rAX.</summary>
    public static Op* OutDx(CpuState* s, Op* op) => Out(s, op, Operand.Reg<ushort>(s, Rdx));

    private static Op* In(CpuState* s, Op* op, ushort port)
    {
        if (!TaskState.AllowsPorts(s, port, sizeof(T)))
        {
            return null;
        }

        DebugState.NotePort(s, port, sizeof(T));
        Operand.Set<T>(s, Rax, Read(s, port));
        return op + 1;
    }

    private static Op* Out(CpuState* s, Op* op, ushort port)
    {
        if (!TaskState.AllowsPorts(s, port, sizeof(T)))
        {
            return null;
        }

        DebugState.NotePort(s, port, sizeof(T));
        Write(s, port, Operand.Get<T>(s, Rax));
        return BlockExit.Behind(s, op);
    }

    /// <summary>INS, R2 non-zero: repeated. Address-size bits in Address.</summary>
    public static Op* InString(CpuState* s, Op* op)
    {
        ulong mask = MaskOf(op);
        bool repeats = op->R2 != 0;
        ushort port = Operand.Reg<ushort>(s, Rdx);
        // Permission is checked for a count of zero too.
        if (!TaskState.AllowsPorts(s, port, sizeof(T)))
        {
            return null;
        }

        if (repeats && (s->Gpr[Gpr.Rcx] & mask) == 0)
        {
            return op + 1;
        }

        do
        {
            // Checked before the port is read, because a read cannot be undone.
            if (!Segmentation.Linear(s, SegmentIndex.Es, s->Gpr[Gpr.Rdi] & mask, sizeof(T), write: true, out ulong linear)
                || !Paging.Mmu.ProbeWrite(s, linear, sizeof(T), SegmentIndex.Es))
            {
                return null;
            }

            DebugState.NotePort(s, port, sizeof(T));
            if (!Operand.StoreAt(s, linear, SegmentIndex.Es, Operand.Narrow<T>(Read(s, port))))
            {
                return null;
            }

            Advance(s, Gpr.Rdi, mask);
            if (!repeats)
            {
                return op + 1;
            }
        }
        while (CountDown(s, mask) && Repetitions.MayGoOn(s));

        return (s->Gpr[Gpr.Rcx] & mask) == 0 ? Repetitions.End(s, op) : Flow.Suspend(s, op);
    }

    /// <summary>OUTS, R2 non-zero: repeated. Address-size bits in Address.</summary>
    public static Op* OutString(CpuState* s, Op* op)
    {
        ulong mask = MaskOf(op);
        bool repeats = op->R2 != 0;
        ushort port = Operand.Reg<ushort>(s, Rdx);
        // A count of zero needs the permission too.
        if (!TaskState.AllowsPorts(s, port, sizeof(T)))
        {
            return null;
        }

        if (repeats && (s->Gpr[Gpr.Rcx] & mask) == 0)
        {
            return op + 1;
        }

        do
        {
            if (!Segmentation.Linear(s, op->Segment, s->Gpr[Gpr.Rsi] & mask, sizeof(T), write: false, out ulong linear)
                || !Operand.LoadAt(s, linear, op->Segment, out T value))
            {
                return null;
            }

            DebugState.NotePort(s, port, sizeof(T));
            Write(s, port, Operand.Widen(value));
            Advance(s, Gpr.Rsi, mask);
            if (!repeats)
            {
                return BlockExit.Behind(s, op);
            }
        }
        while (CountDown(s, mask) && Repetitions.MayGoOn(s));

        if ((s->Gpr[Gpr.Rcx] & mask) != 0)
        {
            return Flow.Suspend(s, op);
        }

        Repetitions.End(s, op);
        return BlockExit.Behind(s, op);
    }

    private static ulong Read(CpuState* s, ushort port)
    {
        s->Engine->Counters.DeviceAccesses++;
        MemoryUnit unit = MemoryUnit.Of(s);
        return unit.Bus.ReadPort(unit.Processor, port, sizeof(T));
    }

    private static void Write(CpuState* s, ushort port, ulong value)
    {
        s->Engine->Counters.DeviceAccesses++;
        MemoryUnit unit = MemoryUnit.Of(s);
        unit.Bus.WritePort(unit.Processor, port, sizeof(T), value);
    }

    private static ulong MaskOf(Op* op) => (op->Address & AddressFlags.Wrap32) != 0 ? uint.MaxValue
        : (op->Address & AddressFlags.Wrap16) != 0 ? ushort.MaxValue : ulong.MaxValue;

    private static void Advance(CpuState* s, int register, ulong mask)
    {
        ulong step = (s->SystemFlags & Flags.DF) != 0 ? 0UL - (ulong)sizeof(T) : (ulong)sizeof(T);
        s->Gpr[register] = StackFrame.Merge(s->Gpr[register], s->Gpr[register] + step, mask);
    }

    private static bool CountDown(CpuState* s, ulong mask)
    {
        s->Gpr[Gpr.Rcx] = StackFrame.Merge(s->Gpr[Gpr.Rcx], s->Gpr[Gpr.Rcx] - 1, mask);
        Repetitions.Retire(s, 1);
        return (s->Gpr[Gpr.Rcx] & mask) != 0;
    }
}
