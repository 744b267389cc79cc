using Uml.Core.Memory;

namespace Uml.Core.Boot;

/// <summary>
/// The layout of the data that the boot loader writes to guest RAM, and the guest's memory map. The addresses are our choice unless a
/// document is named; Linux reads all of it before it uses the first megabyte itself.
/// </summary>
public static class BootMemoryLayout
{
    /// <summary>The global descriptor table.</summary>
    public const ulong GdtAddress = 0x500;

    /// <summary>A 32-bit task state segment of zeros, 0x68 bytes, which the PVH entry state requires.</summary>
    public const ulong TaskSegmentAddress = 0x600;

    /// <summary>hvm_start_info, its memory map (128 entries of 24 bytes) and its module list, for PVH.</summary>
    public const ulong PvhInfoAddress = 0x1000;

    /// <summary>The first address behind the PVH information.</summary>
    public const ulong PvhInfoEnd = 0x3000;

    /// <summary>The multiboot information, memory map and module list.</summary>
    public const ulong MultibootInfoAddress = 0x3000;

    /// <summary>The first address behind the multiboot information.</summary>
    public const ulong MultibootInfoEnd = 0x7000;

    /// <summary>Linux's boot_params ("zero page"), one page.</summary>
    public const ulong ZeroPageAddress = 0x7000;

    /// <summary>The initial stack pointer, except in real mode and for multiboot; the stack is the page below.</summary>
    public const ulong StackTop = 0x9000;

    /// <summary>The identity map: a PML4, a page-directory-pointer table and four page directories of 2 MiB pages.</summary>
    public const ulong PageTableAddress = 0x9000;

    /// <summary>The first address behind the identity map.</summary>
    public const ulong PageTableEnd = PageTableAddress + (6 * PageBytes);

    /// <summary>The bytes of the address space that the identity map covers: the first 4 GiB.</summary>
    public const ulong IdentityMapBytes = 4UL << 30;

    /// <summary>The kernel command line, ending in a zero byte; module command lines follow it.</summary>
    public const ulong CommandLineAddress = 0x20000;

    /// <summary>The first address behind the command lines.</summary>
    public const ulong CommandLineEnd = 0x30000;

    /// <summary>The end of conventional memory in the map, where PCs have the extended BIOS data area.</summary>
    public const ulong LowMemoryEnd = 0x9fc00;

    /// <summary>The start of the region for ACPI tables; where a guest looks for the RSDP (ACPI 6.5, section 5.2.5.1).</summary>
    public const ulong AcpiAddress = 0xe0000;

    /// <summary>The first address behind the region for ACPI tables, and the first where kernels and initrds are loaded.</summary>
    public const ulong HighMemoryStart = 0x100000;

    /// <summary>The least RAM that a memory map is made for.</summary>
    public const ulong MinimumRamBytes = 2UL << 20;

    /// <summary>The most RAM that a memory map is made for: 512 GiB, a limit of ours.</summary>
    public const ulong MaximumRamBytes = 512UL << 30;

    /// <summary>The size of a page.</summary>
    public const ulong PageBytes = GuestRam.PageSize;

    /// <summary>Makes the memory map of a machine.</summary>
    /// <param name="ramBytes">The size of guest RAM, a multiple of 4 KiB from 2 MiB to 512 GiB.</param>
    /// <returns>The ranges, ascending.</returns>
    /// <exception cref="MachineConfigurationException">The size is out of range or not a multiple of 4 KiB.</exception>
    public static IReadOnlyList<MemoryMapEntry> CreateMemoryMap(ulong ramBytes)
    {
        if (ramBytes % PageBytes != 0)
        {
            throw new MachineConfigurationException(
                $"Guest memory of {ramBytes} bytes is not a multiple of the page size {PageBytes}; "
                + $"use {ramBytes / PageBytes * PageBytes} or {((ramBytes / PageBytes) + 1) * PageBytes}.");
        }

        if (ramBytes is < MinimumRamBytes or > MaximumRamBytes)
        {
            throw new MachineConfigurationException(
                $"Guest memory of {ramBytes} bytes ({Describe.Size(ramBytes)}) is outside {Describe.Size(MinimumRamBytes)} to "
                + $"{Describe.Size(MaximumRamBytes)}; Linux kernels of distributions want at least 64 MiB.");
        }

        List<MemoryMapEntry> map =
        [
            new(0, LowMemoryEnd, MemoryMapEntryType.Usable),
            new(LowMemoryEnd, 0xa0000 - LowMemoryEnd, MemoryMapEntryType.Reserved),
            new(AcpiAddress, HighMemoryStart - AcpiAddress, MemoryMapEntryType.Reserved),
            new(HighMemoryStart, Math.Min(ramBytes, GuestMemoryLayout.DeviceHoleStart) - HighMemoryStart, MemoryMapEntryType.Usable),
        ];
        if (ramBytes > GuestMemoryLayout.DeviceHoleStart)
        {
            map.Add(new(GuestMemoryLayout.HighRamStart, ramBytes - GuestMemoryLayout.DeviceHoleStart, MemoryMapEntryType.Usable));
        }

        return map;
    }
}
