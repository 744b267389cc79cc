using Uml.Core.Boot.Formats;

namespace Uml.Core.Boot.Protocols;

/// <summary>Puts the segments of an ELF file at their physical addresses.</summary>
internal static class ElfSegmentLoader
{
    /// <summary>Loads all segments.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="image">The ELF file.</param>
    /// <param name="name">What messages call it.</param>
    /// <param name="entryPoint">Where it is entered, with paging off or on the identity map.</param>
    /// <param name="offset">An offset that is added to all physical addresses, with wrap-around.</param>
    /// <returns>The lowest address and the first address behind the image.</returns>
    /// <exception cref="KernelImageException">A segment does not lie in RAM, two overlap, or the entry lies outside.</exception>
    public static (ulong Start, ulong End) Load(BootPlan plan, ElfImage image, string name, ulong entryPoint, ulong offset = 0)
    {
        (ulong start, ulong end) = Extent(image, offset);
        if (entryPoint < start || entryPoint >= end || end > BootMemoryLayout.IdentityMapBytes)
        {
            throw new KernelImageException(
                $"The kernel '{name}' starts at 0x{entryPoint:x} and occupies 0x{start:x} to 0x{end:x}; it has to start inside "
                + "itself and to end below 4 GiB. It is damaged or made for another protocol: name the one it wants.");
        }

        // All are taken before one is written: overlaps show before the long copies.
        foreach (ElfSegment segment in image.Segments)
        {
            ulong address = unchecked(segment.PhysicalAddress + offset);
            string whole = plan.IsFree(address, segment.MemorySize) ? "" : $", which occupies 0x{start:x} to 0x{end:x},";
            plan.Take(address, segment.MemorySize, $"kernel '{name}'{whole}");
        }

        foreach (ElfSegment segment in image.Segments)
        {
            ulong address = unchecked(segment.PhysicalAddress + offset);
            plan.Write(address, segment.Data.Span);
            plan.Clear(address + (ulong)segment.Data.Length, segment.MemorySize - (ulong)segment.Data.Length);
        }

        return (start, end);
    }

    /// <summary>The lowest address and the first address behind the image.</summary>
    /// <param name="image">The ELF file.</param>
    /// <param name="offset">An offset that is added to all physical addresses, with wrap-around.</param>
    public static (ulong Start, ulong End) Extent(ElfImage image, ulong offset)
    {
        ulong start = ulong.MaxValue;
        ulong end = 0;
        foreach (ElfSegment segment in image.Segments)
        {
            ulong address = unchecked(segment.PhysicalAddress + offset);
            start = Math.Min(start, address);
            end = Math.Max(end, address + segment.MemorySize);
        }

        return (start, end);
    }

    /// <summary>Whether all segments would lie in free RAM.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="image">The ELF file.</param>
    /// <param name="offset">An offset that is added to all physical addresses, with wrap-around.</param>
    public static bool Fits(BootPlan plan, ElfImage image, ulong offset)
    {
        foreach (ElfSegment segment in image.Segments)
        {
            if (!plan.IsFree(unchecked(segment.PhysicalAddress + offset), segment.MemorySize))
            {
                return false;
            }
        }

        return true;
    }
}
