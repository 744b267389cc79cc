namespace Uml.Differential.Tests.Engines;

/// <summary>
/// The address space of a test program. Every engine puts the same things at the same virtual addresses, so that addresses in
/// registers, RIP-relative operands and fault addresses compare equal. All but one window lie below 2 GiB, where every addressing
/// form reaches them and 32-bit code can live.
/// </summary>
internal static class Layout
{
    public const int PageSize = 4096;

    /// <summary>Everything from here to <see cref="ReservedEnd"/> is inaccessible unless it is listed below.</summary>
    public const ulong ReservedStart = 0x1800_0000, ReservedEnd = 0x7000_0000;

    /// <summary>One executable page of code, followed by an inaccessible one.</summary>
    public const ulong Code = 0x2000_0000;

    /// <summary>Offset of a program within the code page: room for exit slots before and behind it.</summary>
    public const int ProgramOffset = 0x800;
    public const ulong Program = Code + ProgramOffset;

    /// <summary>Exit slots that branches may aim at, <see cref="SlotStride"/> apart, each side within reach of a short jump.</summary>
    public const ulong SlotBefore = Program - (4 * SlotStride), SlotBehind = Program + 0x40;
    public const int SlotStride = 0x20;

    /// <summary>Longest single instruction with its fall-through slot fits before <see cref="SlotBehind"/>; programs overwrite these slots.</summary>
    public const int MaxProgramSize = 0x600;

    /// <summary>Two writable pages, then a read-only one.</summary>
    public const ulong Data = 0x2100_0000;
    public const ulong ReadOnlyData = Data + (2 * PageSize);

    public const ulong Stack = 0x2200_0000;

    /// <summary>A page above 4 GiB.</summary>
    public const ulong High = 0x12_3450_0000;
    public const ulong HighReservedStart = High - 0x10_0000, HighReservedEnd = High + 0x10_0000;

    /// <summary>The data windows in the order of the memory image.</summary>
    public static readonly Window[] Windows =
    [
        new(Data, 2 * PageSize, Writable: true),
        new(ReadOnlyData, PageSize, Writable: false),
        new(Stack, PageSize, Writable: true),
        new(High, PageSize, Writable: true),
    ];

    public const int MemorySize = 5 * PageSize;

    /// <summary>Selectors of the Linux GDT, which the host's processor has loaded.</summary>
    public const ushort UserCode32 = 0x23, UserData = 0x2B, UserCode64 = 0x33;

    /// <summary>Offset of an address within the memory image, or -1 when it lies in no window.</summary>
    public static int OffsetOf(ulong address)
    {
        int offset = 0;
        foreach (Window window in Windows)
        {
            if (address - window.Start < (ulong)window.Size)
            {
                return offset + (int)(address - window.Start);
            }

            offset += window.Size;
        }

        return -1;
    }

    /// <summary>The reverse of <see cref="OffsetOf"/>.</summary>
    public static ulong AddressOf(int offset)
    {
        foreach (Window window in Windows)
        {
            if (offset < window.Size)
            {
                return window.Start + (ulong)offset;
            }

            offset -= window.Size;
        }

        throw new ArgumentOutOfRangeException(nameof(offset));
    }

    /// <summary>
    /// Whether an access around an address can only hit the windows or fault, in every engine: it is non-canonical or in space
    /// reserved for the test. Addresses of the kernel's half are out: whether they fault as present differs.
    /// </summary>
    public static bool IsSafe(ulong address, int margin)
    {
        ulong low = address - (ulong)margin, high = address + (ulong)margin;
        if (low < Code + PageSize && high >= Code)
        {
            return false; // exit slots are each engine's own code
        }

        return (low >= ReservedStart && high < ReservedEnd && low < high)
            || (low >= HighReservedStart && high < HighReservedEnd && low < high)
            || (IsNonCanonical(low) && IsNonCanonical(high) && low < high);
    }

    public static bool IsNonCanonical(ulong address) => address is >= 0x0000_8000_0000_0000 and < 0xFFFF_8000_0000_0000;
}

/// <summary>A range of memory that test programs may touch.</summary>
internal readonly record struct Window(ulong Start, int Size, bool Writable);
