using Uml.Core.Boot.Formats;

namespace Uml.Core.Boot.Protocols;

/// <summary>
/// A bzImage as any boot loader starts it, by its own 32-bit or 64-bit entry (Documentation/arch/x86/boot.rst, "32-bit Boot Protocol" and
/// "64-bit Boot Protocol"): its code is placed as it is, and unpacks the kernel in the guest. For images whose compressed kernel cannot be
/// unpacked on the host; <see cref="LinuxLoader"/> spares the guest the unpacking.
/// </summary>
internal static class BzImageLoader
{
    /// <summary>Loads the protected-mode code and hands over boot_params.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="request">What to boot.</param>
    /// <param name="image">The bzImage.</param>
    /// <param name="is64Bit">By the 64-bit entry.</param>
    /// <returns>The entry state.</returns>
    public static BootEntry Load(BootPlan plan, BootRequest request, BzImage image, bool is64Bit)
    {
        uint entryOffset = image.EntryOffset(is64Bit);
        ReadOnlyMemory<byte> code = image.ProtectedModeCode;
        if ((uint)code.Length <= entryOffset)
        {
            throw new KernelImageException($"The kernel '{request.Kernel.Name}' is truncated: it ends before its entry; copy the file again.");
        }

        LinuxParameters parameters = new(plan, request, image);

        // One that can be moved is loaded where it would move itself, so that it need not.
        bool isMovable = image.IsRelocatable && image.PreferredAddress != 0;
        ulong start = isMovable ? image.PreferredAddress : image.LoadAddress;
        if (start < BootMemoryLayout.HighMemoryStart || start > uint.MaxValue - (ulong)code.Length)
        {
            throw new KernelImageException(
                $"The kernel '{request.Kernel.Name}' wants to be loaded at 0x{start:x}, which is outside 1 MiB to 4 GiB; the file is damaged: copy it again.");
        }

        BootEntry entry = BootTables.Write(plan, is64Bit ? BootEntryKind.Linux64 : BootEntryKind.Linux32, start + entryOffset);
        ulong runs = image.PreferredAddress == 0 ? start : image.PreferredAddress;
        ulong end = Math.Max(start + (ulong)code.Length, runs > ulong.MaxValue - image.InitSize ? ulong.MaxValue : runs + image.InitSize);
        plan.Take(start, end - start, "kernel");
        plan.Write(start, code.Span);
        parameters.SetLoadAddress((uint)start);
        return parameters.HandOver(entry with { ImageStart = start, ImageEnd = end });
    }
}
