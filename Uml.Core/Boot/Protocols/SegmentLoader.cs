using Uml.Core.Boot.Formats;

namespace Uml.Core.Boot.Protocols;

/// <summary>Puts the segments of an ELF file at their physical addresses.</summary>
internal static class SegmentLoader
{
    /// <summary>Loads all segments.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="image">The ELF file.</param>
    /// <param name="name">What messages call it.</param>
    /// <returns>The lowest address and the first address behind the image.</returns>
    /// <exception cref="KernelImageException">A segment does not lie in RAM, or two overlap.</exception>
    public static (ulong Start, ulong End) Load(BootPlan plan, ElfImage image, string name)
    {
        ulong start = ulong.MaxValue;
        ulong end = 0;
        foreach (ElfSegment segment in image.Segments)
        {
            start = Math.Min(start, segment.PhysicalAddress);
            end = Math.Max(end, segment.PhysicalAddress + segment.MemorySize);
        }

        // All are taken before one is written: overlaps show before the long copies.
        foreach (ElfSegment segment in image.Segments)
        {
            if (!plan.IsFree(segment.PhysicalAddress, segment.MemorySize))
            {
                plan.Take(segment.PhysicalAddress, segment.MemorySize, $"kernel '{name}', which occupies 0x{start:x} to 0x{end:x},");
            }

            plan.Take(segment.PhysicalAddress, segment.MemorySize, $"kernel '{name}'");
        }

        foreach (ElfSegment segment in image.Segments)
        {
            plan.Write(segment.PhysicalAddress, segment.Data.Span);
            plan.Clear(segment.PhysicalAddress + (ulong)segment.Data.Length, segment.MemorySize - (ulong)segment.Data.Length);
        }

        return (start, end);
    }
}
