using Uml.Core.Memory;

namespace Uml.Devices.Platform;

/// <summary>
/// The guest-physical addresses of the standard board's devices, in the hole that <see cref="GuestMemoryLayout"/> leaves for devices. From
/// <see cref="FirmwareStart"/> to <see cref="FirmwareEnd"/> is RAM that the guest's memory map marks as reserved.
/// </summary>
/// <remarks>Boot loaders report the firmware region and the configuration window as reserved (E820 type 2).</remarks>
public static class MemoryMap
{
    /// <summary>First byte that a guest must not use as RAM: legacy video memory and firmware, by PC tradition 640 KiB.</summary>
    public const ulong FirmwareStart = 0xA_0000;

    /// <summary>End of the firmware region: 1 MiB.</summary>
    public const ulong FirmwareEnd = 0x10_0000;

    /// <summary>
    /// The ACPI root pointer, the first of the ACPI tables. Also found by scanning (ACPI specification, 5.2.5.1).
    /// </summary>
    public const ulong AcpiRootPointer = 0xE_0000;

    /// <summary>End of the space for ACPI tables.</summary>
    public const ulong AcpiEnd = ResetVector;

    /// <summary>The real-mode code that resets the machine: F000:FFF0, 16 bytes.</summary>
    public const ulong ResetVector = 0xF_FFF0;

    /// <summary>PCI memory below 4 GiB.</summary>
    public const ulong PciWindow32Start = GuestMemoryLayout.DeviceHoleStart;

    /// <summary>Bytes of PCI memory below 4 GiB: 512 MiB.</summary>
    public const ulong PciWindow32Length = 0x2000_0000;

    /// <summary>PCI configuration space, memory-mapped (PCI Express Base Specification 6.0, 7.2.2): 1 MiB for bus 0.</summary>
    public const ulong PciConfigStart = 0xE000_0000;

    /// <summary>Bytes of the memory-mapped configuration space.</summary>
    public const ulong PciConfigLength = 0x10_0000;

    /// <summary>The I/O APIC.</summary>
    public const ulong IoApicStart = 0xFEC0_0000;

    /// <summary>Bytes that the I/O APIC decodes.</summary>
    public const ulong IoApicLength = 0x1000;

    /// <summary>The local APICs (Intel SDM vol. 3, 12.4.1), and where message-signalled interrupts are sent.</summary>
    public const ulong LocalApicStart = 0xFEE0_0000;

    /// <summary>Bytes that a local APIC decodes.</summary>
    public const ulong LocalApicLength = 0x1000;

    /// <summary>PCI memory above RAM: 1 TiB. The loader's limit for RAM keeps it well below.</summary>
    public const ulong PciWindow64Start = 0x100_0000_0000;

    /// <summary>Bytes of PCI memory above RAM: 256 GiB.</summary>
    public const ulong PciWindow64Length = 0x40_0000_0000;
}
