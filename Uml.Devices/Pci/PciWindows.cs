using Uml.Devices.Platform;

namespace Uml.Devices.Pci;

/// <summary>The memory that the host bridge decodes for its functions, and the firmware's placement of them in it.</summary>
internal sealed class PciWindows
{
    private ulong _next32 = MemoryMap.PciWindow32Start;
    private ulong _next64 = MemoryMap.PciWindow64Start;

    /// <summary>Whether a range lies in one of the windows.</summary>
    public static bool Contains(ulong address, ulong length) =>
        Contains(address, length, MemoryMap.PciWindow32Start, MemoryMap.PciWindow32Length)
        || Contains(address, length, MemoryMap.PciWindow64Start, MemoryMap.PciWindow64Length);

    /// <summary>Finds a naturally aligned place.</summary>
    /// <returns>The address, or 0, which means unplaced, when the window is full.</returns>
    public ulong Allocate(ulong length, bool is64Bit) => is64Bit ? Allocate(ref _next64, length) : Allocate(ref _next32, length);

    private static ulong Allocate(ref ulong next, ulong length)
    {
        ulong address = (next + length - 1) & ~(length - 1);
        if (!Contains(address, length))
        {
            return 0;
        }

        next = address + length;
        return address;
    }

    private static bool Contains(ulong address, ulong length, ulong start, ulong windowLength) =>
        address - start < windowLength && windowLength - (address - start) >= length;
}
