using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

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
/// MOVS, STOS, LODS, CMPS, SCAS (Intel SDM vol. 1, 7.3.9). Each repetition is precise: after a fault or an interrupt the registers reflect
/// the completed repetitions, and RIP is that of the instruction. Where no fault or interrupt is possible, all repetitions within a page
/// are done at once.
/// </summary>
// SAFETY: handlers: the handler contract (Op). Elements are accessed through Operand; runs of them as StringHandlers.Runs says.
internal static unsafe partial class StringHandlers<TRepeat, T>
    where TRepeat : struct, IRepeat
    where T : unmanaged, IEquatable<T>
{
    public static Op* Movs(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (!Begin(s, in address, clearsSource: true, clearsDestination: true))
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
                !Operand.LoadAt(s, from, op->Segment, out T value) ||
                !Operand.StoreAt(s, to, SegmentIndex.Es, value))
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
        while (address.Count != 0 && Repetitions.MayGoOn(s));
        return Finish(s, op, ref address);
    }

    public static Op* Stos(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (!Begin(s, in address, clearsSource: false, clearsDestination: true))
        {
            return op + 1;
        }

        T value = Operand.Reg<T>(s, CpuState.GprStart);
        do
        {
            if (TRepeat.Repeats && TryStoreRun(s, ref address, value))
            {
                continue;
            }

            if (!address.Destination(s, sizeof(T), write: true, out ulong to) || !Operand.StoreAt(s, to, SegmentIndex.Es, value))
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
        while (address.Count != 0 && Repetitions.MayGoOn(s));
        return Finish(s, op, ref address);
    }

    public static Op* Lods(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (!Begin(s, in address, clearsSource: false, clearsDestination: false))
        {
            return op + 1;
        }

        do
        {
            if (!address.Source(s, op, sizeof(T), out ulong from) || !Operand.LoadAt(s, from, op->Segment, out T value))
            {
                return null;
            }

            Operand.SetReg(s, CpuState.GprStart, value);
            address.AdvanceSource(s, sizeof(T));
            if (!TRepeat.Repeats)
            {
                return op + 1;
            }

            address.CountDown(s, 1);
        }
        while (address.Count != 0 && Repetitions.MayGoOn(s));
        return Finish(s, op, ref address);
    }

    public static Op* Cmps(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (!Begin(s, in address, clearsSource: false, clearsDestination: false))
        {
            return op + 1;
        }

        (ulong Result, ulong Aux) before = (s->FlagResult, s->FlagAux);
        do
        {
            if (!TRepeat.Repeats || !TryCompareRun(s, op, ref address))
            {
                if (!address.Source(s, op, sizeof(T), out ulong first) ||
                    !address.Destination(s, sizeof(T), write: false, out ulong second) ||
                    !Operand.LoadAt(s, second, SegmentIndex.Es, out T b) ||
                    !Operand.LoadAt(s, first, op->Segment, out T a))
                {
                    return FaultWithFlags(s, before);
                }

                Semantics.Sub.Apply<T>(s, Operand.Widen(a), Operand.Widen(b));
                address.AdvanceSource(s, sizeof(T));
                address.AdvanceDestination(s, sizeof(T));
                if (!TRepeat.Repeats)
                {
                    return op + 1;
                }

                address.CountDown(s, 1);
            }

            if (Flags.Zero(s) != TRepeat.WhileZero)
            {
                return Repetitions.End(s, op);
            }
        }
        while (address.Count != 0 && Repetitions.MayGoOn(s));
        return Finish(s, op, ref address);
    }

    public static Op* Scas(CpuState* s, Op* op)
    {
        StringAddress address = new(s, op);
        if (!Begin(s, in address, clearsSource: false, clearsDestination: false))
        {
            return op + 1;
        }

        (ulong Result, ulong Aux) before = (s->FlagResult, s->FlagAux);
        do
        {
            if (!TRepeat.Repeats || !TryScanRun(s, ref address))
            {
                if (!address.Destination(s, sizeof(T), write: false, out ulong at) || !Operand.LoadAt(s, at, SegmentIndex.Es, out T b))
                {
                    return FaultWithFlags(s, before);
                }

                Semantics.Sub.Apply<T>(s, Operand.Get<T>(s, CpuState.GprStart), Operand.Widen(b));
                address.AdvanceDestination(s, sizeof(T));
                if (!TRepeat.Repeats)
                {
                    return op + 1;
                }

                address.CountDown(s, 1);
            }

            if (Flags.Zero(s) != TRepeat.WhileZero)
            {
                return Repetitions.End(s, op);
            }
        }
        while (address.Count != 0 && Repetitions.MayGoOn(s));
        return Finish(s, op, ref address);
    }

    /// <summary>A comparison that faults leaves the flags of before the instruction, not those of the last repetition (Intel SDM vol. 2, REP).</summary>
    private static Op* FaultWithFlags(CpuState* s, (ulong Result, ulong Aux) before)
    {
        (s->FlagResult, s->FlagAux) = before;
        return null;
    }

    /// <returns>Whether there is anything to do.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Begin(CpuState* s, in StringAddress address, bool clearsSource, bool clearsDestination)
    {
        if (!TRepeat.Repeats)
        {
            return true;
        }

        address.BeginRepeat(s, clearsSource, clearsDestination);
        return address.Count != 0;
    }

    private static Op* Finish(CpuState* s, Op* op, ref StringAddress address) => address.Count == 0 ? Repetitions.End(s, op) : Flow.Suspend(s, op);
}
