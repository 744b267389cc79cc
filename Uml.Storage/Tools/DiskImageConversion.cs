using Uml.Storage.Blocks;
using Uml.Storage.Files;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Storage.Tools;

/// <summary>Makes an image of the contents of another.</summary>
internal sealed class DiskImageConversion(string source, DiskImageFormat sourceFormat, DiskCopyOptions options, IProgress<DiskCopyProgress>? progress)
{
    public async Task RunAsync(string destination, DiskImageFormat format, CancellationToken cancellationToken)
    {
        if (format == DiskImageFormat.UmlCow)
        {
            throw new DiskImageException($"'{destination}' cannot be made: a copy-on-write file of User Mode Linux has only what differs from an image below it. "
                + "Make one over an image instead.");
        }

        await using IBlockDevice device = DiskImage.Open(source, sourceFormat, new DiskImageOptions
        {
            IsReadOnly = true,
            Locks = options.Locks,
            BackingPath = options.BackingPath,
            BackingFormat = options.BackingFormat,
            AcceptsChangedTime = options.AcceptsChangedTime,
        });
        using NewImageFile file = new(destination, options);
        DiskImage.Create(file.TemporaryPath, format, device.Length);
        await CopyAsync(device, file.TemporaryPath, format, cancellationToken).ConfigureAwait(false);
        file.Complete();
    }

    private async Task CopyAsync(IBlockDevice device, string path, DiskImageFormat format, CancellationToken cancellationToken)
    {
        await using IBlockDevice made = DiskImage.Open(path, format);
        await BlockCopy.CopyAsync(device, made, options.ForBlocks with { IsDestinationZero = true }, progress, cancellationToken).ConfigureAwait(false);
        if (made is RawBlockDevice raw && GetEnd(device) is { } end && end != raw.Length)
        {
            raw.File.SetLength(end);
            raw.File.Run(HostFileOperation.Flush, 0, default, 0);
        }
    }

    /// <summary>Where a disk really ends, within its last sector; null where formats have whole sectors only.</summary>
    private static long? GetEnd(IBlockDevice device) => device switch
    {
        UmlCowBlockDevice cow => cow.Header.Size,
        RawBlockDevice raw => raw.File.GetLength(),
        _ => null,
    };
}
