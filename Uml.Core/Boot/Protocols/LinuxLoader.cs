using Uml.Core.Boot.Formats;

namespace Uml.Core.Boot.Protocols;

/// <summary>
/// Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst) with a vmlinux that is unpacked already, so that the
/// guest starts in startup_64 of the kernel proper instead of its decompressor. The kernel is loaded where it was
/// linked for: then none of the relocations that the decompressor applies for KASLR is needed.
/// </summary>
internal static class LinuxLoader
{
    // The kernel maps itself with 2 MiB pages.
    private const ulong KernelMappingBytes = 2UL << 20;

    /// <summary>Loads a vmlinux and hands over boot_params.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="request">What to boot.</param>
    /// <param name="image">The vmlinux.</param>
    /// <param name="setup">The bzImage that it came from, if any.</param>
    /// <returns>The entry state.</returns>
    public static BootEntry Load(BootPlan plan, BootRequest request, ElfImage image, BzImage? setup)
    {
        if (!image.Is64Bit || !image.IsX64)
        {
            throw new KernelImageException(
                $"The kernel '{request.Kernel.Name}' is a 32-bit ELF file, which has no 64-bit entry; use an x86-64 kernel"
                + (image.PvhEntryPoint is null ? "." : $" or {nameof(BootProtocol)}.{nameof(BootProtocol.Pvh)}."));
        }

        LinuxParameters parameters = new(plan, request, setup);
        ulong offset = ChooseOffset(plan, image, setup);
        ulong entryPoint = unchecked(image.EntryPoint + offset);
        BootEntry entry = BootTables.Write(plan, BootEntryKind.Linux64, entryPoint);
        (ulong start, ulong end) = ElfSegmentLoader.Load(plan, image, request.Kernel.Name, entryPoint, offset);
        return parameters.HandOver(entry with { ImageStart = start, ImageEnd = end });
    }

    /// <summary>
    /// Finds a lower place for a kernel that ends behind the memory: a relocatable kernel adapts its page tables to where it
    /// lies (__startup_64 in arch/x86/kernel/head64.c), only its virtual addresses stay. The highest place that fits leaves the
    /// first 16 MiB, which DMA of old devices needs, as free as can be. Its segments stay where they lie to each other, and all
    /// memory between them has to be free.
    /// </summary>
    private static ulong ChooseOffset(BootPlan plan, ElfImage image, BzImage? setup)
    {
        if (setup is null || !setup.IsRelocatable || ElfSegmentLoader.Fits(plan, image, 0))
        {
            return 0;
        }

        (ulong start, ulong end) = ElfSegmentLoader.Extent(image, 0);
        ulong alignment = Math.Max(setup.KernelAlignment, KernelMappingBytes);
        ulong? lower = plan.FindHighest(end - start, end - 1, alignment, start);
        return lower is ulong place ? unchecked(place - start) : 0;
    }
}
