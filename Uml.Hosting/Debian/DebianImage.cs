using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Uml.Core;
using Uml.Hosting.Assets;
using Uml.Storage.Blocks;
using Uml.Storage.FileSystems.Ext4;
using Uml.Storage.FileSystems.Sources;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Hosting.Debian;

/// <summary>
/// A disk with Debian on it: systemd, apt, and the packages wanted, with root's login without a password on the console. It is made once and kept beside
/// the other guest assets. apt downloads the packages, this library unpacks them into an ext4 file system, and a guest completes their installation:
/// none of it needs root, and nothing of the packages runs on the host.
/// </summary>
public static class DebianImage
{
    /// <summary>The label of the file system.</summary>
    public const string Label = "debian";

    private const string ImageName = "disk.img";

    /// <summary>Makes the image, unless one with these options is there.</summary>
    /// <param name="options">What is on it; null is the default.</param>
    /// <param name="assets">Where packages come from and images are kept; null is the default cache.</param>
    /// <param name="progress">Notified of what is done when the image is made, which takes minutes.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The raw image. Put a copy-on-write file over it: machines that write to it directly change what others start from.</returns>
    /// <exception cref="MachineConfigurationException">It cannot be made; the message says why.</exception>
    public static async Task<string> GetAsync(
        DebianImageOptions? options = null,
        GuestAssetCache? assets = null,
        IProgress<DebianImageProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        Validate(options ??= new DebianImageOptions());
        assets ??= new GuestAssetCache();
        AssetStore store = new(Path.Combine(assets.Directory, "images"));
        string directory = Path.Combine(store.Root, GetName(options));
        string image = Path.Combine(directory, ImageName);
        if (File.Exists(image))
        {
            return image;
        }

        try
        {
            using IDisposable _ = await store.LockAsync(
                progress is null ? null : new Waiting(progress), cancellationToken).ConfigureAwait(false);
            if (!File.Exists(image))
            {
                string work = store.CreateTemporaryDirectory();
                await CreateAsync(options, assets, store.CreateTemporaryDirectory(), Path.Combine(work, ImageName), progress, cancellationToken).ConfigureAwait(false);
                store.Publish(work, directory);
            }

            return image;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ImageContentException or DiskImageException)
        {
            throw new MachineConfigurationException($"The Debian image '{image}' cannot be made: {e.Message}", e);
        }
    }

    private static async Task CreateAsync(
        DebianImageOptions options,
        GuestAssetCache assets,
        string downloads,
        string image,
        IProgress<DebianImageProgress>? progress,
        CancellationToken cancellationToken)
    {
        string[] names = ["?essential", "?priority(required)", "apt", "debian-archive-keyring", "usr-is-merged", .. options.Packages];
        IReadOnlyList<string> packages = await assets.DownloadSystemAsync(
            names, options.Suite, downloads, (step, percent) => progress?.Report(new(step, percent)), cancellationToken).ConfigureAwait(false);

        using (FileTree tree = new())
        {
            new DebianPackagesSource(packages, new Unpacking(packages.Count, progress)).AddTo(tree, cancellationToken);
            SetText(tree, DebianSecondStage.Path, DebianSecondStage.Script, FileMetadata.DefaultDirectoryMode);
            SetText(tree, "var/lib/uml/hostname", options.HostName + "\n", FileMetadata.DefaultFileMode);
            SetText(tree, "var/lib/uml/label", Label, FileMetadata.DefaultFileMode);
            await Ext4Writer.CreateAsync(
                tree, image, new Ext4Options { Label = Label, Length = options.Length }, new Writing(progress), cancellationToken).ConfigureAwait(false);
        }

        await DebianInstallation.CompleteAsync(options, assets, image, packages.Count, progress, cancellationToken).ConfigureAwait(false);
    }

    private static void SetText(FileTree tree, string path, string text, int mode) =>
        tree.Set(path, FileNode.CreateFile(new FileMetadata(mode), FileContent.FromMemory(Encoding.UTF8.GetBytes(text))));

    /// <summary>A name that follows from all that the image depends on, but for the versions of packages.</summary>
    private static string GetName(DebianImageOptions options)
    {
        string recipe = string.Join('\n', (string[])
            [DebianSecondStage.Script, options.HostName, options.Length.ToString(CultureInfo.InvariantCulture), .. options.Packages]);
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(recipe)));
        return $"debian-{options.Suite ?? "host"}-{hash[..12]}";
    }

    private static void Validate(DebianImageOptions options)
    {
        if (options.Length < DebianImageOptions.MinimumLength || options.Length % BlockLimits.SectorSize != 0)
        {
            throw new MachineConfigurationException(
                $"A disk of {options.Length} bytes is too small for Debian, or has no whole sectors; use {DebianImageOptions.MinimumLength >> 30} GiB or more.");
        }

        if (options.HostName.Length is 0 or > 63 || !options.HostName.All(c => char.IsAsciiLetterOrDigit(c) || c == '-'))
        {
            throw new MachineConfigurationException($"'{options.HostName}' is no name of a host; use 1 to 63 letters, digits and '-'.");
        }

        if (options.Suite is { } suite)
        {
            AssetName.Parse($"apt/{suite}");
        }

        foreach (string package in options.Packages)
        {
            AssetName.Parse(package);
        }
    }

    private sealed class Waiting(IProgress<DebianImageProgress> progress) : IProgress<string>
    {
        public void Report(string value) => progress.Report(new(value, 0));
    }

    private sealed class Unpacking(int count, IProgress<DebianImageProgress>? progress) : IProgress<int>
    {
        public void Report(int value) => progress?.Report(new("Unpacking packages", 100.0 * value / count));
    }

    private sealed class Writing(IProgress<DebianImageProgress>? progress) : IProgress<Ext4Progress>
    {
        public void Report(Ext4Progress value) => progress?.Report(new("Writing the file system", value.Total == 0 ? 100 : 100.0 * value.Written / value.Total));
    }
}
