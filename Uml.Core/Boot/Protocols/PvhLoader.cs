using Uml.Core.Boot.Formats;

namespace Uml.Core.Boot.Protocols;

/// <summary>The PVH entry (Xen docs/misc/pvh.pandoc; xen/include/public/arch-x86/hvm/start_info.h, version 1).</summary>
internal static class PvhLoader
{
    private const uint Magic = 0x336ec578; // "xEn3" with the top bit of the E set
    private const uint Version = 1;
    private const int StartInfoBytes = 56;
    private const int ModuleBytes = 32;
    private const int MemoryMapEntryBytes = 24;

    /// <summary>Loads an ELF file with a PVH note.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="request">What to boot.</param>
    /// <param name="image">The ELF file.</param>
    /// <param name="commandLineSize">The longest command line.</param>
    /// <returns>The entry state.</returns>
    public static BootEntry Load(BootPlan plan, BootRequest request, ElfImage image, uint commandLineSize)
    {
        string name = request.Kernel.Name;
        uint entryPoint = image.PvhEntryPoint ?? throw new KernelImageException(
            $"The kernel '{name}' has no PVH entry (it was built without CONFIG_PVH); use {nameof(BootProtocol)}.{nameof(BootProtocol.Linux64)}.");
        BootEntry entry = BootTables.Write(plan, BootEntryKind.Pvh32, entryPoint);
        plan.Take(
            BootMemoryLayout.PvhInfoAddress, BootMemoryLayout.PvhInfoEnd - BootMemoryLayout.PvhInfoAddress, "PVH start information");
        BootStrings strings = new(plan);
        uint commandLine = strings.Add(request.CommandLine, commandLineSize, "kernel command line");
        (ulong start, ulong end) = ElfSegmentLoader.Load(plan, image, name, entryPoint);
        List<LoadedModule> modules = ModuleLoader.Load(plan, request, strings);
        plan.Write(BootMemoryLayout.PvhInfoAddress, Describe(request, commandLine, modules));
        return entry with
        {
            Rbx = BootMemoryLayout.PvhInfoAddress,
            ImageStart = start,
            ImageEnd = end,
            InitrdAddress = request.Initrd is null ? 0 : modules[0].Address,
            InitrdLength = request.Initrd is null ? 0 : modules[0].Length,
        };
    }

    private static ReadOnlySpan<byte> Describe(BootRequest request, uint commandLine, List<LoadedModule> modules)
    {
        InfoWriter writer = new(BootMemoryLayout.PvhInfoAddress, BootMemoryLayout.PvhInfoEnd);
        ulong info = writer.Reserve(StartInfoBytes);
        ulong map = writer.Reserve(request.MemoryMap.Count * MemoryMapEntryBytes);
        ulong list = writer.Reserve(modules.Count * ModuleBytes);
        writer.UInt32(info, Magic);
        writer.UInt32(info + 4, Version);
        writer.UInt32(info + 12, (uint)modules.Count);
        writer.UInt64(info + 16, modules.Count == 0 ? 0 : list);
        writer.UInt64(info + 24, commandLine);
        writer.UInt64(info + 32, request.AcpiRsdpAddress);
        writer.UInt64(info + 40, map);
        writer.UInt32(info + 48, (uint)request.MemoryMap.Count);
        foreach (MemoryMapEntry entry in request.MemoryMap)
        {
            writer.UInt64(map, entry.Base);
            writer.UInt64(map + 8, entry.Length);
            writer.UInt32(map + 16, (uint)entry.Type);
            map += MemoryMapEntryBytes;
        }

        foreach (LoadedModule module in modules)
        {
            writer.UInt64(list, module.Address);
            writer.UInt64(list + 8, module.Length);
            writer.UInt64(list + 16, module.CommandLine);
            list += ModuleBytes;
        }

        return writer.Bytes;
    }
}
