using Uml.Storage.Blocks;
using Uml.Storage.Files;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;

namespace Uml.Storage.Tools;

/// <summary>
/// Merges a qcow2 image into the one below it. Cut off at any time, the image above still has every cluster that was to be merged, and the two
/// make the same disk.
/// </summary>
internal static class Qcow2Commit
{
    public static async Task<string> RunAsync(
        string path, DiskCopyOptions options, IProgress<DiskCopyProgress>? progress, CancellationToken cancellationToken)
    {
        // The images are locked one by one: the one below is opened to be written as well, which a lock by its reader would forbid.
        using HostFile file = HostFile.Open(path, new HostFileMode(IsReadOnly: true));
        if (options.Locks)
        {
            FileLock.Take(file);
        }

        await using Qcow2BlockDevice device = Qcow2BlockDevice.Open(path, new Qcow2Options
        {
            IsReadOnly = true,
            Locks = false,
            BackingPath = options.BackingPath,
            BackingFormat = DiskImage.GetBackingFormat(options.BackingFormat),
        });
        (string below, DiskImageFormat format) = device.Backing switch
        {
            RawBlockDevice raw => (raw.Path, DiskImageFormat.Raw),
            Qcow2BlockDevice image => (image.Path, DiskImageFormat.Qcow2),
            _ => throw new DiskImageException($"'{path}' has no image below it to be merged into."),
        };
        await using IBlockDevice target = DiskImage.Open(below, format, new DiskImageOptions { Locks = options.Locks });
        await GrowAsync(target, device.Length, cancellationToken).ConfigureAwait(false);
        await BlockCopy.CopyAsync(device, target, options.ForBlocks with { IsOwnOnly = true }, progress, cancellationToken).ConfigureAwait(false);
        return below;
    }

    private static ValueTask GrowAsync(IBlockDevice target, long length, CancellationToken cancellationToken) =>
        target.Length < length ? target.GetCapability<IResizable>()!.ResizeAsync(length, cancellationToken) : ValueTask.CompletedTask;
}
