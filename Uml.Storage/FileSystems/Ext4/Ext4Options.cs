using System.Text;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>What a file system has besides its files.</summary>
public sealed record Ext4Options
{
    /// <summary>EXT2_LABEL_LEN.</summary>
    private const int MaximumLabelBytes = 16;

    /// <summary>A name for it (<c>LABEL=</c> in fstab): up to 16 bytes of UTF-8.</summary>
    public string Label { get; init; } = "";

    /// <summary>Its identity (<c>UUID=</c> in fstab). Unless given it follows from the files' names, metadata and sizes and from these options.</summary>
    public Guid? Uuid { get; init; }

    /// <summary>Bytes of the whole image, of which whole blocks of 4096 are used. Unless given, as many as the files and <see cref="FreeBytes"/> need.</summary>
    public long? Length { get; init; }

    /// <summary>Room for more files, when no length is given. Takes no room on the host until it is used. 256 MiB unless set.</summary>
    public long FreeBytes { get; init; } = 256L << 20;

    /// <summary>There is one inode for this many bytes, and at least as many as the files need. 16384 unless set, 1024 to 67108864.</summary>
    public int BytesPerInode { get; init; } = 16384;

    /// <summary>Inodes for more files that there are at the least. 1024 unless set.</summary>
    public int FreeInodes { get; init; } = 1024;

    /// <summary>Room that only root may use, in percent: 0 to 50. 5 unless set.</summary>
    public int ReservedPercent { get; init; } = 5;

    /// <summary>
    /// Whether there is a journal, so that a guest that ends at any moment leaves a file system that is whole. A file system of less than 8 MiB
    /// has none.
    /// </summary>
    public bool HasJournal { get; init; } = true;

    /// <summary>When the file system was made. Unless given, when the root directory was changed.</summary>
    public DateTimeOffset? CreationTime { get; init; }

    /// <exception cref="ArgumentException">A value is not valid.</exception>
    internal void Validate()
    {
        Check(Encoding.UTF8.GetByteCount(Label) <= MaximumLabelBytes && !Label.Contains('\0', StringComparison.Ordinal), nameof(Label), Label,
            $"has at most {MaximumLabelBytes} bytes in UTF-8, and no zero");
        Check(Length is null or > 0, nameof(Length), Length, "is more than 0");
        Check(FreeBytes is >= 0 and < 1L << 56, nameof(FreeBytes), FreeBytes, "is not negative, and less than 2^56");
        Check(BytesPerInode is >= 1024 and <= 64 << 20, nameof(BytesPerInode), BytesPerInode, "is 1024 to 67108864");
        Check(FreeInodes >= 0, nameof(FreeInodes), FreeInodes, "is not negative");
        Check(ReservedPercent is >= 0 and <= 50, nameof(ReservedPercent), ReservedPercent, "is 0 to 50");
        Check(CreationTime is null || CreationTime.Value.ToUnixTimeSeconds() is >= 0 and <= uint.MaxValue, nameof(CreationTime), CreationTime,
            "lies between 1970 and 2106");
    }

    private static void Check(bool isValid, string name, object? value, string rule)
    {
        if (!isValid)
        {
            throw new ArgumentException($"{name} {rule}; it is {value}.", name);
        }
    }
}
