using System.Text.RegularExpressions;
using Uml.Storage.Blocks;
using Uml.Storage.Files;
using Uml.Storage.Formats.Raw;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Opens the images below an image, to be read only.</summary>
internal static partial class Qcow2Backing
{
    /// <summary>More than anyone needs; each has tables in memory.</summary>
    public const int MaximumDepth = 64;

    /// <param name="path">The image above.</param>
    /// <param name="header">What it says.</param>
    /// <param name="options">How it is opened.</param>
    /// <param name="above">The images above, and it.</param>
    /// <returns>The image below, or null if there is none.</returns>
    /// <exception cref="DiskImageException">It is not there, of a format that is not said or not known, or is one of those above it.</exception>
    public static IBlockDevice? Open(string path, Qcow2Header header, Qcow2Options options, IReadOnlyList<string> above)
    {
        if (header.BackingPath is not { } name)
        {
            return options.BackingPath is null ? null
                : throw new DiskImageException($"'{path}' has no image below it, and '{options.BackingPath}' was to be it. Leave that out.");
        }

        string backing = options.BackingPath is { } other ? Path.GetFullPath(other) : Resolve(path, name);
        if (above.Count >= MaximumDepth || above.Any(one => IsSame(one, backing)))
        {
            throw new DiskImageException(above.Count >= MaximumDepth
                ? $"There are more than {MaximumDepth} images below '{above[0]}', '{backing}' being the next. Merge some of them (qemu-img commit)."
                : $"'{backing}' is below itself, by way of '{path}': the images name each other in a circle. Name another image below one of them (qemu-img rebase -u).");
        }

        if (FormatOf(path, header.BackingFormat, options.BackingFormat) == Qcow2BackingFormat.Raw)
        {
            return RawBlockDevice.Open(backing, new RawImageOptions { IsReadOnly = true, Locks = options.Locks });
        }

        Qcow2Options below = new() { IsReadOnly = true, Locks = options.Locks, CacheBytes = options.CacheBytes };
        return Qcow2BlockDevice.Open(backing, below, above);
    }

    private static Qcow2BackingFormat FormatOf(string path, string? named, Qcow2BackingFormat? stated)
    {
        Qcow2BackingFormat? format = named switch
        {
            null => stated ?? throw new DiskImageException($"'{path}' does not say of which format the image below it is, and guessing could be used by a guest to "
                + "read other files of this host. State it (BackingFormat), or write it into the image (qemu-img rebase -u -b ... -F ...)."),
            "raw" => Qcow2BackingFormat.Raw,
            "qcow2" => Qcow2BackingFormat.Qcow2,
            _ => throw new DiskImageException($"The image below '{path}' is of the format '{named}', and raw and qcow2 are supported. Convert it (qemu-img convert)."),
        };
        return stated is null || stated == format ? format.Value
            : throw new DiskImageException($"The image below '{path}' is of the format '{named}', as the file says, and was to be opened as {stated}. Leave that out.");
    }

    /// <summary>A relative path counts from where the image is.</summary>
    /// <exception cref="DiskImageException">It is no path of a file.</exception>
    internal static string Resolve(string path, string name)
    {
        if (Protocol().IsMatch(name))
        {
            throw new DiskImageException($"The image below '{path}' is '{name}', and only files are supported. Name a file instead (BackingPath).");
        }

        return name.Contains('\0', StringComparison.Ordinal)
            ? throw new DiskImageException($"The name of the image below '{path}' has a zero in it, which no file's has: it is damaged. Name the file (BackingPath).")
            : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, name));
    }

    private static bool IsSame(string one, string other)
    {
        if (one == other)
        {
            return true;
        }

        using HostFile first = HostFile.Open(one, new HostFileMode(IsReadOnly: true));
        using HostFile second = HostFile.Open(other, new HostFileMode(IsReadOnly: true));
        return first.Status.IsSameFile(second.Status);
    }

    /// <summary>What QEMU takes for the name of a protocol, json: among them.</summary>
    [GeneratedRegex("^[A-Za-z][A-Za-z0-9+.-]*:")]
    private static partial Regex Protocol();
}
