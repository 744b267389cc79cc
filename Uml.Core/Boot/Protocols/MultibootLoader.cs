using Uml.Core.Boot.Formats;
using Uml.Core.Memory;

namespace Uml.Core.Boot.Protocols;

/// <summary>Multiboot 1 (Multiboot Specification 0.6.96).</summary>
internal static class MultibootLoader
{
    private const uint BootMagic = 0x2badb002; // section 3.2, EAX
    private const string LoaderName = "Uml";

    // Section 3.3, flags of the information.
    private const uint HasMemory = 1 << 0;
    private const uint HasCommandLine = 1 << 2;
    private const uint HasModules = 1 << 3;
    private const uint HasMemoryMap = 1 << 6;
    private const uint HasLoaderName = 1 << 9;

    private const int InfoBytes = 120;
    private const int ModuleBytes = 16;
    private const int MemoryMapEntryBytes = 24;
    private const uint MaximumLowerKilobytes = 640;

    /// <summary>Loads a multiboot kernel.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="request">What to boot.</param>
    /// <param name="file">The file.</param>
    /// <param name="header">Its multiboot header.</param>
    /// <returns>The entry state.</returns>
    public static BootEntry Load(BootPlan plan, BootRequest request, ReadOnlyMemory<byte> file, in MultibootHeader header)
    {
        string name = request.Kernel.Name;
        ElfImage image = header.HasAddresses
            ? ElfImage.FromFlat(Segment(file, header, name), header.EntryAddress)
            : ElfImage.IsElf(file.Span)
                ? ElfImage.Parse(file, name)
                : throw new KernelImageException(
                    $"The multiboot kernel '{name}' is no ELF file and its header has no load addresses; build it as ELF32.");
        ulong entryPoint = image.PhysicalEntryPoint;
        BootEntry entry = BootTables.Write(plan, BootEntryKind.Multiboot32, entryPoint);
        plan.Take(
            BootMemoryLayout.MultibootInfoAddress,
            BootMemoryLayout.MultibootInfoEnd - BootMemoryLayout.MultibootInfoAddress,
            "multiboot information");
        BootStrings strings = new(plan);
        uint commandLine = strings.Add(request.CommandLine, uint.MaxValue, "kernel command line");
        uint loaderName = strings.Add(LoaderName, uint.MaxValue, "boot loader name");
        (ulong start, ulong end) = ElfSegmentLoader.Load(plan, image, name, entryPoint);
        List<LoadedModule> modules = ModuleLoader.Load(plan, request, strings);
        plan.Write(BootMemoryLayout.MultibootInfoAddress, Describe(request, commandLine, loaderName, modules));

        // Section 3.2 promises no stack. Kernels that use one all the same get one in free memory, if there is any.
        ulong? stack = plan.TakeHighest(BootMemoryLayout.PageBytes, GuestMemoryLayout.DeviceHoleStart, "initial stack");
        return entry with
        {
            StackPointer = stack is { } page ? page + BootMemoryLayout.PageBytes : 0,
            Rax = BootMagic,
            Rbx = BootMemoryLayout.MultibootInfoAddress,
            ImageStart = start,
            ImageEnd = end,
            InitrdAddress = request.Initrd is null ? 0 : modules[0].Address,
            InitrdLength = request.Initrd is null ? 0 : modules[0].Length,
        };
    }

    /// <summary>The part of the file that the header's addresses name (section 3.1.3).</summary>
    private static ElfSegment Segment(ReadOnlyMemory<byte> file, in MultibootHeader header, string name)
    {
        long start = header.Offset - ((long)header.HeaderAddress - header.LoadAddress);
        long length = header.LoadEndAddress == 0 ? file.Length - start : (long)header.LoadEndAddress - header.LoadAddress;
        if (start < 0 || length <= 0 || start + length > file.Length)
        {
            throw new KernelImageException(
                $"The multiboot kernel '{name}' wants {length} bytes of itself from offset {start} loaded; the file has {file.Length} "
                + "bytes. It is truncated or its header is wrong.");
        }

        long memory = header.BssEndAddress == 0 ? length : Math.Max(length, (long)header.BssEndAddress - header.LoadAddress);
        return new ElfSegment(header.LoadAddress, header.LoadAddress, (ulong)memory, file.Slice((int)start, (int)length));
    }

    private static ReadOnlySpan<byte> Describe(BootRequest request, uint commandLine, uint loaderName, List<LoadedModule> modules)
    {
        InfoWriter writer = new(BootMemoryLayout.MultibootInfoAddress, BootMemoryLayout.MultibootInfoEnd);
        ulong info = writer.Reserve(InfoBytes);
        ulong map = writer.Reserve(request.MemoryMap.Count * MemoryMapEntryBytes);
        ulong list = writer.Reserve(modules.Count * ModuleBytes);
        writer.UInt32(info, HasMemory | HasCommandLine | HasMemoryMap | HasLoaderName | (modules.Count == 0 ? 0 : HasModules));
        writer.UInt32(info + 4, Math.Min(KilobytesFrom(request.MemoryMap, 0), MaximumLowerKilobytes));
        writer.UInt32(info + 8, KilobytesFrom(request.MemoryMap, BootMemoryLayout.HighMemoryStart));
        writer.UInt32(info + 16, commandLine);
        writer.UInt32(info + 20, (uint)modules.Count);
        writer.UInt32(info + 24, modules.Count == 0 ? 0 : list);
        writer.UInt32(info + 44, (uint)(request.MemoryMap.Count * MemoryMapEntryBytes));
        writer.UInt32(info + 48, map);
        writer.UInt32(info + 64, loaderName);
        foreach (MemoryMapEntry entry in request.MemoryMap)
        {
            writer.UInt32(map, MemoryMapEntryBytes - 4); // the size does not count itself
            writer.UInt64(map + 4, entry.Base);
            writer.UInt64(map + 12, entry.Length);
            writer.UInt32(map + 20, (uint)entry.Type);
            map += MemoryMapEntryBytes;
        }

        foreach (LoadedModule module in modules)
        {
            writer.UInt32(list, module.Address);
            writer.UInt32(list + 4, module.Address + module.Length);
            writer.UInt32(list + 8, module.CommandLine);
            list += ModuleBytes;
        }

        return writer.Bytes;
    }

    private static ulong KilobytesFrom(IReadOnlyList<MemoryMapEntry> map, ulong address)
    {
        foreach (MemoryMapEntry entry in map)
        {
            if (entry.Type == MemoryMapEntryType.Usable && entry.Base <= address && address < entry.End)
            {
                return (Math.Min(entry.End, GuestMemoryLayout.HighRamStart) - address) / 1024;
            }
        }

        return 0;
    }
}
