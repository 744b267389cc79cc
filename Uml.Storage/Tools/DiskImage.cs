using Uml.Storage.Blocks;
using Uml.Storage.Decorators;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Storage.Tools;

/// <summary>Disk images by a format that the caller states: opened, made, looked at, and turned into others.</summary>
public static class DiskImage
{
    /// <summary>Opens an image.</summary>
    /// <param name="path">The file.</param>
    /// <param name="format">Its format.</param>
    /// <param name="options">How; to be read and written when it is null.</param>
    /// <exception cref="DiskImageException">It cannot be opened so; the message says what to do.</exception>
    public static IBlockDevice Open(string path, DiskImageFormat format, DiskImageOptions? options = null)
    {
        options ??= new DiskImageOptions();
        return format switch
        {
            DiskImageFormat.Raw => RawBlockDevice.Open(path, new RawImageOptions
            {
                IsReadOnly = options.IsReadOnly,
                IsSynchronous = options.IsSynchronous,
                Locks = options.Locks,
                Discards = options.Discards,
            }),
            DiskImageFormat.UmlCow => UmlCowBlockDevice.Open(path, new UmlCowOptions
            {
                IsReadOnly = options.IsReadOnly,
                IsSynchronous = options.IsSynchronous,
                Locks = options.Locks,
                Discards = options.Discards,
                BackingPath = options.BackingPath,
                AcceptsChangedTime = options.AcceptsChangedTime,
            }),
            DiskImageFormat.Qcow2 => OpenQcow2(path, options),
            _ => throw Unknown(format),
        };
    }

    /// <summary>Makes an image of zeroes, which takes no room on the host yet.</summary>
    /// <param name="path">The file, which must not be there.</param>
    /// <param name="format">Its format, one that needs no image below.</param>
    /// <param name="length">Bytes, a multiple of 512.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative, no multiple of 512, or more than the format can have.</exception>
    /// <exception cref="DiskImageException">The file is there, or cannot be made so; the message says what to do.</exception>
    public static void Create(string path, DiskImageFormat format, long length)
    {
        switch (format)
        {
            case DiskImageFormat.Raw:
                RawBlockDevice.Create(path, length);
                break;
            case DiskImageFormat.Qcow2:
                Qcow2BlockDevice.Create(path, length);
                break;
            case DiskImageFormat.UmlCow:
                throw new DiskImageException($"'{path}' cannot be made: a copy-on-write file of User Mode Linux has the size of the image below it. Name that image.");
            default:
                throw Unknown(format);
        }
    }

    /// <summary>Makes an image over another one, which stays as it is.</summary>
    /// <param name="path">The file, which must not be there.</param>
    /// <param name="format">Its format, one that can have an image below.</param>
    /// <param name="backingPath">The image below.</param>
    /// <param name="backingFormat">
    /// The format of the image below. Raw when it is null; but a qcow2 image is not made over what begins like another format then, which has to be
    /// stated, be it raw: it could be either an image or what a guest has written to a raw disk.
    /// </param>
    /// <exception cref="DiskImageException">The file is there, or the formats do not go together; the message says what to do.</exception>
    public static void CreateOverlay(string path, DiskImageFormat format, string backingPath, DiskImageFormat? backingFormat = null)
    {
        switch (format)
        {
            case DiskImageFormat.Raw:
                throw new DiskImageException($"'{path}' cannot be made over '{backingPath}': a raw image has none below it. Use the format cow or qcow2.");
            case DiskImageFormat.UmlCow when (backingFormat ?? DiskImageFormat.Raw) != DiskImageFormat.Raw:
                throw new DiskImageException($"'{path}' cannot be made over '{backingPath}': copy-on-write files of User Mode Linux are over raw images only. "
                    + "Convert that image to raw.");
            case DiskImageFormat.UmlCow:
                UmlCowBlockDevice.Create(path, backingPath);
                break;
            case DiskImageFormat.Qcow2:
                CreateQcow2(path, backingPath, backingFormat);
                break;
            default:
                throw Unknown(format);
        }
    }

    /// <summary>Sets the size of an image. What is new reads as zeroes.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">Its format.</param>
    /// <param name="length">Bytes, a multiple of 512.</param>
    /// <param name="mayShrink">Whether it may become smaller, which loses what is cut off.</param>
    /// <param name="cancellationToken">Looked at before it begins.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative, no multiple of 512, or more than the format can have.</exception>
    /// <exception cref="NotSupportedException">It is a block device of the host, or a qcow2 image of version 2 with snapshots.</exception>
    /// <exception cref="DiskImageException">The image cannot be opened, or not have that size; the message says what to do.</exception>
    /// <exception cref="IOException">It could not be done.</exception>
    public static async Task ResizeAsync(
        string path, DiskImageFormat format, long length, bool mayShrink = false, CancellationToken cancellationToken = default)
    {
        if (format == DiskImageFormat.UmlCow)
        {
            throw new DiskImageException($"'{path}' has the size of the image below it, as every copy-on-write file of User Mode Linux. "
                + "Merge it into a new image and resize that.");
        }

        await using IBlockDevice device = Open(path, format);
        if (length < device.Length && !mayShrink)
        {
            throw new DiskImageException($"'{path}' has {device.Length} bytes, and {device.Length - length} of them would be lost. "
                + "Make its file systems smaller first, and allow it to shrink then.");
        }

        IResizable resizable = device.GetCapability<IResizable>()
            ?? throw new DiskImageException($"The size of '{path}' cannot change. Convert it to another image, and resize that.");
        await resizable.ResizeAsync(length, cancellationToken).ConfigureAwait(false);
        await CapabilityFallback.FlushAsync(device, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Says what an image is. It is not locked, and may be in use.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">Its format.</param>
    /// <exception cref="DiskImageException">It is not there, or damaged. What is wrong with an image below it stands in the result.</exception>
    public static DiskImageInfo GetInfo(string path, DiskImageFormat format) => DiskImageInspection.Run(path, format);

    /// <summary>Checks what a file of a format says against itself.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">Its format.</param>
    /// <param name="repairs">Whether to repair what can be.</param>
    /// <param name="cancellationToken">Ends the check.</param>
    /// <exception cref="DiskImageException">It is not there, in use, or too damaged to be looked at.</exception>
    /// <exception cref="IOException">It could not be read, or written.</exception>
    public static Task<DiskImageCheckResult> CheckAsync(
        string path, DiskImageFormat format, bool repairs = false, CancellationToken cancellationToken = default) =>
        Task.Run(() => DiskImageInspection.Check(path, format, repairs, cancellationToken), cancellationToken);

    /// <summary>
    /// Makes an image of the same contents in another format, or in the same one without an image below: a merge, whose base stays as it is.
    /// The new image appears under its name when it is complete, and its zeroes are holes.
    /// </summary>
    /// <param name="source">The image.</param>
    /// <param name="sourceFormat">Its format.</param>
    /// <param name="destination">The image to make.</param>
    /// <param name="destinationFormat">The format of it. A raw one ends where the source does, within a sector if need be.</param>
    /// <param name="options">How; as a new object of it says when null.</param>
    /// <param name="progress">Notified of what is done, from any thread.</param>
    /// <param name="cancellationToken">Ends it; no new image is left then.</param>
    /// <exception cref="DiskImageException">An image cannot be opened or made; the message says what to do.</exception>
    /// <exception cref="IOException">A request failed; no new image is left.</exception>
    public static Task ConvertAsync(
        string source,
        DiskImageFormat sourceFormat,
        string destination,
        DiskImageFormat destinationFormat,
        DiskCopyOptions? options = null,
        IProgress<DiskCopyProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        new DiskImageConversion(source, sourceFormat, options ?? new DiskCopyOptions(), progress)
            .RunAsync(destination, destinationFormat, cancellationToken);

    /// <summary>
    /// Merges an image into the one below it, which has its contents then. Every other image over that one is invalid afterwards, and so is
    /// the merged one, which nobody needs any more.
    /// </summary>
    /// <param name="path">The image over the other.</param>
    /// <param name="format">Its format.</param>
    /// <param name="options">How; as a new object of it says when null.</param>
    /// <param name="progress">Notified of what is done, from any thread.</param>
    /// <param name="cancellationToken">Ends it. The image below has part of the contents then, and the other one over it still has all.</param>
    /// <returns>The image below.</returns>
    /// <exception cref="DiskImageException">An image cannot be opened, or is in use; the message says what to do.</exception>
    /// <exception cref="IOException">A request failed. The two images can be used as before, and merged again.</exception>
    public static Task<string> CommitAsync(
        string path,
        DiskImageFormat format,
        DiskCopyOptions? options = null,
        IProgress<DiskCopyProgress>? progress = null,
        CancellationToken cancellationToken = default) => format switch
        {
            DiskImageFormat.UmlCow => UmlCowCommit.RunAsync(path, options ?? new DiskCopyOptions(), progress, cancellationToken),
            DiskImageFormat.Qcow2 => Qcow2Commit.RunAsync(path, options ?? new DiskCopyOptions(), progress, cancellationToken),
            DiskImageFormat.Raw => throw new DiskImageException($"'{path}' is raw, and has no image below it to be merged into."),
            _ => throw Unknown(format),
        };

    /// <summary>Says of a device where it has data; extents that follow one another and are alike are one.</summary>
    /// <param name="device">The device. One that does not know is all data.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="IOException">It could not be found out.</exception>
    public static async IAsyncEnumerable<(long Offset, BlockExtent Extent)> MapAsync(
        IBlockDevice device, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        IExtentMap? map = device.GetCapability<IExtentMap>();
        BlockExtent last = default;
        long length = device.Length, offset = 0;
        while (offset < length)
        {
            BlockExtent next = map is null ? new BlockExtent(length - offset)
                : await map.FindExtentAsync(offset, length - offset, cancellationToken).ConfigureAwait(false);
            if (last.Length != 0 && (last.IsZero != next.IsZero || last.IsBelow != next.IsBelow))
            {
                yield return (offset - last.Length, last);
                last = default;
            }

            offset += next.Length;
            last = next with { Length = last.Length + next.Length };
        }

        if (last.Length != 0)
        {
            yield return (offset - last.Length, last);
        }
    }

    /// <exception cref="DiskImageException">It is none that can be below a qcow2 image.</exception>
    internal static Qcow2BackingFormat? GetBackingFormat(DiskImageFormat? format) => format switch
    {
        null => null,
        DiskImageFormat.Raw => Qcow2BackingFormat.Raw,
        DiskImageFormat.Qcow2 => Qcow2BackingFormat.Qcow2,
        _ => throw new DiskImageException("A qcow2 image is over a raw or another qcow2 image. Convert the image below to one of them."),
    };

    internal static ArgumentOutOfRangeException Unknown(DiskImageFormat format) => new(nameof(format), format, "There is no such format.");

    private static IBlockDevice OpenQcow2(string path, DiskImageOptions options)
    {
        Qcow2BlockDevice device = Qcow2BlockDevice.Open(path, new Qcow2Options
        {
            IsReadOnly = options.IsReadOnly,
            Locks = options.Locks,
            Discards = options.Discards,
            BackingPath = options.BackingPath,
            BackingFormat = GetBackingFormat(options.BackingFormat),
        });
        return options is { IsSynchronous: true, IsReadOnly: false } ? device.WithWriteThrough() : device;
    }

    private static void CreateQcow2(string path, string backingPath, DiskImageFormat? stated)
    {
        DiskImageFormat backingFormat = stated ?? DiskImageFormat.Raw;
        Qcow2BackingFormat format = GetBackingFormat(backingFormat)!.Value;
        backingPath = Path.GetFullPath(backingPath);
        DiskImageInfo below = DiskImageInspection.Run(backingPath, backingFormat);
        if (stated is null && below.Notes.Count != 0)
        {
            throw new DiskImageException($"'{path}' cannot be made over an image whose format is not stated: {below.Notes[0]} "
                + "(backing-format=qcow2 of a disk, --base-format qcow2; or raw, if it is a disk that a guest has written so.)");
        }

        Qcow2BlockDevice.Create(path, below.VirtualSize, new Qcow2CreateOptions { BackingPath = backingPath, BackingFormat = format });
    }
}
