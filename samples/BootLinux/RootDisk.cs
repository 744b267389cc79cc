using Uml.Core;
using Uml.Core.Boot;
using Uml.Hosting;
using Uml.Hosting.Assets;
using Uml.Hosting.Images;
using Uml.Storage.Images;

namespace BootLinux;

/// <summary>The initial RAM disks of machines with disks: they have the drivers of the kernel that is booted.</summary>
internal static class RootDisk
{
    /// <summary>What the user writes for a kernel that has its drivers built in.</summary>
    public const string NoModules = "none";

    private const string Root = "root=", FileSystem = "rootfstype=";

    /// <summary>Whether the machine is to start from a disk, and nobody has made an initial RAM disk for it.</summary>
    public static bool IsWanted(BootSettings settings) => settings.Initrd is null && settings.Disks.Count != 0 && IsNamed(settings.Append);

    /// <summary>Whether the kernel's command line names a root.</summary>
    public static bool IsNamed(string? append) => FindValue(append, Root) is not null;

    /// <summary>Makes the initial RAM disk; null when the kernel needs none.</summary>
    public static async Task<BootFile?> CreateInitrdAsync(BootSettings settings, GuestAssetCache assets, CancellationToken cancellationToken)
    {
        if (settings.Modules == NoModules)
        {
            return null;
        }

        RootDiskInitramfsOptions options = new();
        if (FindValue(settings.Append, FileSystem) is { Length: > 0 } types)
        {
            options.FileSystems = types.Split(',', StringSplitOptions.RemoveEmptyEntries);
        }

        return await RootDiskInitramfs.CreateAsync(await FindModulesAsync(settings, assets, cancellationToken), assets, options, cancellationToken);
    }

    /// <summary>Makes the initial RAM disk with a shell. It loads the drivers for disks when the machine has any.</summary>
    public static async Task<BootFile> CreateShellAsync(
        BootSettings settings, BusyBoxImageOptions options, GuestAssetCache assets, CancellationToken cancellationToken)
    {
        InitramfsBuilder image = BusyBoxImage.CreateBuilder(await assets.GetBusyBoxAsync(cancellationToken), options);
        if (settings.Disks.Count != 0 && settings.Modules != NoModules)
        {
            image.AddModules(await FindModulesAsync(settings, assets, cancellationToken), ["virtio_pci", "virtio_blk", "ext4"]);
        }

        return BootFile.FromBytes(image.Build(), "(busybox initramfs)");
    }

    private static async Task<string> FindModulesAsync(BootSettings settings, GuestAssetCache assets, CancellationToken cancellationToken)
    {
        string source = settings.Modules ?? settings.Kernel;
        if (NamedFile.IsKernelPackage(source))
        {
            return (await assets.GetKernelAsync(source, cancellationToken)).ModulesDirectory
                ?? throw new MachineConfigurationException($"The package {source} has no modules; name those of the kernel with --modules.");
        }

        return settings.Modules ?? throw new MachineConfigurationException(
            $"The kernel '{source}' is a file without its modules, which the drivers for disks are among. Write --modules with their directory or package, such as "
            + $"--modules /lib/modules/6.1.0-56-cloud-amd64 or --modules linux-image-cloud-amd64; --modules {NoModules} if virtio_pci, virtio_blk and the file "
            + "system are built into it; or --initrd with an image that loads them.");
    }

    private static string? FindValue(string? append, string name) =>
        append?.Split(' ').TakeWhile(word => word != "--").LastOrDefault(word => word.StartsWith(name, StringComparison.Ordinal))?[name.Length..];
}
