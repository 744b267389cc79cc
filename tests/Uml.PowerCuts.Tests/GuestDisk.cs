using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>A disk that a guest writes to until it is killed.</summary>
/// <param name="format">The format of its image.</param>
/// <param name="path">Where the image is.</param>
internal abstract class GuestDisk(DiskFormat format, string path)
{
    /// <summary>Whether there is ext4 on the disk, and each record is a file; else records have places of their own.</summary>
    protected abstract bool HasFileSystem { get; }

    /// <summary>What was acknowledged, for a person.</summary>
    public abstract string Summary { get; }

    /// <summary>What <see cref="Parse"/> reads.</summary>
    public string Argument => $"{format.Name},{(HasFileSystem ? "files" : "records")},{path}";

    protected DiskFormat Format => format;

    protected string Path => path;

    /// <summary>Opens the image, and looks at what is on the disk.</summary>
    /// <param name="first">The first number that was written since the last time.</param>
    /// <param name="last">The last one that was acknowledged.</param>
    /// <exception cref="InvalidDataException">The disk has lost something.</exception>
    public async Task CheckAsync(long first, long last)
    {
        await using (IBlockDevice device = format.Open(path))
        {
            await CheckAsync(device, first, last);
        }

        format.Check(path);
    }

    /// <summary>Reads what <see cref="Argument"/> has.</summary>
    /// <returns>The opened image, and whether there is ext4 on it.</returns>
    public static (IBlockDevice Device, bool HasFileSystem) Parse(string argument) =>
        argument.Split(',', 3) is [var format, ("files" or "records") and var kind, var path]
            ? (DiskFormat.Get(format).Open(path), kind == "files")
            : throw new ArgumentException($"'{argument}' is no disk: write FORMAT,records,IMAGE or FORMAT,files,IMAGE.", nameof(argument));

    protected abstract Task CheckAsync(IBlockDevice device, long first, long last);
}
