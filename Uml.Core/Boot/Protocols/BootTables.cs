using System.Buffers.Binary;

namespace Uml.Core.Boot.Protocols;

/// <summary>The descriptor table and identity map that a 32-bit or 64-bit entry starts with.</summary>
internal static class BootTables
{
    /// <summary>CS: __BOOT_CS of Linux (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").</summary>
    public const ushort CodeSelector = 0x10;

    /// <summary>DS, ES, SS: __BOOT_DS.</summary>
    public const ushort DataSelector = 0x18;

    /// <summary>TR, in 32-bit tables only.</summary>
    public const ushort TaskSelector = 0x20;

    /// <summary>The limit of the task state segment (Intel SDM volume 3, section 8.2.1).</summary>
    public const int TaskSegmentBytes = 0x68;

    // Segment descriptors: Intel SDM volume 3, section 3.4.5; limit 0xFFFFF pages, base 0, present, DPL 0, accessed.
    private const ulong Code64 = 0x00af_9b00_0000_ffff;
    private const ulong Code32 = 0x00cf_9b00_0000_ffff;
    private const ulong Data = 0x00cf_9300_0000_ffff;
    private const ulong Busy32BitTask = 0x0000_8b00_0000_0000;

    // Page table entries: Intel SDM volume 3, section 4.5.
    private const ulong PresentWritable = 0x3;
    private const ulong PageSize = 1 << 7;
    private const int EntriesPerTable = 512;
    private const ulong LargePageBytes = 2UL << 20;

    /// <summary>Writes the descriptor table and, in long mode, the identity map of the first 4 GiB.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="kind">The mode of the entry, not <see cref="BootEntryKind.Flat16"/>.</param>
    /// <param name="entryPoint">The entry point.</param>
    /// <returns>The entry state with tables, selectors and stack set; there is no stack for multiboot, which leaves low memory to the
    /// kernel.</returns>
    public static BootEntry Write(BootPlan plan, BootEntryKind kind, ulong entryPoint)
    {
        bool longMode = kind is BootEntryKind.Linux64 or BootEntryKind.Flat64;
        if (kind != BootEntryKind.Multiboot32)
        {
            plan.Take(BootMemoryLayout.StackTop - BootMemoryLayout.PageBytes, BootMemoryLayout.PageBytes, "initial stack");
        }

        if (longMode)
        {
            WriteIdentityMap(plan);
        }
        else
        {
            plan.Take(BootMemoryLayout.TaskSegmentAddress, TaskSegmentBytes, "task state segment");
            plan.Clear(BootMemoryLayout.TaskSegmentAddress, TaskSegmentBytes);
        }

        ushort gdtLimit = WriteGdt(plan, longMode);
        return new BootEntry
        {
            Kind = kind,
            EntryPoint = entryPoint,
            StackPointer = kind == BootEntryKind.Multiboot32 ? 0 : BootMemoryLayout.StackTop,
            PageTableRoot = longMode ? BootMemoryLayout.PageTableAddress : 0,
            GdtBase = BootMemoryLayout.GdtAddress,
            GdtLimit = gdtLimit,
            CodeSelector = CodeSelector,
            DataSelector = DataSelector,
            TaskSelector = longMode ? (ushort)0 : TaskSelector,
            TaskSegmentBase = longMode ? 0 : BootMemoryLayout.TaskSegmentAddress,
        };
    }

    private static ushort WriteGdt(BootPlan plan, bool longMode)
    {
        Span<byte> gdt = stackalloc byte[longMode ? TaskSelector : TaskSelector + 8];
        gdt.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(gdt[CodeSelector..], longMode ? Code64 : Code32);
        BinaryPrimitives.WriteUInt64LittleEndian(gdt[DataSelector..], Data);
        if (!longMode)
        {
            ulong task = Busy32BitTask | (BootMemoryLayout.TaskSegmentAddress << 16) | (TaskSegmentBytes - 1);
            BinaryPrimitives.WriteUInt64LittleEndian(gdt[TaskSelector..], task);
        }

        plan.TakeAndWrite(BootMemoryLayout.GdtAddress, gdt, "global descriptor table");
        return (ushort)(gdt.Length - 1);
    }

    private static void WriteIdentityMap(BootPlan plan)
    {
        const int Directories = (int)(BootMemoryLayout.IdentityMapBytes / (EntriesPerTable * LargePageBytes));
        byte[] tables = new byte[BootMemoryLayout.PageTableEnd - BootMemoryLayout.PageTableAddress];
        ulong pointers = BootMemoryLayout.PageTableAddress + BootMemoryLayout.PageBytes;
        WriteEntry(tables, BootMemoryLayout.PageTableAddress, 0, pointers | PresentWritable);
        for (int directory = 0; directory < Directories; directory++)
        {
            ulong address = pointers + ((ulong)(directory + 1) * BootMemoryLayout.PageBytes);
            WriteEntry(tables, pointers, directory, address | PresentWritable);
            for (int page = 0; page < EntriesPerTable; page++)
            {
                ulong target = (ulong)((directory * EntriesPerTable) + page) * LargePageBytes;
                WriteEntry(tables, address, page, target | PageSize | PresentWritable);
            }
        }

        plan.TakeAndWrite(BootMemoryLayout.PageTableAddress, tables, "identity map");
    }

    private static void WriteEntry(Span<byte> tables, ulong table, int index, ulong value) =>
        BinaryPrimitives.WriteUInt64LittleEndian(tables[((int)(table - BootMemoryLayout.PageTableAddress) + (index * 8))..], value);
}
