using Uml.Core.Memory;
using Uml.Devices.Platform;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Guests;

/// <summary>Where a guest whose system state is attacked has its tables, and numbers that mean something to them. All lies in the first 256 KiB.</summary>
internal static class SystemLayout
{
    /// <summary>Paging structures: four levels, PAE, two levels.</summary>
    public const ulong Paging = 0x1000, PageMap = 0x1000, Pointers = 0x2000, PageDirectory = 0x3000, Table = 0x4000, DeviceDirectory = 0x5000,
        PaePointers = 0x6000, PaeDirectory = 0x7000, LegacyDirectory = 0x8000, LegacyTable = 0x9000, PagingEnd = 0xA000;

    public const ulong Gdt = 0xA000, Ldt = 0xB000, Idt = 0xC000, Tss = 0xD000, TssEnd = 0xF000;

    public const ulong Code = 0x1_0000, CodeEnd = 0x2_0000, Stack = 0x2_0000, StackEnd = 0x3_0000, Data = 0x3_0000, End = 0x4_0000;

    // Selectors of the GDT as it is before it is damaged.
    public const ushort Code64 = 0x08, Data0 = 0x10, Code32 = 0x18, User32 = 0x23, UserData = 0x2B, User64 = 0x33, TaskSelector = 0x38, LocalTable = 0x48,
        CallGate = 0x58, Code16 = 0x68, TaskGate = 0x70;

    /// <summary>A linear or physical address in or at the edge of something.</summary>
    public static ulong Address(FuzzRandom random) => random.Below(10) switch
    {
        0 => Paging + (ulong)random.Below(0x9000),
        1 => Gdt + (ulong)random.Below(0x5000),
        2 or 3 => Code + (ulong)random.Below(0x1_0000),
        4 => Stack + (ulong)random.Below(0x1_0000),
        5 => BoardMap.DeviceAddress(random),
        6 => BoardMap.MemorySize - (ulong)random.Below(32),
        7 => random.Nasty(),
        _ => (Data + (ulong)random.Below(0x1_0000)) & ~63UL,
    };

    /// <summary>A selector: of an entry that was there, of any, or of none.</summary>
    public static ushort Selector(FuzzRandom random) => random.Below(4) switch
    {
        0 => (ushort)random.Nasty(),
        1 => (ushort)(random.Below(0x80) & ~4),
        2 => (ushort)random.Below(0x80),
        _ => random.Pick<ushort>([Code64, Data0, Code32, User32, UserData, User64, TaskSelector, LocalTable, CallGate, Code16, TaskGate]),
    };

    /// <summary>An entry of a paging structure, right or wrong in any way.</summary>
    public static ulong PageEntry(FuzzRandom random)
    {
        ulong target = random.Below(10) switch
        {
            0 or 1 => Paging + ((ulong)random.Below(9) << 12),
            2 or 3 => Code + ((ulong)random.Below(16) << 12),
            4 => BoardMap.MemorySize - 0x1000,
            5 => BoardMap.MemorySize + ((ulong)random.Below(2) << 12),
            6 => random.Pick<ulong>([MemoryMap.LocalApicStart, MemoryMap.IoApicStart, MemoryMap.PciConfigStart, GuestMemoryLayout.DeviceHoleStart, GuestMemoryLayout.HighRamStart]),
            7 => random.UInt64() & 0x3FFF_FFFF_F000,
            _ => (ulong)random.Below(0x400) << 12,
        };
        ulong entry = target | (random.OneIn(2) ? 0x67UL : (random.UInt64() & 0xFFF) | (random.OneIn(8) ? 0UL : 1));
        return entry ^ (random.Below(12) switch
        {
            0 => 1UL << 63,
            1 => 0x80,
            2 => 1UL << random.Below(64),
            _ => 0,
        });
    }

    /// <summary>An entry of a descriptor table: a template with damage, or any.</summary>
    public static ulong Descriptor(FuzzRandom random)
    {
        ulong descriptor = random.Pick<ulong>(
        [
            0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00CF_9B00_0000_FFFF, 0x00CF_FB00_0000_FFFF, 0x00AF_FB00_0000_FFFF, 0x0000_9B00_0000_FFFF,
            0x0000_8900_D000_0FFF, 0x0000_8200_B000_0FFF, 0x0000_EC00_0008_0000 | Code, 0x0000_E500_0038_0000, 0x0001_8E00_0008_0000, 0x0001_8F00_0018_0000,
            0x00CF_9700_0000_0FFF, 0x00CF_9F00_0000_FFFF,
        ]);
        return random.Below(4) switch
        {
            0 => descriptor ^ (random.UInt64() & 0x00F0_FF00_0000_0000),
            1 => descriptor ^ (1UL << random.Below(64)),
            2 => (descriptor & 0xFFFF_FF00_0000_0000) | (random.UInt64() & 0xFF_FFFF_FFFF),
            _ => random.UInt64(),
        };
    }
}
