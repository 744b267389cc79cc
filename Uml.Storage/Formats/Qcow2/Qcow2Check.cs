using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Checks qcow2 images, as <c>qemu-img check</c> does, and repairs them. Nobody else may have the image open to be written.</summary>
public static class Qcow2Check
{
    /// <summary>Compares how often each cluster is referred to with how often the image says so.</summary>
    /// <param name="path">The image.</param>
    /// <exception cref="DiskImageException">It is in use, not there, or so damaged that its tables cannot be read.</exception>
    public static Qcow2CheckResult Run(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using HostFile file = OpenLocked(path, isReadOnly: true);
        return Run(file);
    }

    /// <summary>
    /// Makes the reference counts anew from the tables, corrects the entries that say whether a cluster is shared, and takes the marks away that say
    /// that the image is damaged. Entries that point to no cluster are left: what is behind them is lost in any case.
    /// </summary>
    /// <param name="path">The image.</param>
    /// <returns>What was found before; check again to see what is left.</returns>
    /// <exception cref="DiskImageException">It is in use, not there, or cannot be repaired.</exception>
    public static Qcow2CheckResult Repair(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using HostFile file = OpenLocked(path, isReadOnly: false);
        return Repair(file);
    }

    internal static Qcow2CheckResult Run(IImageFile file)
    {
        try
        {
            return new Qcow2Checker(Qcow2Image.Open(file)).Run().Result;
        }
        catch (BlockIOException e)
        {
            throw new DiskImageException($"'{file.Path}' cannot be checked: {e.Message}", e);
        }
    }

    internal static Qcow2CheckResult Repair(IImageFile file)
    {
        try
        {
            Qcow2Image image = Qcow2Image.Open(file);
            Qcow2Usage usage = new Qcow2Checker(image).Run();
            if (!usage.Result.IsClean || image.Info.IsDirty || image.Info.IsCorrupt)
            {
                Qcow2Repair.Run(image, usage);
            }

            return usage.Result;
        }
        catch (BlockIOException e)
        {
            throw new DiskImageException($"'{file.Path}' cannot be repaired: {e.Message}", e);
        }
    }

    private static HostFile OpenLocked(string path, bool isReadOnly)
    {
        HostFile file = HostFile.Open(path, new HostFileMode(isReadOnly));
        try
        {
            FileLock.Take(file);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }
}

/// <summary>What a check of a qcow2 image has found.</summary>
/// <param name="Leaks">Clusters that are counted more often than they are referred to: room that is lost, and nothing else.</param>
/// <param name="Corruptions">Clusters that are counted less often than they are referred to, and entries that are wrong: data are in danger.</param>
/// <param name="Messages">The first of them in words.</param>
public sealed record Qcow2CheckResult(long Leaks, long Corruptions, IReadOnlyList<string> Messages)
{
    /// <summary>Whether there is nothing wrong.</summary>
    public bool IsClean => Leaks == 0 && Corruptions == 0;
}
