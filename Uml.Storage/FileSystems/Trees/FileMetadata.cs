using System.Collections.Immutable;

namespace Uml.Storage.FileSystems.Trees;

/// <summary>What a file system knows of an entry besides its kind and contents.</summary>
public sealed record FileMetadata
{
    /// <summary>The bits that <see cref="Mode"/> may have: 07777.</summary>
    public const int ModeMask = 0xFFF;

    /// <summary>rwxr-xr-x (0755).</summary>
    public const int DefaultDirectoryMode = 0x1ED;

    /// <summary>rw-r--r-- (0644).</summary>
    public const int DefaultFileMode = 0x1A4;

    private readonly int _mode;

    /// <summary>Makes metadata of an entry of root's, from the start of 1970.</summary>
    /// <param name="mode">Permissions, set-user-ID, set-group-ID and sticky bit.</param>
    public FileMetadata(int mode) => Mode = mode;

    /// <summary>Permissions, set-user-ID, set-group-ID and sticky bit: 0 to 07777 octal, 4095.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It has other bits.</exception>
    public int Mode
    {
        get => _mode;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, ModeMask);
            _mode = value;
        }
    }

    /// <summary>The owner.</summary>
    public uint UserId { get; init; }

    /// <summary>The owner's group.</summary>
    public uint GroupId { get; init; }

    /// <summary>When the contents changed last.</summary>
    public FileTime ModificationTime { get; init; }

    /// <summary>
    /// Extended attributes by their full names, such as <c>security.capability</c>. Access control lists (<c>system.posix_acl_access</c>,
    /// <c>system.posix_acl_default</c>) are in the encoding of getxattr(2).
    /// </summary>
    public ImmutableSortedDictionary<string, ReadOnlyMemory<byte>> ExtendedAttributes { get; init; } =
        ImmutableSortedDictionary.Create<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
}

/// <summary>A point in time.</summary>
/// <param name="Seconds">Since 1970.</param>
/// <param name="Nanoseconds">0 to 999,999,999, behind the seconds.</param>
public readonly record struct FileTime(long Seconds, int Nanoseconds = 0);
