using Uml.Storage.Blocks;
using Uml.Storage.Files;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Storage.Tools;

/// <summary>
/// Merges a copy-on-write file of User Mode Linux into the image below it. Cut off at any time, the file still has every sector that the image
/// lacks; it is made to belong to the image as that is then, which every other file over the image does not any more.
/// </summary>
internal static class UmlCowCommit
{
    public static async Task<string> RunAsync(
        string path, DiskCopyOptions options, IProgress<DiskCopyProgress>? progress, CancellationToken cancellationToken)
    {
        UmlCowOptions open = new()
        {
            IsReadOnly = true,
            Locks = options.Locks,
            BackingPath = options.BackingPath,
            AcceptsChangedTime = options.AcceptsChangedTime,
        };
        UmlCowBlockDevice device = UmlCowBlockDevice.Open(path, open, writesBacking: true);
        string backing = device.BackingPath;
        try
        {
            await using (device.ConfigureAwait(false))
            {
                await MergeAsync(device, options, progress, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            KeepTogether(path, backing, e);
            throw;
        }

        return backing;
    }

    private static async Task MergeAsync(
        UmlCowBlockDevice device, DiskCopyOptions options, IProgress<DiskCopyProgress>? progress, CancellationToken cancellationToken)
    {
        // Zeroes are for what the file has as a hole; what it has as data is written as data.
        BlockCopyOptions copy = options.ForBlocks with { IsOwnOnly = true, FindsZeroes = false };
        HostFile file = device.Backing.File;
        try
        {
            await BlockCopy.CopyAsync(device, device.Backing, copy, progress, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // A last sector that is not whole was written whole.
            if (!file.IsBlockDevice && file.GetLength() != device.Header.Size)
            {
                file.SetLength(device.Header.Size);
            }
        }

        file.Run(HostFileOperation.Flush, 0, default, 0);
    }

    private static void KeepTogether(string path, string backing, Exception cause)
    {
        try
        {
            using HostFile file = HostFile.Open(backing, new HostFileMode(IsReadOnly: true));
            if (!UmlCowImage.RenewTime(path, file.Status.ModifiedSeconds))
            {
                throw new DiskImageException($"'{path}' has a version whose date cannot be renewed.");
            }
        }
        catch (IOException e)
        {
            throw new DiskImageException(
                $"The merge of '{path}' into '{backing}' was cut off, and the file could not be made to belong to the image as it is now: {e.Message} "
                + "Nothing is lost: merge them again, and accept that the image has changed.",
                cause);
        }
    }
}
