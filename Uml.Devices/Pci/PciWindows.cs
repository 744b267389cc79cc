using Uml.Devices.Platform;

namespace Uml.Devices.Pci;

/// <summary>The memory and the ports that the host bridge decodes for its functions, and the firmware's placement of them in it.</summary>
internal sealed class PciWindows
{
    private static readonly Range Memory32 = new(MemoryMap.PciWindow32Start, MemoryMap.PciWindow32Length);
    private static readonly Range Memory64 = new(MemoryMap.PciWindow64Start, MemoryMap.PciWindow64Length);
    private static readonly Range Ports = new(PortMap.PciWindowStart, PortMap.PciWindowLength);

    // The assigned ranges by address, for each kind.
    private readonly Dictionary<PciBarKind, SortedList<ulong, ulong>> _placed = new()
    {
        [PciBarKind.Memory32] = [], [PciBarKind.Memory64] = [], [PciBarKind.Ports] = [],
    };

    private readonly record struct Range(ulong Start, ulong Length)
    {
        public bool Contains(ulong address, ulong length) => address - Start < Length && Length - (address - Start) >= length;
    }

    /// <summary>Whether a range lies in a window that a register of a kind may point to.</summary>
    public static bool Contains(PciBarKind kind, ulong address, ulong length) => kind == PciBarKind.Ports
        ? Ports.Contains(address, length)
        : Memory32.Contains(address, length) || Memory64.Contains(address, length);

    /// <summary>Finds a naturally aligned place.</summary>
    /// <returns>The address, or 0, which means unplaced, when the window is full.</returns>
    public ulong Allocate(PciBarKind kind, ulong length)
    {
        Range window = GetWindow(kind);
        SortedList<ulong, ulong> placed = _placed[kind];
        ulong address = Align(window.Start, length);
        foreach ((ulong start, ulong taken) in placed)
        {
            if (start >= address + length)
            {
                break;
            }

            address = Math.Max(address, Align(start + taken, length));
        }

        if (!window.Contains(address, length))
        {
            return 0;
        }

        placed.Add(address, length);
        return address;
    }

    /// <summary>Gives a place back; 0 is none.</summary>
    public void Free(PciBarKind kind, ulong address) => _placed[kind].Remove(address);

    private static Range GetWindow(PciBarKind kind) => kind switch
    {
        PciBarKind.Memory32 => Memory32,
        PciBarKind.Memory64 => Memory64,
        _ => Ports,
    };

    private static ulong Align(ulong address, ulong length) => (address + length - 1) & ~(length - 1);
}
