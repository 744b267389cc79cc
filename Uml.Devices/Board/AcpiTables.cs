using System.Buffers.Binary;
using System.Globalization;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Acpi;
using Uml.Devices.Platform;
using Uml.Devices.Power;
using Uml.Devices.Timers;

namespace Uml.Devices.Board;

/// <summary>
/// The firmware's description of the board (ACPI specification 6.5, chapter 5), written to guest RAM at
/// <see cref="MemoryMap.AcpiRootPointer"/>. It has the fixed registers that ACPI requires of a PC, because guests treat a board with 8259
/// controllers as one.
/// </summary>
internal sealed class AcpiTables() : StatelessDevice("acpi")
{
    private const ulong Alignment = 16;
    private const ulong FirmwareControlAlignment = 64;

    private IMachineContext? _machine;

    /// <summary>The end of the tables at their last writing.</summary>
    private ulong _end = MemoryMap.AcpiRootPointer;

    /// <inheritdoc/>
    public override void Attach(IMachineContext machine) => _machine = machine;

    /// <summary>Describes the devices that are attached.</summary>
    /// <exception cref="InvalidOperationException">The machine has less than 1 MiB of RAM, or a device has no valid description.</exception>
    public override void Reset()
    {
        IMachineContext machine = _machine!;

        // Clears tables of devices that were detached.
        Write(machine, MemoryMap.AcpiRootPointer, new byte[_end - MemoryMap.AcpiRootPointer]);
        const int RootPointerLength = 36;
        ulong next = Align(MemoryMap.AcpiRootPointer + RootPointerLength);
        ulong dsdt = Place(machine, ref next, BuildNamespace(machine.Devices));
        next = Align(next, FirmwareControlAlignment);
        ulong firmwareControl = Place(machine, ref next, BuildFirmwareControl());
        ulong fixedDescription = Place(machine, ref next, BuildFixedDescription(dsdt, firmwareControl));
        ulong interrupts = Place(machine, ref next, BuildInterrupts(machine.Processors));
        ulong configuration = Place(machine, ref next, BuildPciConfiguration());
        ulong root = Place(machine, ref next, new AcpiTable("XSDT", 1).U64(fixedDescription).U64(interrupts).U64(configuration).ToArray());
        Write(machine, MemoryMap.AcpiRootPointer, BuildRootPointer(root));
        _end = next;
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

    private static ulong Align(ulong address, ulong alignment = Alignment) => (address + alignment - 1) & ~(alignment - 1);

    /// <summary>The differentiated system description table: the namespace (5.2.11.1).</summary>
    private static byte[] BuildNamespace(IReadOnlyList<IMachineDevice> devices)
    {
        var aml = new AmlWriter();

        // The element for the second PM1 control register, which does not exist, repeats the sleep type (7.4.2).
        aml.NameIntegers("\\_S5", PowerControl.SoftOffSleepType, PowerControl.SoftOffSleepType, 0, 0);

        // The guest selects its interrupt model (5.8.1).
        aml.NameInteger(AcpiNames.InterruptModel, 0);
        aml.MethodSetting("\\_PIC", AcpiNames.InterruptModel);
        aml.Scope("\\_SB", scope =>
        {
            foreach (IMachineDevice device in devices)
            {
                Describe(device, scope);
            }
        });
        return new AcpiTable("DSDT", 2).Bytes(aml.ToArray()).ToArray();
    }

    private static void Describe(IMachineDevice device, AmlWriter scope)
    {
        try
        {
            (device as IAcpiContributor)?.Describe(scope);
        }
        catch (ArgumentException e)
        {
            throw new InvalidOperationException($"Device '{device.Id}' has no valid description in the ACPI tables: {e.Message}", e);
        }
    }

    /// <summary>The firmware ACPI control structure (5.2.10), which has no checksum: a signature, a length and a lock.</summary>
    private static byte[] BuildFirmwareControl()
    {
        const int Length = 64;
        const byte Version = 2;
        byte[] table = new byte[Length];
        "FACS"u8.CopyTo(table);
        table[4] = Length;
        table[32] = Version;
        return table;
    }

    /// <summary>The fixed ACPI description table (5.2.9). Without an SMI command port the machine is always in ACPI mode.</summary>
    private static byte[] BuildFixedDescription(ulong dsdt, ulong firmwareControl)
    {
        const byte Revision = 6;
        const byte MinorRevision = 5;
        const int EventLength = 4, ControlLength = 2;
        const ushort NoDeepProcessorState = 0xFFF;
        const ushort VgaNotPresent = 1 << 2;
        const uint Wbinvd = 1 << 0;
        const uint ProcessorsHalt = 1 << 2;
        const uint NoFixedPowerButton = 1 << 4;
        const uint NoFixedSleepButton = 1 << 5;
        const uint NoFixedClock = 1 << 6;
        const uint ResetRegister = 1 << 10;
        return new AcpiTable("FACP", Revision)
            .U32((uint)firmwareControl).U32((uint)dsdt)
            .PadTo(46).U16(GeneralPurposeEvents.SystemControlInterrupt)
            .PadTo(56).U32(PortMap.PowerManagementEvents)
            .PadTo(64).U32(PortMap.PowerManagementControl)
            .PadTo(80).U32(PortMap.GeneralPurposeEvents)
            .PadTo(88).U8(EventLength).U8(ControlLength)
            .PadTo(92).U8(GeneralPurposeEvents.Length)
            .PadTo(96).U16(NoDeepProcessorState).U16(NoDeepProcessorState)
            .PadTo(108).U8(Mc146818.Century)
            .U16(VgaNotPresent)
            .PadTo(112).U32(Wbinvd | ProcessorsHalt | NoFixedPowerButton | NoFixedSleepButton | NoFixedClock | ResetRegister)
            .PortRegisters(PortMap.ResetControl, 1, accessBytes: 1).U8(PowerControl.ResetValue)
            .PadTo(131).U8(MinorRevision)
            .PadTo(140).U64(dsdt)
            .PortRegisters(PortMap.PowerManagementEvents, EventLength, accessBytes: 2)
            .PadTo(172).PortRegisters(PortMap.PowerManagementControl, ControlLength, accessBytes: 2)
            .PadTo(220).PortRegisters(PortMap.GeneralPurposeEvents, GeneralPurposeEvents.Length, accessBytes: 1)
            .PadTo(276)
            .ToArray();
    }

    /// <summary>
    /// The multiple APIC description table (5.2.12). ISA interrupts are identity mapped, edge-triggered and active high, which is what
    /// a guest assumes when no override says otherwise, but for the system control interrupt. There are 8259 controllers beside the I/O APIC.
    /// </summary>
    private static byte[] BuildInterrupts(IReadOnlyList<IProcessor> processors)
    {
        const byte LocalApicType = 0;
        const byte IoApicType = 1;
        const byte LocalX2ApicType = 9;
        const int FirstX2ApicId = 255;
        const uint Enabled = 1;
        const byte InterruptOverrideType = 2;
        const byte IoApicId = 0;
        const uint HasPics = 1;
        const ushort ActiveHighLevel = 0xD;
        var table = new AcpiTable("APIC", 5).U32((uint)MemoryMap.LocalApicStart).U32(HasPics);
        foreach (var processor in processors)
        {
            // IDs above 254 do not fit the older structure (5.2.12.12).
            uint id = (uint)processor.Index;
            _ = processor.Index < FirstX2ApicId
                ? table.U8(LocalApicType).U8(8).U8((byte)id).U8((byte)id).U32(Enabled)
                : table.U8(LocalX2ApicType).U8(16).U16(0).U32(id).U32(Enabled).U32(id);
        }

        return table.U8(IoApicType).U8(12).U8(IoApicId).U8(0).U32((uint)MemoryMap.IoApicStart).U32(0)
            .U8(InterruptOverrideType).U8(10).U8(0).U8(GeneralPurposeEvents.SystemControlInterrupt).U32(GeneralPurposeEvents.SystemControlInterrupt).U16(ActiveHighLevel)
            .ToArray();
    }

    /// <summary>The address of PCI configuration space (PCI Firmware Specification 3.2, 4.1.2).</summary>
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
