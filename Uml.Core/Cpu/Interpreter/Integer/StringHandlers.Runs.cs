using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>Repetitions within one page on each side, at once.</summary>
// SAFETY: handlers: the handler contract (Op). TryFind bounds a range by the end of a page whose TLB tag matches, so all of it is guest
// RAM; nothing is looked up between that and its use.
internal static unsafe partial class StringHandlers<TRepeat, T>
{
    /// <summary>Moves all elements within one page on both sides at once, upwards.</summary>
    private static bool TryMoveRun(CpuState* s, Op* op, ref StringAddress address)
    {
        ulong elements = Math.Min(address.Count, Repetitions.Room(s));
        if (!address.IsPlain(s, op) ||
            !TryFind(s, address.SourceOffset(s), write: false, ref elements, out byte* from) ||
            !TryFind(s, address.DestinationOffset(s), write: true, ref elements, out byte* to))
        {
            return false;
        }

        ulong bytes = elements * (ulong)sizeof(T);
        if (to > from && to < from + bytes)
        {
            // Overlapping upwards repeats the source: element by element, as the processor does.
            for (ulong i = 0; i < elements; i++)
            {
                Unsafe.WriteUnaligned(to + (i * (ulong)sizeof(T)), Unsafe.ReadUnaligned<T>(from + (i * (ulong)sizeof(T))));
            }
        }
        else
        {
            // SAFETY: both ranges lie within one mapped RAM page each.
            Buffer.MemoryCopy(from, to, bytes, bytes);
        }

        address.AdvanceSource(s, (int)bytes);
        address.AdvanceDestination(s, (int)bytes);
        address.CountDown(s, elements);
        return true;
    }

    private static bool TryStoreRun(CpuState* s, ref StringAddress address, T value)
    {
        ulong elements = Math.Min(address.Count, Repetitions.Room(s));
        if (!address.IsPlain(s) || !TryFind(s, address.DestinationOffset(s), write: true, ref elements, out byte* to))
        {
            return false;
        }

        // SAFETY: the range lies within one mapped RAM page.
        if (((nint)to & (sizeof(T) - 1)) == 0)
        {
            new Span<T>(to, (int)elements).Fill(value);
        }
        else
        {
            for (ulong i = 0; i < elements; i++)
            {
                Unsafe.WriteUnaligned(to + (i * (ulong)sizeof(T)), value);
            }
        }

        address.AdvanceDestination(s, (int)elements * sizeof(T));
        address.CountDown(s, elements);
        return true;
    }

    /// <summary>Compares the elements within one page on both sides, up to the pair that ends the repetition.</summary>
    private static bool TryCompareRun(CpuState* s, Op* op, ref StringAddress address)
    {
        ulong elements = Math.Min(address.Count, Repetitions.Room(s));
        if (!address.IsPlain(s, op) ||
            !TryFind(s, address.SourceOffset(s), write: false, ref elements, out byte* first) ||
            !TryFind(s, address.DestinationOffset(s), write: false, ref elements, out byte* second))
        {
            return false;
        }

        // SAFETY: both ranges lie within one mapped RAM page each.
        var a = new ReadOnlySpan<T>(first, (int)elements);
        var b = new ReadOnlySpan<T>(second, (int)elements);
        int end = TRepeat.WhileZero ? a.CommonPrefixLength(b) : IndexOfEqual(a, b);
        int last = Math.Min(end, a.Length - 1);
        Semantics.Sub.Apply<T>(s, Operand.Widen(a[last]), Operand.Widen(b[last]));
        address.AdvanceSource(s, (last + 1) * sizeof(T));
        address.AdvanceDestination(s, (last + 1) * sizeof(T));
        address.CountDown(s, (ulong)(last + 1));
        return true;
    }

    /// <summary>The index of the first equal pair, or the length of the ranges.</summary>
    private static int IndexOfEqual(ReadOnlySpan<T> a, ReadOnlySpan<T> b)
    {
        int i = 0;
        while (i < a.Length && !a[i].Equals(b[i]))
        {
            i++;
        }

        return i;
    }

    /// <summary>Scans the elements within one page, up to the one that ends the repetition.</summary>
    private static bool TryScanRun(CpuState* s, ref StringAddress address)
    {
        ulong elements = Math.Min(address.Count, Repetitions.Room(s));
        if (!address.IsPlain(s) || !TryFind(s, address.DestinationOffset(s), write: false, ref elements, out byte* start))
        {
            return false;
        }

        // SAFETY: the range lies within one mapped RAM page.
        var range = new ReadOnlySpan<T>(start, (int)elements);
        T value = Operand.Reg<T>(s, CpuState.GprStart);
        int end = TRepeat.WhileZero ? range.IndexOfAnyExcept(value) : range.IndexOf(value);
        int last = end < 0 ? range.Length - 1 : end;
        Semantics.Sub.Apply<T>(s, Operand.Widen(value), Operand.Widen(range[last]));
        address.AdvanceDestination(s, (last + 1) * sizeof(T));
        address.CountDown(s, (ulong)(last + 1));
        return true;
    }

    /// <summary>Finds the host address of the elements within one page, if the page is in the TLB.</summary>
    /// <param name="s">The CPU.</param>
    /// <param name="linear">Linear address of the first element.</param>
    /// <param name="write">Whether they will be written.</param>
    /// <param name="elements">The most elements wanted; receives how many are within the page.</param>
    /// <param name="host">Receives the host address.</param>
    /// <returns>False also when the first element crosses the page boundary.</returns>
    private static bool TryFind(CpuState* s, ulong linear, bool write, ref ulong elements, out byte* host)
    {
        TlbEntry* entry = Tlb.Entry(PagingState.Of(s)->Tlb, linear);
        elements = Math.Min(elements, (GuestRam.PageSize - Page.Offset(linear)) / (ulong)sizeof(T));
        host = entry->HostPage + Page.Offset(linear);
        return elements != 0 && (write ? entry->WriteTag : entry->ReadTag) == Page.Base(linear);
    }
}
