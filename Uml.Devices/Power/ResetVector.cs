using Uml.Core.Machine;
using Uml.Devices.Platform;

namespace Uml.Devices.Power;

/// <summary>
/// The code at F000:FFF0, where a PC's firmware starts after reset. Kernels jump there in real mode to reboot; Linux does so by default
/// with hardware-reduced ACPI and without EFI. The code resets the machine.
/// </summary>
internal sealed class ResetVector() : StatelessDevice("reset-vector")
{
    // mov al, 6; mov dx, 0xCF9; out dx, al; wait: hlt; jmp wait
    private static ReadOnlySpan<byte> Code =>
    [
        0xB0, PowerControl.ResetValue, 0xBA, PortMap.ResetControl & 0xFF, PortMap.ResetControl >> 8, 0xEE, 0xF4, 0xEB, 0xFD,
    ];

    private IMachineContext? _machine;

    /// <inheritdoc/>
    public override void Attach(IMachineContext machine) => _machine = machine;

    /// <summary>Firmware is where it was, whatever the guest has written over it.</summary>
    public override void Reset() => FirmwareRegion.Write(_machine!, MemoryMap.ResetVector, Code);
}
