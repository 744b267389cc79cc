namespace Uml.Core.Boot;

/// <summary>The boot protocols.</summary>
public enum BootProtocol
{
    /// <summary>
    /// By the file's own header: bzImage and 64-bit ELF by <see cref="Linux64"/>, a bzImage that is no 64-bit Linux or whose compression is
    /// not known by <see cref="BzImage64"/> or <see cref="BzImage32"/>, 32-bit ELF by <see cref="Multiboot"/> or <see cref="Pvh"/>, other
    /// files with a multiboot header by <see cref="Multiboot"/>.
    /// A flat binary has no header and must be named.
    /// </summary>
    Auto,

    /// <summary>
    /// The 64-bit Linux boot protocol; an ELF64 vmlinux, or the one in a bzImage, which is unpacked on the host. The fastest protocol.
    /// </summary>
    Linux64,

    /// <summary>The PVH entry of an ELF file (or of the ELF file inside a bzImage).</summary>
    Pvh,

    /// <summary>Multiboot 1.</summary>
    Multiboot,

    /// <summary>A flat binary, entered in real mode at its first byte.</summary>
    Flat16,

    /// <summary>A flat binary, entered in 32-bit protected mode at its first byte.</summary>
    Flat32,

    /// <summary>A flat binary, entered in long mode at its first byte.</summary>
    Flat64,

    /// <summary>A bzImage by its own 64-bit entry (boot.rst, "64-bit Boot Protocol"): it unpacks its kernel in the guest.</summary>
    BzImage64,

    /// <summary>A bzImage by its own 32-bit entry (boot.rst, "32-bit Boot Protocol"): 32-bit kernels, and 64-bit ones that switch modes.</summary>
    BzImage32,
}

/// <summary>The kernel to boot, with its initrd and command line.</summary>
public sealed class BootRequest
{
    /// <summary>The kernel.</summary>
    public required BootFile Kernel { get; init; }

    /// <summary>The boot protocol.</summary>
    public BootProtocol Protocol { get; init; }

    /// <summary>The initial RAM disk, or the first module of a multiboot kernel.</summary>
    public BootFile? Initrd { get; init; }

    /// <summary>Further modules of a multiboot or PVH kernel, behind <see cref="Initrd"/>; Linux's own protocol has none.</summary>
    public IReadOnlyList<BootModule> Modules { get; init; } = [];

    /// <summary>The kernel command line.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>
    /// The guest-physical address space, ascending and without overlaps, at most 128 entries;
    /// <see cref="BootMemoryLayout.CreateMemoryMap"/> makes the usual one.
    /// </summary>
    public required IReadOnlyList<MemoryMapEntry> MemoryMap { get; init; }

    /// <summary>The physical address of the ACPI root pointer (RSDP); 0 when there is none.</summary>
    public ulong AcpiRsdpAddress { get; init; }

    /// <summary>
    /// Where a flat binary is loaded and entered; unless set 0x7c00 for <see cref="BootProtocol.Flat16"/>, else 1 MiB.
    /// </summary>
    public ulong? FlatAddress { get; init; }

    /// <summary>The most bytes that a compressed kernel may unpack to: a limit of this library against hostile files.</summary>
    public int MaximumUnpackedBytes { get; init; } = BootOptions.DefaultMaximumUnpackedBytes;
}

/// <summary>A file handed to a multiboot or PVH kernel, with its own command line.</summary>
/// <param name="File">The contents.</param>
/// <param name="CommandLine">The module's string; by convention its name and arguments.</param>
public sealed record BootModule(BootFile File, string CommandLine = "");
