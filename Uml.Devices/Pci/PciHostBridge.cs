using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Interrupts;
using Uml.Devices.Platform;
using Uml.Devices.Platform.Acpi;

namespace Uml.Devices.Pci;

/// <summary>
/// The PCI host bridge with bus 0: finds the function behind a configuration access, memory-mapped (PCI Express Base
/// Specification 6.0, 7.2.2) or through ports 0xCF8 and 0xCFC (PCI Local Bus Specification 3.0, 3.2.2.3.2).
/// </summary>
/// <remarks>There is no I/O port space behind the bridge, and there are no buses behind bus 0.</remarks>
internal sealed class PciHostBridge : IMachineDevice, IBusDevice, IAcpiContributor
{
    /// <summary>Device numbers on the bus.</summary>
    public const int DeviceCount = 32;

    private const int FunctionCount = 8;
    private const int PinCount = 4;

    // Interrupt pins share the I/O APIC's inputs above those of the ISA bus.
    private const int FirstInterrupt = 16;
    private const int InterruptCount = 8;

    // "QEMU PCIe host bridge", the generic one of the PCI ID list; no driver binds to it.
    private static readonly PciIdentity Identity = new(Vendor: 0x1B36, Device: 0x0008, ClassCode: 0x06_00_00);

    private readonly PciFunction?[] _functions = new PciFunction?[DeviceCount * FunctionCount];
    private readonly PciWindows _windows = new();
    private readonly PowerControl _power;
    private IMachineBus? _bus;

    /// <summary>Makes a bridge; the reset control register lies among its ports.</summary>
    public PciHostBridge(PowerControl power)
    {
        _power = power;
        _functions[0] = new PciFunction(Identity);
    }

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        _bus = machine.Bus;
        _bus.MapMemory(new(MemoryMap.PciConfigStart), MemoryMap.PciConfigLength, this);
        _bus.MapPorts(PortMap.PciConfigAddress, PciConfigPorts.Count, new PciConfigPorts(this, _power.ResetControl));
    }

    /// <summary>Plugs a function in as function 0 of the next free device number; to be called after <see cref="Attach"/>.</summary>
    /// <returns>The device number.</returns>
    /// <exception cref="InvalidOperationException">The bus is full, or the bridge is not attached.</exception>
    public int Add(PciFunction function)
    {
        if (_bus is null)
        {
            throw new InvalidOperationException("The PCI host bridge is not attached: register devices after the standard board.");
        }

        for (int device = 1; device < DeviceCount; device++)
        {
            ref var slot = ref _functions[device * FunctionCount];
            if (slot is null)
            {
                slot = function;

                // As firmware does, for guests that know of no other routing.
                function.WriteConfig(PciConfig.InterruptLine, 1, (uint)InterruptWires.GetPicInterrupt(GetInterrupt(device, pin: 0)));
                function.Connect(_bus, _windows);
                return device;
            }
        }

        throw new InvalidOperationException($"The PCI bus has room for {DeviceCount - 1} devices.");
    }

    /// <summary>The global system interrupt of an interrupt pin.</summary>
    /// <param name="device">Device number.</param>
    /// <param name="pin">0 for INTA# to 3 for INTD#.</param>
    public static int GetInterrupt(int device, int pin) => FirstInterrupt + ((device + pin) % InterruptCount);

    /// <inheritdoc/>
    public void Describe(AmlWriter scope)
    {
        scope.Device("PCI0", bridge =>
        {
            bridge.NameEisaId("_HID", "PNP0A03");
            bridge.NameInteger("_UID", 0);
            bridge.NameInteger("_SEG", 0);
            bridge.NameInteger("_BBN", 0);
            bridge.NameResources("_CRS", new ResourceTemplate()
                .Buses(0, 1)
                .Io(PortMap.PciConfigAddress, PciConfigPorts.Count)
                .MemoryWindow(MemoryMap.PciWindow32Start, MemoryMap.PciWindow32Length, isPrefetchable: false)
                .MemoryWindow(MemoryMap.PciWindow64Start, MemoryMap.PciWindow64Length, isPrefetchable: true));
            bridge.MethodChoosing(
                "_PRT", AcpiTables.InterruptModel, 4, BuildInterruptRouting(interrupt => interrupt), BuildInterruptRouting(InterruptWires.GetPicInterrupt));
        });

        // Guests use the memory-mapped configuration space only if some device owns its addresses (PCI Firmware
        // Specification 3.2, 4.1.2).
        scope.Device("MBRD", board =>
        {
            board.NameEisaId("_HID", "PNP0C02");
            board.NameResources("_CRS", new ResourceTemplate().Memory32(MemoryMap.PciConfigStart, MemoryMap.PciConfigLength));
        });
    }

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size) => size == sizeof(ulong)
        ? ReadConfig((int)offset, sizeof(uint)) | ((ulong)ReadConfig((int)offset + sizeof(uint), sizeof(uint)) << 32)
        : ReadConfig((int)offset, size);

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        if (size == sizeof(ulong))
        {
            WriteConfig((int)offset, sizeof(uint), (uint)value);
            WriteConfig((int)offset + sizeof(uint), sizeof(uint), (uint)(value >> 32));
        }
        else
        {
            WriteConfig((int)offset, size, (uint)value);
        }
    }

    // The address of a register: function number in bits 12 to 14, device number in bits 15 to 19.
    internal uint ReadConfig(int address, int size) =>
        _functions[address >> 12]?.ReadConfig(address & (PciConfig.Length - 1), size) ?? uint.MaxValue;

    internal void WriteConfig(int address, int size, uint value) =>
        _functions[address >> 12]?.WriteConfig(address & (PciConfig.Length - 1), size, value);

    // Address with all functions, pin, no link device, interrupt (ACPI specification 6.5, 6.2.13).
    private static ulong[] BuildInterruptRouting(Func<int, int> translate)
    {
        const ulong AllFunctions = 0xFFFF;
        var table = new List<ulong>(DeviceCount * PinCount * 4);
        for (int device = 0; device < DeviceCount; device++)
        {
            for (int pin = 0; pin < PinCount; pin++)
            {
                table.AddRange([((ulong)device << 16) | AllFunctions, (ulong)pin, 0, (ulong)translate(GetInterrupt(device, pin))]);
            }
        }

        return [.. table];
    }
}
