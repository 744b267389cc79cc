using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Acpi;
using Uml.Devices.Interrupts;
using Uml.Devices.Platform;
using Uml.Devices.Power;

namespace Uml.Devices.Pci;

/// <summary>
/// The PCI host bridge with bus 0: finds the function behind a configuration access, memory-mapped (PCI Express Base
/// Specification 6.0, 7.2.2) or through ports 0xCF8 and 0xCFC (PCI Local Bus Specification 3.0, 3.2.2.3.2).
/// </summary>
/// <remarks>There are no buses behind bus 0.</remarks>
internal sealed class PciHostBridge : IMachineDevice, IBusDevice, IAcpiContributor, IPciBus
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

    // Function 0 of device 0 is the bridge itself; the others are devices of the machine.
    private readonly PciConfigSpace _own = new(Identity);
    private readonly PciFunction?[] _functions = new PciFunction?[DeviceCount];
    private readonly PciWindows _windows = new();
    private readonly PciConfigPorts _ports;
    private readonly PciSlots _slots;
    private readonly IInterruptRouter _router;
    private bool _isAttached;

    /// <summary>Makes a bridge; the reset control register lies among its ports.</summary>
    public PciHostBridge(PowerControl power, PciSlots slots, IInterruptRouter router)
    {
        _slots = slots;
        _router = router;
        _ports = new PciConfigPorts(this, power.ResetControl);
    }

    /// <inheritdoc/>
    public string Id => "pci";

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        machine.Bus.MapMemory(new(MemoryMap.PciConfigStart), MemoryMap.PciConfigLength, this);
        machine.Bus.MapPorts(PortMap.PciConfigAddress, PciConfigPorts.Count, _ports);
        _isAttached = true;
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">There are functions on the bus.</exception>
    public void Detach()
    {
        if (_functions.FirstOrDefault(function => function is not null) is { } function)
        {
            throw new InvalidOperationException($"PCI function '{function.Id}' is still on the bus; detach it first.");
        }

        _isAttached = false;
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _own.Reset();
        _ports.Reset();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        _own.SaveState(state);
        _ports.SaveState(state);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _own.RestoreState(state);
        _ports.RestoreState(state);
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The bridge is not attached.</exception>
    /// <exception cref="HotPlugException">The bus is full.</exception>
    public int Add(PciFunction function)
    {
        if (!_isAttached)
        {
            throw new InvalidOperationException("The PCI host bridge is not attached: register devices after the standard board.");
        }

        int device = Array.IndexOf(_functions, null, startIndex: 1);
        if (device < 0)
        {
            throw new HotPlugException(
                $"'{function.Id}' has no place: the PCI bus has room for {DeviceCount - 1} devices, and all are taken. Unplug one first.", HotPlugError.BusFull);
        }

        _functions[device] = function;

        // As firmware does, for guests without other information on interrupt routing.
        int interrupt = GetInterrupt(device, pin: 0);
        function.Config.Define8(PciConfig.InterruptLine, (byte)InterruptWires.GetPicInterrupt(interrupt));
        function.Config.Connect(function.Machine!.Bus, _windows, MapAll);
        function.Connect(_router, interrupt);
        _slots.Add(device);
        return device;
    }

    /// <inheritdoc/>
    public void Remove(PciFunction function)
    {
        int device = Array.IndexOf(_functions, function);
        if (device < 0)
        {
            return;
        }

        _functions[device] = null;
        function.Config.Disconnect(_windows);
        MapAll(restoring: false);
        _slots.Remove(device);
    }

    /// <inheritdoc/>
    public Task RequestEject(PciFunction function) => _slots.RequestEject(function.DeviceNumber);

    /// <inheritdoc/>
    public void RemindToEject(PciFunction function) => _slots.RemindToEject(function.DeviceNumber);

    /// <inheritdoc/>
    public EjectProgress WithdrawEject(PciFunction function) => _slots.WithdrawEject(function.DeviceNumber);

    /// <summary>The global system interrupt of an interrupt pin.</summary>
    /// <param name="device">Device number.</param>
    /// <param name="pin">0 for INTA# to 3 for INTD#.</param>
    public static int GetInterrupt(int device, int pin) => FirstInterrupt + ((device + pin) % InterruptCount);

    /// <inheritdoc/>
    public void Describe(AmlWriter scope)
    {
        const string Name = "PCI0";
        scope.Device(Name, bridge =>
        {
            bridge.NameEisaId("_HID", "PNP0A03");
            bridge.NameInteger("_UID", 0);
            bridge.NameInteger("_SEG", 0);
            bridge.NameInteger("_BBN", 0);
            bridge.NameResources("_CRS", new ResourceTemplate()
                .Buses(0, 1)
                .Io(PortMap.PciConfigAddress, PciConfigPorts.Count)
                .PortWindow(PortMap.PciWindowStart, PortMap.PciWindowLength)
                .MemoryWindow(MemoryMap.PciWindow32Start, MemoryMap.PciWindow32Length, isPrefetchable: false)
                .MemoryWindow(MemoryMap.PciWindow64Start, MemoryMap.PciWindow64Length, isPrefetchable: true));
            bridge.MethodChoosing(
                "_PRT", AcpiNames.InterruptModel, 4, BuildInterruptRouting(interrupt => interrupt), BuildInterruptRouting(InterruptWires.GetPicInterrupt));
            PciSlots.Describe(bridge, $"\\_SB.{Name}");
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
    internal uint ReadConfig(int address, int size)
    {
        int offset = address & (PciConfig.Length - 1);
        return (address >> 12) switch
        {
            0 => _own.Read(offset, size),
            var number when number % FunctionCount == 0 => _functions[number / FunctionCount]?.ReadConfig(offset, size) ?? uint.MaxValue,
            _ => uint.MaxValue,
        };
    }

    internal void WriteConfig(int address, int size, uint value)
    {
        int offset = address & (PciConfig.Length - 1);
        int number = address >> 12;
        if (number == 0)
        {
            _own.Write(offset, size, value);
        }
        else if (number % FunctionCount == 0)
        {
            _functions[number / FunctionCount]?.WriteConfig(offset, size, value);
        }
    }

    /// <summary>An address range was released: another function with the same address may claim it.</summary>
    private void MapAll(bool restoring)
    {
        foreach (PciFunction? function in _functions)
        {
            function?.Config.MapBars(restoring);
        }
    }

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
