using Uml.Hosting.Assets;
using Uml.Storage.Formats.UmlCow;

namespace DebianFromDisk;

/// <summary>The file with the changes to the image, and where it is.</summary>
internal static class Disk
{
    /// <summary>Beside other data of this user's (XDG Base Directory Specification): a cache may be emptied.</summary>
    public static string DefaultChanges => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "uml", "debian.cow");

    /// <summary>Makes the file with the changes if there is none.</summary>
    public static void Prepare(string changes, string image)
    {
        if (!File.Exists(changes))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(changes)!);
            UmlCowBlockDevice.Create(changes, image);
        }
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
