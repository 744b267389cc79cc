using Uml.Core.Machine;

namespace Uml.Devices.Platform;

/// <summary>
/// The code at F000:FFF0, where a PC's firmware starts after reset. Kernels go there in real mode as a way to reboot; Linux does so
/// by default where the ACPI hardware is reduced and there is no EFI. The code pulls the reset line.
/// </summary>
internal sealed class ResetVector : IMachineDevice
{
    // mov al, 6; mov dx, 0xCF9; out dx, al; wait: hlt; jmp wait
    private static ReadOnlySpan<byte> Code =>
    [
        0xB0, PowerControl.ResetValue, 0xBA, PortMap.ResetControl & 0xFF, PortMap.ResetControl >> 8, 0xEE, 0xF4, 0xEB, 0xFD,
    ];

    /// <inheritdoc/>
    public void Attach(IMachineContext machine) => FirmwareRegion.Write(machine, MemoryMap.ResetVector, Code);
}
