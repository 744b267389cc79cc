namespace Uml.Core.Boot.Protocols;

/// <summary>Flat binaries: copied to an address and entered at their first byte.</summary>
internal static class FlatLoader
{
    /// <summary>The default load address of a real-mode binary, at which a BIOS loads a boot sector.</summary>
    public const ulong DefaultRealModeAddress = 0x7c00;

    // The page below a boot sector, so that the binary may go on behind it.
    private const ulong RealModeStackTop = DefaultRealModeAddress;

    private const ulong RealModeEnd = 0x100000;
    private const ulong SegmentBytes = 0x10000;

    /// <summary>Loads a flat binary.</summary>
    /// <param name="plan">The memory plan.</param>
    /// <param name="request">What to boot.</param>
    /// <param name="file">The binary.</param>
    /// <param name="kind">The mode to enter it in.</param>
    /// <returns>The entry state.</returns>
    public static BootEntry Load(BootPlan plan, BootRequest request, ReadOnlyMemory<byte> file, BootEntryKind kind)
    {
        string what = $"flat binary '{request.Kernel.Name}'";
        bool isRealMode = kind == BootEntryKind.Flat16;
        ulong address = request.FlatAddress ?? (isRealMode ? DefaultRealModeAddress : BootMemoryLayout.HighMemoryStart);
        ulong limit = isRealMode ? RealModeEnd : BootMemoryLayout.IdentityMapBytes;
        if (address >= limit || (ulong)file.Length > limit - address)
        {
            throw new KernelImageException(
                $"The {what} ({file.Length} bytes at 0x{address:x}) has to end below 0x{limit:x} in this mode; choose a lower "
                + $"{nameof(BootOptions)}.{nameof(BootOptions.FlatAddress)}.");
        }

        if (request.Initrd is not null || request.Modules.Count != 0 || request.CommandLine.Length != 0)
        {
            throw new KernelImageException(
                $"The {what} has no protocol by which it could be told of an initrd, modules or a command line; leave them out.");
        }

        BootEntry entry = isRealMode ? RealModeEntry(plan, address) : BootTables.Write(plan, kind, address);
        plan.TakeAndWrite(address, file.Span, what);
        return entry with { ImageStart = address, ImageEnd = address + (ulong)file.Length };
    }

    private static BootEntry RealModeEntry(BootPlan plan, ulong address)
    {
        plan.Take(RealModeStackTop - BootMemoryLayout.PageBytes, BootMemoryLayout.PageBytes, "initial stack");
        ulong segment = address < SegmentBytes ? 0 : address >> 4;
        return new BootEntry
        {
            Kind = BootEntryKind.Flat16,
            EntryPoint = address - (segment << 4),
            CodeSelector = (ushort)segment,
            StackPointer = RealModeStackTop,
        };
    }
}
