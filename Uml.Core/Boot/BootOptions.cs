namespace Uml.Core.Boot;

/// <summary>The files that a machine boots. Without a kernel the machine starts with the registers as its owner has set them.</summary>
public sealed class BootOptions
{
    /// <summary>Debian's generic kernel unpacks to about 60 MiB.</summary>
    internal const int DefaultMaximumUnpackedBytes = 256 << 20;

    /// <summary>The kernel; null boots none.</summary>
    public BootFile? Kernel { get; set; }

    /// <summary>The boot protocol. Default: that of the kernel's header.</summary>
    public BootProtocol Protocol { get; set; }

    /// <summary>The initial RAM disk, or the first module of a multiboot kernel.</summary>
    public BootFile? Initrd { get; set; }

    /// <summary>Further modules of a multiboot or PVH kernel.</summary>
    public IList<BootModule> Modules { get; } = [];

    /// <summary>The kernel command line.</summary>
    public string CommandLine { get; set; } = "";

    /// <summary>
    /// Where a flat binary is loaded and entered: a guest-physical address. Unless set 0x7c00 for <see cref="BootProtocol.Flat16"/>,
    /// where a BIOS puts a boot sector, else 1 MiB.
    /// </summary>
    public ulong? FlatAddress { get; set; }

    /// <summary>
    /// The most bytes that a compressed kernel may unpack to: a limit of this library against hostile files. Default 256 MiB.
    /// </summary>
    public int MaximumUnpackedBytes { get; set; } = DefaultMaximumUnpackedBytes;
}
