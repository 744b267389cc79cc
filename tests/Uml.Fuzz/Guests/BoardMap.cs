using Uml.Core.Memory;
using Uml.Devices.Platform;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Guests;

/// <summary>Where things are on the standard board, and numbers that make its devices do something.</summary>
internal static class BoardMap
{
    /// <summary>RAM of the machines that are attacked: 4 MiB.</summary>
    public const ulong MemorySize = 4 << 20;

    private static readonly (ulong Start, ulong Length)[] s_memory =
    [
        (MemoryMap.LocalApicStart, 0x400), (MemoryMap.LocalApicStart, 0x1000), (MemoryMap.LocalApicStart - 16, 32), (MemoryMap.LocalApicStart + 0xFF0, 32),
        (MemoryMap.IoApicStart, 0x50), (MemoryMap.IoApicStart + 0xFF8, 16), (MemoryMap.PciConfigStart, 0x100), (MemoryMap.PciConfigStart + 0x8000, 0x100),
        (MemoryMap.PciConfigStart, MemoryMap.PciConfigLength), (MemoryMap.PciConfigStart + MemoryMap.PciConfigLength - 8, 16),
        (MemoryMap.PciWindow32Start, 0x2000), (MemoryMap.PciWindow64Start, 0x2000), (GuestMemoryLayout.DeviceHoleStart - 8, 16),
        (MemorySize - 8, 16), (0xFFFF_FFF8, 16), (GuestMemoryLayout.DeviceHoleStart, 0x4000_0000),
    ];

    private static readonly (int Start, int Length)[] s_ports =
    [
        (0x3F8, 8), (0x2F8, 8), (0x3F5, 14), (0x70, 2), (0x6F, 4), (0x61, 1), (0x600, 6), (0x5FE, 10), (0x608, 2), (0x606, 6), (0x610, 12), (0x60E, 16), (0xCF8, 8), (0xCF6, 12), (0x64, 1), (0xF4, 4),
        (0x20, 2), (0x1E, 6), (0xA0, 2), (0x9F, 4), (0x40, 4), (0x40, 4), (0x3E, 8), (0x4D0, 2), (0x4CE, 6), (0x92, 1), (0x80, 1), (0xFFFC, 4), (0, 0x1_0000),
    ];

    private static readonly (uint Start, uint Length)[] s_msrs =
    [
        (0x10, 4), (0x1B, 1), (0x3B, 1), (0x174, 3), (0x179, 2), (0x1A0, 1), (0x1D9, 1), (0x200, 0x100), (0x277, 1), (0x6E0, 1), (0x800, 0x100),
        (0x808, 1), (0x830, 1), (0x832, 1), (0x838, 7), (0x83F, 1), (0xC000_0080, 8), (0xC000_0100, 4), (0x4B56_4D00, 2), (0, 0x1000), (0, uint.MaxValue),
    ];

    /// <summary>The registers that end the machine, as they should.</summary>
    private static readonly int[] s_ends = [0x64, 0x92, 0xF4, 0x605, 0xCF9];

    /// <summary>A guest-physical address at or around a device.</summary>
    public static ulong DeviceAddress(FuzzRandom random)
    {
        (ulong start, ulong length) = random.Pick(s_memory);
        ulong address = start + (random.UInt64() % length);
        return random.OneIn(3) ? address : address & ~3UL;
    }

    /// <summary>A port at or around a device. Those that end the machine are seldom among them.</summary>
    public static int Port(FuzzRandom random, int size)
    {
        while (true)
        {
            (int start, int length) = random.Pick(s_ports);
            int port = (start + random.Below(length)) & 0xFFFF;
            if (random.OneIn(200) || !Array.Exists(s_ends, end => end >= port && end < port + size))
            {
                return port;
            }
        }
    }

    public static uint Msr(FuzzRandom random)
    {
        (uint start, uint length) = random.Pick(s_msrs);
        return start + (uint)(random.UInt64() % length);
    }

    /// <summary>What to write to a register of a device.</summary>
    public static ulong Value(FuzzRandom random) => random.Below(12) switch
    {
        0 => 0xFEE0_0000 | (random.UInt64() & 0xD00), // IA32_APIC_BASE
        1 => 0x8000_0000 | (random.UInt64() & 0xFFFF), // configuration address, of device 0 or 1 most of the time
        2 => 0x8000_0000 | (random.UInt64() & 0x8FC),
        3 => MemoryMap.PciWindow32Start | (random.UInt64() & 0x3000), // base address registers
        4 => (random.UInt64() & 0xC_FFFF) | (random.OneIn(2) ? 0xC_0000UL : 0), // interrupt commands, redirection and local vector entries
        5 => (ulong)(16 + random.Below(240)),
        6 => Address(random) | (random.UInt64() & 1), // kvm-clock
        7 => 1UL << random.Below(64),
        8 => (ulong)random.Below(64), // timer counts, read-back and interrupt commands
        _ => random.Nasty(),
    };

    /// <summary>A guest-physical address that something is to be written to: anywhere, at the edges of RAM, or in what the guest lives on.</summary>
    public static ulong Address(FuzzRandom random) => random.Below(8) switch
    {
        0 => MemorySize - (ulong)random.Below(64),
        1 => DeviceAddress(random),
        2 => ulong.MaxValue - (ulong)random.Below(64),
        3 => (ulong)random.Below(0x2_0000),
        4 => 0x10_0000 + (ulong)random.Below(0x4000), // the code of guests that a boot protocol has loaded
        5 => random.Nasty(),
        _ => random.UInt64() % MemorySize,
    };
}
