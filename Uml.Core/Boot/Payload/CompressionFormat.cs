namespace Uml.Core.Boot.Payload;

/// <summary>The compressions that a Linux kernel can be built with (usr/Kconfig, CONFIG_KERNEL_*).</summary>
internal enum CompressionFormat
{
    None,
    Gzip,
    Bzip2,
    Lzma,
    Xz,
    Lzo,
    Lz4,
    Zstd,
}
