using System.Globalization;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Raw;

namespace Uml.Storage.Formats.UmlCow;

/// <summary>Finds the image below a copy-on-write file, and makes sure that it is the one that the file was made for.</summary>
internal static class UmlCowBacking
{
    /// <summary>Opens the image below a file.</summary>
    /// <param name="path">The copy-on-write file.</param>
    /// <param name="header">What it says.</param>
    /// <param name="options">Where else the image may be, and whether it is locked.</param>
    /// <param name="isReadOnly">Whether it is opened to be read only; to be written, it is for a merge.</param>
    /// <exception cref="DiskImageException">It is not there, or has changed since.</exception>
    public static RawBlockDevice Open(string path, UmlCowHeader header, UmlCowOptions options, bool isReadOnly)
    {
        string backing = options.BackingPath is { } other ? Path.GetFullPath(other) : Resolve(path, header.BackingPath);
        RawBlockDevice device = RawBlockDevice.Open(backing, new RawImageOptions { IsReadOnly = isReadOnly, Locks = options.Locks });
        try
        {
            Check(path, header, device, options);
            return device;
        }
        catch
        {
            device.File.Dispose();
            throw;
        }
    }

    /// <summary>A relative path, which only other tools write, counts from where the copy-on-write file is.</summary>
    private static string Resolve(string path, string backing) => Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, backing);

    private static void Check(string path, UmlCowHeader header, RawBlockDevice backing, UmlCowOptions options)
    {
        long size = backing.File.GetLength();
        uint time = (uint)backing.File.Status.ModifiedSeconds;
        if (size != header.Size)
        {
            throw new DiskImageException($"'{backing.Path}' has {size} bytes, and '{path}' was made for {header.Size}: it is another image, or was changed, and "
                + $"the two do not belong together any more. Restore the image as it was, or make a new copy-on-write file.");
        }

        if (time != header.ModifiedTime && !options.AcceptsChangedTime)
        {
            throw new DiskImageException($"'{backing.Path}' was changed at {Format(time)}, and '{path}' was made for it as of {Format(header.ModifiedTime)}: what "
                + "was written over it may not fit any more. Restore the image, or, if only its date has changed, set that "
                + $"(touch -d @{header.ModifiedTime}).");
        }
    }

    private static string Format(uint seconds) =>
        DateTimeOffset.FromUnixTimeSeconds(seconds).ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture);
}
