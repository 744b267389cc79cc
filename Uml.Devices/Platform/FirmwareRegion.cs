using Uml.Core.Machine;

namespace Uml.Devices.Platform;

/// <summary>The RAM that plays the part of a PC's firmware ROM: <see cref="MemoryMap.FirmwareStart"/> to <see cref="MemoryMap.FirmwareEnd"/>.</summary>
internal static class FirmwareRegion
{
    /// <summary>Puts firmware in its place.</summary>
    /// <exception cref="InvalidOperationException">The machine has less than 1 MiB of RAM.</exception>
    public static void Write(IMachineContext machine, ulong address, ReadOnlySpan<byte> bytes)
    {
        if (!machine.Memory.TryWrite(new(address), bytes))
        {
            throw new InvalidOperationException(
                "The standard board keeps its firmware and ACPI tables below 1 MiB: give the machine at least 1 MiB of memory.");
        }
    }
}
