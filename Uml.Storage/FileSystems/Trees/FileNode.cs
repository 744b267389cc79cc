using System.Collections.Frozen;
using Uml.Storage.Interop;

namespace Uml.Storage.FileSystems.Trees;

/// <summary>
/// An entry of a file system without its name: what Linux calls an inode. One that stands in several places of a tree is a file with hard links.
/// </summary>
public sealed class FileNode
{
    /// <summary>linux/kdev_t.h: 12 and 20 bits.</summary>
    private const uint MaximumMajor = 0xFFF, MaximumMinor = 0xFFFFF;

    private readonly Dictionary<FileName, FileNode>? _children;

    private FileNode(FileKind kind, FileMetadata metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        (Kind, Metadata) = (kind, metadata);
        _children = kind == FileKind.Directory ? [] : null;
    }

    /// <summary>What it is.</summary>
    public FileKind Kind { get; }

    /// <summary>Mode, owner, time, and attributes.</summary>
    public FileMetadata Metadata { get; set; }

    /// <summary>What a directory has in it, in no order; nothing for others.</summary>
    public IReadOnlyDictionary<FileName, FileNode> Children => _children is null ? FrozenDictionary<FileName, FileNode>.Empty : _children;

    /// <summary>The contents of a regular file; null for others.</summary>
    public FileContent? Content { get; private init; }

    /// <summary>Where a symbolic link leads to; empty for others.</summary>
    public ReadOnlyMemory<byte> Target { get; private init; }

    /// <summary>The major number of a device.</summary>
    public uint Major { get; private init; }

    /// <summary>The minor number of a device.</summary>
    public uint Minor { get; private init; }

    internal Dictionary<FileName, FileNode> Entries => _children ?? throw new InvalidOperationException("It is no directory.");

    /// <summary>Makes an empty directory.</summary>
    /// <param name="metadata">Its metadata.</param>
    public static FileNode CreateDirectory(FileMetadata metadata) => new(FileKind.Directory, metadata);

    /// <summary>Makes a regular file.</summary>
    /// <param name="metadata">Its metadata.</param>
    /// <param name="content">Its contents.</param>
    public static FileNode CreateFile(FileMetadata metadata, FileContent content)
    {
        ArgumentNullException.ThrowIfNull(content);
        return new FileNode(FileKind.Regular, metadata) { Content = content };
    }

    /// <summary>Makes a symbolic link.</summary>
    /// <param name="metadata">Its metadata.</param>
    /// <param name="target">Where it leads to: 1 to 4095 bytes without zero.</param>
    /// <exception cref="ArgumentException">The target is none.</exception>
    public static FileNode CreateSymbolicLink(FileMetadata metadata, ReadOnlySpan<byte> target)
    {
        return IsTarget(target)
            ? new FileNode(FileKind.SymbolicLink, metadata) { Target = target.ToArray() }
            : throw new ArgumentException($"A link's target has 1 to {Limits.PathBytes} bytes and no zero byte; this one has {target.Length}.", nameof(target));
    }

    /// <summary>Makes a node of a device.</summary>
    /// <param name="kind">Of characters or blocks.</param>
    /// <param name="metadata">Its metadata.</param>
    /// <param name="major">0 to 4095.</param>
    /// <param name="minor">0 to 1048575.</param>
    public static FileNode CreateDevice(FileKind kind, FileMetadata metadata, uint major, uint minor)
    {
        if (kind is not (FileKind.CharacterDevice or FileKind.BlockDevice))
        {
            throw new ArgumentOutOfRangeException(nameof(kind), kind, "It is no kind of device.");
        }

        return IsDevice(major, minor)
            ? new FileNode(kind, metadata) { Major = major, Minor = minor }
            : throw new ArgumentOutOfRangeException(nameof(major), $"{major}:{minor} is no device: the numbers are at most {MaximumMajor} and {MaximumMinor}.");
    }

    /// <summary>Makes a named pipe or a socket.</summary>
    /// <param name="kind">Which.</param>
    /// <param name="metadata">Its metadata.</param>
    public static FileNode CreateSpecial(FileKind kind, FileMetadata metadata) => kind is FileKind.Fifo or FileKind.Socket
        ? new FileNode(kind, metadata)
        : throw new ArgumentOutOfRangeException(nameof(kind), kind, "It is neither a named pipe nor a socket.");

    internal static bool IsTarget(ReadOnlySpan<byte> target) => target.Length is > 0 and <= Limits.PathBytes && !target.Contains((byte)0);

    internal static bool IsDevice(uint major, uint minor) => major <= MaximumMajor && minor <= MaximumMinor;
}
