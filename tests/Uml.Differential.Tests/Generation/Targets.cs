using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>Addresses worth accessing.</summary>
internal static class Targets
{
    /// <summary>Where a memory operand of <paramref name="size"/> bytes goes: mostly a window, sometimes an edge or a fault.</summary>
    public static ulong Choose(ref Rng rng, int size, bool reachesHigh)
    {
        ulong address = rng.Below(32) switch
        {
            < 20 => Layout.Data + 64 + (ulong)rng.Below((2 * Layout.PageSize) - 128 - size),
            < 23 => Layout.Data + Layout.PageSize - (ulong)rng.Below(size + 16), // around a page boundary
            < 24 => Layout.ReadOnlyData - (ulong)rng.Below(size + 16),
            < 25 => Layout.ReadOnlyData + (ulong)rng.Below(Layout.PageSize),
            < 26 => Layout.ReadOnlyData + Layout.PageSize - (ulong)rng.Below(size + 16), // runs into inaccessible space
            < 27 => Layout.Data - (ulong)rng.Below(size + 16),
            < 28 => Layout.Data + 0x10_0000 + (ulong)rng.Below(Layout.PageSize), // inaccessible
            < 31 when reachesHigh => Layout.High + (ulong)rng.Below(Layout.PageSize - size),
            < 32 when reachesHigh => 0x0000_8000_0000_0000 + (rng.Next() >> 1) % 0xFFFE_0000_0000_0000 + 0x10000,
            _ => Layout.Data + (ulong)rng.Below(Layout.PageSize),
        };

        // Vector operands need alignment to do anything; the rest of the time they shall complain about it.
        return size >= 16 && !rng.OneIn(5) ? address & ~(ulong)(size >= 64 ? 63 : size >= 32 ? 31 : 15) : address;
    }

    public static ulong ChooseStack(ref Rng rng, int bitness)
    {
        ulong pointer = rng.Below(16) switch
        {
            0 => Layout.Stack + (ulong)rng.Below(40),
            1 => Layout.Stack + Layout.PageSize - (ulong)rng.Below(40),
            2 when bitness == 64 && rng.OneIn(3) => 0x1234_0000_0000_0000 + (ulong)rng.Below(256),
            _ => Layout.Stack + 0x200 + (ulong)rng.Below(0xC00),
        };
        return rng.OneIn(5) ? pointer : pointer & ~7UL;
    }

    /// <summary>Where a branch goes: an exit slot, or memory that may not be executed.</summary>
    public static ulong ChooseBranch(ref Rng rng, int bitness) => rng.Below(16) switch
    {
        0 => Layout.Data + (ulong)rng.Below(Layout.PageSize),
        1 => Layout.Data + 0x10_0000,
        2 when bitness == 64 && rng.OneIn(3) => Layout.High + 0x8000,
        < 9 => Layout.SlotBefore,
        _ => Layout.SlotBehind,
    };
}
