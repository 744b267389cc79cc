using System.Buffers.Binary;
using System.Globalization;
using Uml.Core.Bus;
using Uml.Devices.Timers;

namespace Uml.Devices.Platform.Acpi;

/// <summary>
/// The firmware's description of the board (ACPI specification 6.5, chapter 5), written to guest RAM at
/// <see cref="MemoryMap.AcpiRootPointer"/>. Hardware-reduced: there are no fixed registers but those for sleep and reset.
/// </summary>
internal sealed class AcpiTables(IEnumerable<IAcpiContributor> contributors) : IMachineDevice
{
    private const ulong Alignment = 16;

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The machine has less than 1 MiB of RAM.</exception>
    public void Attach(IMachineContext machine)
    {
        const int RootPointerLength = 36;
        ulong next = Align(MemoryMap.AcpiRootPointer + RootPointerLength);
        ulong dsdt = Place(machine, ref next, BuildNamespace());
        ulong fixedDescription = Place(machine, ref next, BuildFixedDescription(dsdt));
        ulong interrupts = Place(machine, ref next, BuildInterrupts(machine.Processors));
        ulong configuration = Place(machine, ref next, BuildPciConfiguration());
        ulong root = Place(machine, ref next, new AcpiTable("XSDT", 1).U64(fixedDescription).U64(interrupts).U64(configuration).ToArray());
        Write(machine, MemoryMap.AcpiRootPointer, BuildRootPointer(root));
    }

    private static ulong Place(IMachineContext machine, ref ulong next, byte[] table)
    {
        ulong address = next;
        next = Align(address + (ulong)table.Length);
        Write(machine, address, table);
        return address;
    }

    private static void Write(IMachineContext machine, ulong address, ReadOnlySpan<byte> bytes)
    {
        if (address + (ulong)bytes.Length > MemoryMap.AcpiEnd)
        {
            throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture,
                $"The ACPI tables need more than the {MemoryMap.AcpiEnd - MemoryMap.AcpiRootPointer} bytes there are: attach fewer devices."));
        }

        FirmwareRegion.Write(machine, address, bytes);
    }

    private static ulong Align(ulong address) => (address + Alignment - 1) & ~(Alignment - 1);

    /// <summary>The differentiated system description table: the namespace (5.2.11.1).</summary>
    private byte[] BuildNamespace()
    {
        var aml = new AmlWriter();

        // The elements for PM1 control registers, which do not exist, repeat the sleep type (7.4.2).
        aml.NameIntegers("\\_S5", PowerControl.SoftOffSleepType, PowerControl.SoftOffSleepType, 0, 0);
        aml.Scope("\\_SB", scope =>
        {
            foreach (var contributor in contributors)
            {
                contributor.Describe(scope);
            }
        });
        return new AcpiTable("DSDT", 2).Bytes(aml.ToArray()).ToArray();
    }

    /// <summary>The fixed ACPI description table (5.2.9).</summary>
    private static byte[] BuildFixedDescription(ulong dsdt)
    {
        const byte Revision = 6;
        const byte MinorRevision = 5;
        const ushort VgaNotPresent = 1 << 2;
        const uint Wbinvd = 1 << 0;
        const uint NoFixedPowerButton = 1 << 4;
        const uint NoFixedSleepButton = 1 << 5;
        const uint ResetRegister = 1 << 10;
        const uint HardwareReduced = 1 << 20;
        return new AcpiTable("FACP", Revision)
            .PadTo(40).U32((uint)dsdt)
            .PadTo(108).U8(RealTimeClock.Century)
            .U16(VgaNotPresent)
            .PadTo(112).U32(Wbinvd | NoFixedPowerButton | NoFixedSleepButton | ResetRegister | HardwareReduced)
            .PortRegister(PortMap.ResetControl).U8(PowerControl.ResetValue)
            .PadTo(131).U8(MinorRevision)
            .PadTo(140).U64(dsdt)
            .PadTo(244).PortRegister(PortMap.SleepControl)
            .PortRegister(PortMap.SleepStatus)
            .PadTo(276)
            .ToArray();
    }

    /// <summary>
    /// The multiple APIC description table (5.2.12). ISA interrupts are identity mapped, edge-triggered and active high, which is what
    /// a guest assumes when no override says otherwise; there are no 8259 controllers.
    /// </summary>
    private static byte[] BuildInterrupts(IReadOnlyList<IProcessor> processors)
    {
        const byte LocalApicType = 0;
        const byte IoApicType = 1;
        const byte LocalX2ApicType = 9;
        const int FirstX2ApicId = 255;
        const uint Enabled = 1;
        const byte IoApicId = 0;
        var table = new AcpiTable("APIC", 5).U32((uint)MemoryMap.LocalApicStart).U32(0);
        foreach (var processor in processors)
        {
            // IDs above 254 do not fit the older structure (5.2.12.12).
            uint id = (uint)processor.Index;
            _ = processor.Index < FirstX2ApicId
                ? table.U8(LocalApicType).U8(8).U8((byte)id).U8((byte)id).U32(Enabled)
                : table.U8(LocalX2ApicType).U8(16).U16(0).U32(id).U32(Enabled).U32(id);
        }

        return table.U8(IoApicType).U8(12).U8(IoApicId).U8(0).U32((uint)MemoryMap.IoApicStart).U32(0).ToArray();
    }

    /// <summary>Where PCI configuration space is (PCI Firmware Specification 3.2, 4.1.2).</summary>
    private static byte[] BuildPciConfiguration()
    {
        const ulong BusLength = 1 << 20;
        const byte LastBus = (byte)((MemoryMap.PciConfigLength / BusLength) - 1);
        return new AcpiTable("MCFG", 1).U64(0).U64(MemoryMap.PciConfigStart).U16(0).U8(0).U8(LastBus).U32(0).ToArray();
    }

    /// <summary>The root system description pointer (5.2.5.3): two checksums, the first over what revision 0 had.</summary>
    private static byte[] BuildRootPointer(ulong root)
    {
        const int Revision0Length = 20;
        byte[] pointer = new byte[36];
        "RSD PTR "u8.CopyTo(pointer);
        "UML   "u8.CopyTo(pointer.AsSpan(9));
        pointer[15] = 2;
        BinaryPrimitives.WriteInt32LittleEndian(pointer.AsSpan(20), pointer.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(pointer.AsSpan(24), root);
        pointer[8] = AcpiTable.Checksum(pointer.AsSpan(0, Revision0Length));
        pointer[32] = AcpiTable.Checksum(pointer);
        return pointer;
    }
}
