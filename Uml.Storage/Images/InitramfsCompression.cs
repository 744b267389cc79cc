namespace Uml.Storage.Images;

/// <summary>The compression of an initramfs. The guest unpacks it, so booting is fastest without.</summary>
public enum InitramfsCompression
{
    /// <summary>A plain cpio archive.</summary>
    None,

    /// <summary>gzip (CONFIG_RD_GZIP).</summary>
    Gzip,

    /// <summary>Zstandard (CONFIG_RD_ZSTD, Linux 5.9 and later).</summary>
    Zstd,
}

/// <summary>The kind of a device node.</summary>
public enum DeviceNodeType
{
    /// <summary>A character device.</summary>
    Character,

    /// <summary>A block device.</summary>
    Block,
}

/// <summary>The attributes of an initramfs entry.</summary>
/// <param name="Mode">The permission bits with set-user-ID, set-group-ID and sticky bit: 0 to 0xfff (octal 7777).</param>
/// <param name="UserId">The owner.</param>
/// <param name="GroupId">The group.</param>
public readonly record struct InitramfsAttributes(int Mode, uint UserId = 0, uint GroupId = 0);
