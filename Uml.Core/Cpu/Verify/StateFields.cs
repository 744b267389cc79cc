using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Verify;

/// <summary>
/// The fields of <see cref="CpuState"/> that translated code may access, by their displacement from its stack pointer. All others, which
/// hold host addresses, it may not even read.
/// </summary>
internal static class StateFields
{
    private const int Word = sizeof(ulong);

    /// <summary>Fields that may be read and written: the guest's, and scratch of translated code.</summary>
    private static readonly (int Offset, int Size)[] Data =
    [
        (StateLayout.Gpr(12), 4 * Word), (StateLayout.PageRip, Word), (StateLayout.FlagWord, Word),
        (StateLayout.KeptFirst, Word), (StateLayout.KeptSecond, Word), (StateLayout.SystemFlags, Word), (StateLayout.KernelGsBase, Word),
        (StateLayout.SegmentBase(SegmentIndex.Gs), Word),
    ];

    /// <summary>Fields that may only be read.</summary>
    private static readonly (int Offset, int Size)[] ReadOnly =
    [
        (StateLayout.Poll, 4), (StateLayout.InterruptLine, 4), (StateLayout.Cpl, 1), (StateLayout.SegmentBase(SegmentIndex.Fs), Word),
        (StateLayout.SegmentSelector(SegmentIndex.Es), 2), (StateLayout.SegmentSelector(SegmentIndex.Cs), 2),
        (StateLayout.SegmentSelector(SegmentIndex.Ss), 2), (StateLayout.SegmentSelector(SegmentIndex.Ds), 2),
        (StateLayout.SegmentSelector(SegmentIndex.Fs), 2), (StateLayout.SegmentSelector(SegmentIndex.Gs), 2),
        (StateLayout.TscAux, Word), (StateLayout.TscAdjust, Word), (StateLayout.TimeStampBase, Word), (StateLayout.TimeStampLimit, Word),
        (StateLayout.TimeStampMultiplier, Word), (StateLayout.TimeStampValue, Word),
    ];

    /// <summary>Fields that are checked as <see cref="CheckedSlots"/>.</summary>
    private static readonly int[] Slots =
    [
        StateLayout.Spill, StateLayout.SecondSpill, StateLayout.GroupAddress(0), StateLayout.GroupAddress(1), StateLayout.GroupAddress(2),
        StateLayout.GroupAddress(3),
    ];

    /// <summary>The numbers of the first two slots.</summary>
    public const int Spill = 0, SecondSpill = 1;

    /// <summary>Whether an access lies within one field that allows it.</summary>
    public static bool Allow(long displacement, int size, bool write) =>
        IsIn(Data, displacement, size) || (!write && IsIn(ReadOnly, displacement, size));

    /// <summary>Where a slot begins.</summary>
    public static int StartOf(int slot) => Slots[slot];

    /// <summary>The slot that bytes lie in, or -1.</summary>
    public static int SlotOf(long displacement, int size)
    {
        for (int i = 0; i < Slots.Length; i++)
        {
            if (displacement >= Slots[i] && displacement + size <= Slots[i] + Word)
            {
                return i;
            }
        }

        return -1;
    }

    private static bool IsIn((int Offset, int Size)[] fields, long displacement, int size)
    {
        foreach ((int offset, int length) in fields)
        {
            if (displacement >= offset && displacement + size <= offset + length)
            {
                return true;
            }
        }

        return false;
    }
}
