using Uml.Core;
using Uml.Core.Boot;
using Uml.Hosting.Assets;
using Uml.Hosting.Images;

namespace Uml.Hosting;

/// <summary>
/// Kernels and initial RAM disks by one name: the path of a file, or the name of a package that is fetched when the machine starts. Which
/// of the two it is depends on the name only, not on the files that exist: a name that begins with <c>linux-image-</c> is a kernel package
/// and <c>busybox-static</c> an image with a shell, both also followed by a suite (<c>linux-image-cloud-amd64/trixie</c>). Everything else
/// is a path; a file that is called like a package is written <c>./linux-image-x</c>.
/// </summary>
public static class NamedFile
{
    /// <summary>The name of the image with busybox and a shell: see <see cref="BusyBoxImage"/>.</summary>
    public const string BusyBox = AssetName.BusyBox;

    /// <summary>Whether a kernel's name is that of a package.</summary>
    /// <param name="name">The name.</param>
    public static bool IsKernelPackage(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return AssetName.IsKernel(name);
    }

    /// <summary>A kernel.</summary>
    /// <param name="name">A path, or a kernel package such as <c>linux-image-cloud-amd64</c>.</param>
    /// <param name="assets">Where packages come from; null is the default cache.</param>
    /// <exception cref="MachineConfigurationException">The name is empty, or cannot be a package's.</exception>
    public static BootFile Kernel(string name, GuestAssetCache? assets = null)
    {
        ThrowIfEmpty(name, "kernel");
        if (!IsKernelPackage(name))
        {
            return BootFile.FromPath(name);
        }

        AssetName.Parse(name);
        return BootFile.FromSource(name, async cancellationToken =>
        {
            KernelAsset kernel = await (assets ?? new GuestAssetCache()).GetKernelAsync(name, cancellationToken).ConfigureAwait(false);
            return BootFile.FromPath(kernel.ImagePath);
        });
    }

    /// <summary>An initial RAM disk.</summary>
    /// <param name="name">A path, or <see cref="BusyBox"/>.</param>
    /// <param name="assets">Where packages come from; null is the default cache.</param>
    /// <exception cref="MachineConfigurationException">The name is empty, or its suite cannot be one.</exception>
    public static BootFile Initrd(string name, GuestAssetCache? assets = null)
    {
        ThrowIfEmpty(name, "initial RAM disk");
        if (name != BusyBox && !name.StartsWith(BusyBox + "/", StringComparison.Ordinal))
        {
            return BootFile.FromPath(name);
        }

        AssetName.Parse(name);
        return BootFile.FromSource(name, async cancellationToken =>
        {
            string program = await (assets ?? new GuestAssetCache()).GetBusyBoxAsync(name, cancellationToken).ConfigureAwait(false);
            return BootFile.FromBytes(BusyBoxImage.CreateBuilder(program).Build(), $"({name} image)");
        });
    }

    private static void ThrowIfEmpty(string name, string role)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Length == 0)
        {
            throw new MachineConfigurationException($"The name of the {role} is empty; write a file or a package.");
        }
    }
}
