using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Paging;

namespace Uml.Core.Cpu.Interpreter;

/// <summary>How a string instruction repeats.</summary>
internal interface IRepeat
{
    static abstract bool Repeats { get; }

    /// <summary>For CMPS and SCAS: the ZF that lets a repetition go on.</summary>
    static abstract bool WhileZero { get; }
}

internal readonly struct Once : IRepeat
{
    public static bool Repeats => false;

    public static bool WhileZero => false;
}

/// <summary>REP, REPE.</summary>
internal readonly struct RepeatE : IRepeat
{
    public static bool Repeats => true;

    public static bool WhileZero => true;
}

/// <summary>REPNE.</summary>
internal readonly struct RepeatNe : IRepeat
{
    public static bool Repeats => true;

    public static bool WhileZero => false;
}

/// <summary>
/// MOVS, STOS, LODS, CMPS, SCAS (Intel SDM vol. 1, 7.3.9). Each repetition is precise: a fault or an interrupt leaves the counters as
/// they are after the repetitions done, RIP at the instruction. Repetitions go page by page at host speed where nothing can intervene.
/// </summary>
internal static unsafe class StringHandlers<TRepeat, T>
    where TRepeat : struct, IRepeat
    where T : unmanaged
{
    private const int Rcx = 1, Rsi = 6, Rdi = 7;

    public static Op* Movs(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (TRepeat.Repeats && address.Count == 0)
        {
            return op + 1;
        }

        do
        {
            if (TRepeat.Repeats && TryMoveRun(s, op, ref address))
            {
                continue;
            }

            if (!address.Source(s, op, sizeof(T), out ulong from) ||
                !address.Destination(s, sizeof(T), write: true, out ulong to) ||
                !Access.LoadAt(s, from, op->Segment, out T value) ||
                !Access.StoreAt(s, to, SegmentIndex.Es, value))
            {
                return null;
            }

            address.AdvanceSource(s, sizeof(T));
            address.AdvanceDestination(s, sizeof(T));
            if (!TRepeat.Repeats)
            {
                return op + 1;
            }

            address.CountDown(s, 1);
        }
        while (address.Count != 0 && Volatile.Read(ref s->Poll) == 0);
        return Finish(s, op, ref address);
    }

    public static Op* Stos(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (TRepeat.Repeats && address.Count == 0)
        {
            return op + 1;
        }

        T value = Access.Reg<T>(s, 0);
        do
        {
            if (TRepeat.Repeats && TryStoreRun(s, ref address, value))
            {
                continue;
            }

            if (!address.Destination(s, sizeof(T), write: true, out ulong to) || !Access.StoreAt(s, to, SegmentIndex.Es, value))
            {
                return null;
            }

            address.AdvanceDestination(s, sizeof(T));
            if (!TRepeat.Repeats)
            {
                return op + 1;
            }

            address.CountDown(s, 1);
        }
        while (address.Count != 0 && Volatile.Read(ref s->Poll) == 0);
        return Finish(s, op, ref address);
    }

    public static Op* Lods(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (TRepeat.Repeats && address.Count == 0)
        {
            return op + 1;
        }

        do
        {
            if (!address.Source(s, op, sizeof(T), out ulong from) || !Access.LoadAt(s, from, op->Segment, out T value))
            {
                return null;
            }

            Access.SetReg(s, 0, value);
            address.AdvanceSource(s, sizeof(T));
            if (!TRepeat.Repeats)
            {
                return op + 1;
            }

            address.CountDown(s, 1);
        }
        while (address.Count != 0 && Volatile.Read(ref s->Poll) == 0);
        return Finish(s, op, ref address);
    }

    public static Op* Cmps(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (TRepeat.Repeats && address.Count == 0)
        {
            return op + 1;
        }

        do
        {
            if (!address.Source(s, op, sizeof(T), out ulong first) ||
                !address.Destination(s, sizeof(T), write: false, out ulong second) ||
                !Access.LoadAt(s, second, SegmentIndex.Es, out T b) ||
                !Access.LoadAt(s, first, op->Segment, out T a))
            {
                return null;
            }

            Semantics.Sub.Apply<T>(s, Access.Widen(a), Access.Widen(b));
            address.AdvanceSource(s, sizeof(T));
            address.AdvanceDestination(s, sizeof(T));
            if (!TRepeat.Repeats)
            {
                return op + 1;
            }

            address.CountDown(s, 1);
            if (Flags.Zero(s) != TRepeat.WhileZero)
            {
                return op + 1;
            }
        }
        while (address.Count != 0 && Volatile.Read(ref s->Poll) == 0);
        return Finish(s, op, ref address);
    }

    public static Op* Scas(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (TRepeat.Repeats && address.Count == 0)
        {
            return op + 1;
        }

        do
        {
            if (!address.Destination(s, sizeof(T), write: false, out ulong at) || !Access.LoadAt(s, at, SegmentIndex.Es, out T b))
            {
                return null;
            }

            Semantics.Sub.Apply<T>(s, Access.Get<T>(s, 0), Access.Widen(b));
            address.AdvanceDestination(s, sizeof(T));
            if (!TRepeat.Repeats)
            {
                return op + 1;
            }

            address.CountDown(s, 1);
            if (Flags.Zero(s) != TRepeat.WhileZero)
            {
                return op + 1;
            }
        }
        while (address.Count != 0 && Volatile.Read(ref s->Poll) == 0);
        return Finish(s, op, ref address);
    }

    private static Op* Finish(CpuState* s, Op* op, ref StringAddress address) => address.Count == 0 ? op + 1 : Flow.Suspend(s, op);

    /// <summary>Moves as much as lies within one page on both sides, upwards, without asking again.</summary>
    private static bool TryMoveRun(CpuState* s, Op* op, ref StringAddress address)
    {
        if (!address.IsPlain(s, op))
        {
            return false;
        }

        ulong from = s->Gpr[Rsi];
        ulong to = s->Gpr[Rdi];
        TlbEntry* source = Tlb.Entry(s->Tlb, from);
        TlbEntry* destination = Tlb.Entry(s->Tlb, to);
        ulong room = Math.Min(4096 - (from & 0xFFF), 4096 - (to & 0xFFF)) / (ulong)sizeof(T);
        ulong elements = Math.Min(address.Count, room);
        if (elements == 0 || source->ReadTag != (from & ~0xFFFUL) || destination->WriteTag != (to & ~0xFFFUL))
        {
            return false;
        }

        byte* src = source->HostPage + (from & 0xFFF);
        byte* dst = destination->HostPage + (to & 0xFFF);
        ulong bytes = elements * (ulong)sizeof(T);
        if (dst > src && dst < src + bytes)
        {
            // Overlapping upwards repeats the source: element by element, as the processor does.
            for (ulong i = 0; i < elements; i++)
            {
                Unsafe.WriteUnaligned(dst + (i * (ulong)sizeof(T)), Unsafe.ReadUnaligned<T>(src + (i * (ulong)sizeof(T))));
            }
        }
        else
        {
            // SAFETY: both ranges lie within one mapped RAM page each.
            Buffer.MemoryCopy(src, dst, bytes, bytes);
        }

        s->Gpr[Rsi] += bytes;
        s->Gpr[Rdi] += bytes;
        address.CountDown(s, elements);
        return true;
    }

    private static bool TryStoreRun(CpuState* s, ref StringAddress address, T value)
    {
        if (!address.IsPlain(s))
        {
            return false;
        }

        ulong to = s->Gpr[Rdi];
        TlbEntry* destination = Tlb.Entry(s->Tlb, to);
        ulong elements = Math.Min(address.Count, (4096 - (to & 0xFFF)) / (ulong)sizeof(T));
        if (elements == 0 || destination->WriteTag != (to & ~0xFFFUL))
        {
            return false;
        }

        // SAFETY: the range lies within one mapped RAM page.
        byte* dst = destination->HostPage + (to & 0xFFF);
        if (((nint)dst & (sizeof(T) - 1)) == 0)
        {
            new Span<T>(dst, (int)elements).Fill(value);
        }
        else
        {
            for (ulong i = 0; i < elements; i++)
            {
                Unsafe.WriteUnaligned(dst + (i * (ulong)sizeof(T)), value);
            }
        }

        s->Gpr[Rdi] += elements * (ulong)sizeof(T);
        address.CountDown(s, elements);
        return true;
    }

    /// <summary>rSI, rDI and rCX at the instruction's address size.</summary>
    private struct StringAddress
    {
        private readonly ulong _mask;
        private readonly long _step;

        public StringAddress(CpuState* s, Op* op)
        {
            _mask = (op->Address & AddressFlags.Wrap32) != 0 ? uint.MaxValue
                : (op->Address & AddressFlags.Wrap16) != 0 ? ushort.MaxValue : ulong.MaxValue;
            _step = (s->SystemFlags & Flags.DF) != 0 ? -1 : 1;
            Count = s->Gpr[Rcx] & _mask;
        }

        public ulong Count { get; private set; }

        /// <summary>Upwards, 64-bit addresses, destination without segment base.</summary>
        public readonly bool IsPlain(CpuState* s) => _step > 0 && _mask == ulong.MaxValue && (s->Mode & CpuMode.Long64) != 0;

        public readonly bool IsPlain(CpuState* s, Op* op) => IsPlain(s) && op->Segment < SegmentIndex.Fs;

        public readonly bool Source(CpuState* s, Op* op, int size, out ulong linear)
        {
            return Segmentation.Linear(s, op->Segment, s->Gpr[Rsi] & _mask, size, write: false, out linear);
        }

        public readonly bool Destination(CpuState* s, int size, bool write, out ulong linear)
        {
            return Segmentation.Linear(s, SegmentIndex.Es, s->Gpr[Rdi] & _mask, size, write, out linear);
        }

        public readonly void AdvanceSource(CpuState* s, int size) => Put(s, Rsi, s->Gpr[Rsi] + (ulong)(_step * size));

        public readonly void AdvanceDestination(CpuState* s, int size) => Put(s, Rdi, s->Gpr[Rdi] + (ulong)(_step * size));

        public void CountDown(CpuState* s, ulong by)
        {
            Count -= by;
            Put(s, Rcx, Count);
        }

        private readonly void Put(CpuState* s, int register, ulong value) =>
            s->Gpr[register] = _mask == ushort.MaxValue ? (s->Gpr[register] & ~_mask) | (value & _mask) : value & _mask;
    }
}
