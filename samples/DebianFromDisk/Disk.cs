using Uml.Hosting.Assets;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tools;

namespace DebianFromDisk;

/// <summary>The file with the changes to the image, and where it is.</summary>
internal static class Disk
{
    /// <summary>Beside other data of this user's (XDG Base Directory Specification): a cache may be emptied.</summary>
    public static string DefaultChanges => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "uml", "debian.cow");

    /// <summary>Makes the file with the changes if there is none.</summary>
    /// <exception cref="DiskImageException">There is one, of another image: of a disk of another size, for example.</exception>
    public static void Prepare(string changes, string image)
    {
        if (!File.Exists(changes))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(changes)!);
            UmlCowBlockDevice.Create(changes, image);
            return;
        }

        string? below = DiskImage.GetInfo(changes, DiskImageFormat.UmlCow).BackingPath;
        if (below is null || Path.GetFullPath(below) != Path.GetFullPath(image))
        {
            throw new DiskImageException(
                $"'{changes}' has what was changed on '{below}', and the disk wanted is '{image}'. Name another file with --changes, or start over with --discard-changes.");
        }
    }

    /// <summary>Deletes the file with the changes.</summary>
    /// <exception cref="DiskImageException">A machine uses it, or it is another file.</exception>
    public static async Task DiscardAsync(string changes, CancellationToken cancellationToken)
    {
        if (File.Exists(changes))
        {
            await DiskImage.CheckAsync(changes, DiskImageFormat.UmlCow, cancellationToken: cancellationToken);
            File.Delete(changes);
        }
    }

    /// <summary>Merges the changes into the image that they belong to.</summary>
    /// <returns>The image.</returns>
    public static async Task<string> CommitAsync(string changes, CancellationToken cancellationToken)
    {
        string image = await DiskImage.CommitAsync(changes, DiskImageFormat.UmlCow, cancellationToken: cancellationToken);
        File.Delete(changes);
        return image;
    }

    /// <summary>Puts what another virtual machine needs to boot the image into a directory.</summary>
    public static async Task ExportAsync(string directory, string image, KernelAsset kernel, byte[] initrd, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(directory);
        File.Copy(kernel.ImagePath, Path.Combine(directory, "vmlinuz"), overwrite: true);
        await File.WriteAllBytesAsync(Path.Combine(directory, "initrd.img"), initrd, cancellationToken);
        string link = Path.Combine(directory, "disk.img");
        File.Delete(link);
        File.CreateSymbolicLink(link, image);
    }
}
