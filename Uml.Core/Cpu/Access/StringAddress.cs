using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Access;

/// <summary>rSI, rDI and rCX at the instruction's address size.</summary>
// SAFETY: handlers: the handler contract (Op). Registers are indexed by the constants here; addresses are only computed.
internal unsafe struct StringAddress
{
    private readonly ulong _mask;
    private readonly long _step;

    public StringAddress(CpuState* s, Op* op)
    {
        _mask = (op->Address & AddressFlags.Wrap32) != 0 ? uint.MaxValue
            : (op->Address & AddressFlags.Wrap16) != 0 ? ushort.MaxValue : ulong.MaxValue;
        _step = (s->SystemFlags & Flags.DF) != 0 ? -1 : 1;
        Count = s->Gpr[Gpr.Rcx] & _mask;
    }

    /// <summary>
    /// Before the first repetition, even if the count is zero: with 32-bit addresses the registers that the instruction writes are
    /// zero-extended. Which ones is implementation-specific: Intel's processors do it for those of MOVS and STOS, and for the counter alone
    /// of the others.
    /// </summary>
    public readonly void BeginRepeat(CpuState* s, bool clearsSource, bool clearsDestination)
    {
        if (_mask != uint.MaxValue)
        {
            return;
        }

        s->Gpr[Gpr.Rcx] = (uint)s->Gpr[Gpr.Rcx];
        s->Gpr[Gpr.Rsi] = clearsSource ? (uint)s->Gpr[Gpr.Rsi] : s->Gpr[Gpr.Rsi];
        s->Gpr[Gpr.Rdi] = clearsDestination ? (uint)s->Gpr[Gpr.Rdi] : s->Gpr[Gpr.Rdi];
    }

    public ulong Count { get; private set; }

    /// <summary>
    /// Whether repetitions can be done many at a time: DF is clear, the destination's offset is its linear address, and there is no
    /// single-stepping.
    /// </summary>
    public readonly bool IsPlain(CpuState* s) => _step > 0 && _mask >= uint.MaxValue && (s->Mode & CpuMode.Segmented) == 0
        && (Volatile.Read(ref s->Engine->Poll) & (int)Attention.SingleStep) == 0;

    /// <summary>The same for the source as well.</summary>
    public readonly bool IsPlain(CpuState* s, Op* op) =>
        IsPlain(s) && op->Segment is not (SegmentIndex.Cs or SegmentIndex.Fs or SegmentIndex.Gs);

    public readonly ulong SourceOffset(CpuState* s) => s->Gpr[Gpr.Rsi] & _mask;

    public readonly ulong DestinationOffset(CpuState* s) => s->Gpr[Gpr.Rdi] & _mask;

    public readonly bool Source(CpuState* s, Op* op, int size, out ulong linear)
    {
        return Segmentation.Linear(s, op->Segment, SourceOffset(s), size, write: false, out linear);
    }

    public readonly bool Destination(CpuState* s, int size, bool write, out ulong linear)
    {
        return Segmentation.Linear(s, SegmentIndex.Es, DestinationOffset(s), size, write, out linear);
    }

    public readonly void AdvanceSource(CpuState* s, int size) => Put(s, Gpr.Rsi, s->Gpr[Gpr.Rsi] + (ulong)(_step * size));

    public readonly void AdvanceDestination(CpuState* s, int size) => Put(s, Gpr.Rdi, s->Gpr[Gpr.Rdi] + (ulong)(_step * size));

    /// <summary>Subtracts completed repetitions from the counter and from the budget.</summary>
    public void CountDown(CpuState* s, ulong by)
    {
        Count -= by;
        Put(s, Gpr.Rcx, Count);
        Repetitions.Retire(s, (long)by);
    }

    private readonly void Put(CpuState* s, int register, ulong value) =>
        s->Gpr[register] = _mask == ushort.MaxValue ? (s->Gpr[register] & ~_mask) | (value & _mask) : value & _mask;

    /// <summary>The address size in bytes, from the instruction's operand at rSI or rDI.</summary>
    public static int SizeOf(in Instruction i)
    {
        for (int n = 0; n < i.OpCount; n++)
        {
            switch (i.GetOpKind(n))
            {
                case OpKind.MemorySegRSI or OpKind.MemorySegRDI or OpKind.MemoryESRDI: return 8;
                case OpKind.MemorySegESI or OpKind.MemorySegEDI or OpKind.MemoryESEDI: return 4;
                case OpKind.MemorySegSI or OpKind.MemorySegDI or OpKind.MemoryESDI: return 2;
            }
        }

        return 8;
    }
}
