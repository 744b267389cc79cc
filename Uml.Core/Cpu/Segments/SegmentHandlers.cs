using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>Moves to, from and through segment registers, whose numbers are in R0 or R1.</summary>
// SAFETY: handlers: the handler contract (Op). Numbers of segment registers are the decoder's, 0 to 5, or the binder's; the inline array
// checks them.
internal static unsafe class SegmentHandlers
{
    private const int Rsp = 4;

    /// <summary>MOV Sreg, r16.</summary>
    public static Op* LoadFromRegister(CpuState* s, Op* op) => LoadInto(s, op, Operand.Reg<ushort>(s, op->R1));

    /// <summary>MOV Sreg, m16.</summary>
    public static Op* LoadFromMemory(CpuState* s, Op* op) => Operand.Load(s, op, out ushort selector) ? LoadInto(s, op, selector) : null;

    private static Op* LoadInto(CpuState* s, Op* op, ushort selector)
    {
        var index = (SegmentIndex)op->R0;
        return SegmentLoader.Load(s, index, selector) ? AfterLoad(s, op, index, inhibit: true) : null;
    }

    /// <summary>MOV r, Sreg: zero-extended to the register's size.</summary>
    public static Op* StoreToRegister<T>(CpuState* s, Op* op) where T : unmanaged
    {
        Operand.SetReg(s, op->R0, Operand.Narrow<T>(s->Segments[op->R1].Selector));
        return op + 1;
    }

    /// <summary>MOV m16, Sreg.</summary>
    public static Op* StoreToMemory(CpuState* s, Op* op) => Operand.Store(s, op, s->Segments[op->R1].Selector) ? op + 1 : null;

    /// <summary>PUSH Sreg: the selector, zero-extended.</summary>
    public static Op* Push<T>(CpuState* s, Op* op) where T : unmanaged =>
        Stack.Push(s, Operand.Narrow<T>(s->Segments[op->R0].Selector)) ? op + 1 : null;

    /// <summary>PUSH Sreg of 32 bits: the selector is written with a 16-bit move, the bytes above it stay (Intel SDM vol. 2, PUSH).</summary>
    public static Op* Push32(CpuState* s, Op* op)
    {
        ulong sp = (s->Gpr[Rsp] - sizeof(uint)) & s->StackMask;
        if (!Stack.Linear(s, sp, sizeof(ushort), write: true, out ulong linear)
            || !Operand.StoreAt(s, linear, SegmentIndex.Ss, s->Segments[op->R0].Selector))
        {
            return null;
        }

        Stack.SetPointer(s, sp);
        return op + 1;
    }

    /// <summary>POP Sreg. Of 32 bits only the selector is read, as only that is written.</summary>
    public static Op* Pop<T>(CpuState* s, Op* op) where T : unmanaged
    {
        var index = (SegmentIndex)op->R0;
        CpuMode before = s->Mode;
        if (!StackFrame.Peek(s, 0, sizeof(T) == sizeof(uint) ? sizeof(ushort) : sizeof(T), out ulong selector))
        {
            return null;
        }

        if (!SegmentLoader.Load(s, index, (ushort)selector))
        {
            return null;
        }

        // With the stack size of the old segment, because the mode is updated afterwards.
        Stack.Drop(s, (ulong)sizeof(T));
        return AfterLoad(s, op, index, inhibit: true, before);
    }

    /// <summary>LDS, LES, LSS, LFS, LGS with the offset of type T; the immediate is the segment's number.</summary>
    public static Op* LoadFar<T>(CpuState* s, Op* op) where T : unmanaged
    {
        var index = (SegmentIndex)op->Imm;
        if (!Operand.Linear(s, op, sizeof(T) + 2, write: false, out ulong linear)
            || !Operand.LoadAt(s, linear, op->Segment, out T offset)
            || !Operand.LoadAt(s, Behind(s, linear, sizeof(T)), op->Segment, out ushort selector)
            || !SegmentLoader.Load(s, index, selector))
        {
            return null;
        }

        Operand.SetReg(s, op->R0, offset);
        return AfterLoad(s, op, index, inhibit: false);
    }

    private static ulong Behind(CpuState* s, ulong linear, int bytes)
    {
        linear += (ulong)bytes;
        return (s->Mode & CpuMode.LongActive) != 0 ? linear : (uint)linear;
    }

    private static Op* AfterLoad(CpuState* s, Op* op, SegmentIndex index, bool inhibit) => AfterLoad(s, op, index, inhibit, s->Mode);

    private static Op* AfterLoad(CpuState* s, Op* op, SegmentIndex index, bool inhibit, CpuMode before)
    {
        if ((s->Mode & CpuMode.Long64) == 0)
        {
            Mmu.UpdateMode(s);
        }

        if (index != SegmentIndex.Ss || !inhibit)
        {
            return BlockExit.NextOrBehind(s, op, before);
        }

        // MOV SS and POP SS inhibit interrupts and debug traps, so that the stack pointer can be loaded next (vol. 3, 6.8.3).
        DebugState.HoldOff(s);
        return BlockExit.NextInShadow(s, op, endBlock: s->Mode != before);
    }

    /// <summary>RDFSBASE, RDGSBASE; the immediate is the segment's number.</summary>
    public static Op* ReadBase<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!IsBaseAccessible(s))
        {
            return Raise.UD(s);
        }

        Operand.SetReg(s, op->R0, Operand.Narrow<T>(s->Segments[(int)op->Imm].Base));
        return op + 1;
    }

    /// <summary>WRFSBASE, WRGSBASE; the immediate is the segment's number.</summary>
    public static Op* WriteBase<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!IsBaseAccessible(s))
        {
            return Raise.UD(s);
        }

        ulong value = Operand.Widen(Operand.Reg<T>(s, op->R0));
        if (!Canonical.Is(value))
        {
            return Raise.GP(s);
        }

        s->Segments[(int)op->Imm].Base = value;
        return op + 1;
    }

    private static bool IsBaseAccessible(CpuState* s) => (s->Mode & CpuMode.Long64) != 0 && (s->Cr4 & Cr4.FSGSBASE) != 0;
}
