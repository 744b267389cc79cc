using Uml.Storage.Images;

namespace Uml.Hosting.Assets;

/// <summary>
/// Kernels and tools for guests by the names of Debian's packages: fetched once with apt, which checks their signatures and needs no root
/// for it, unpacked here, and kept. A name may carry a suite, <c>linux-image-cloud-amd64/bookworm-backports</c>; then, and when the host
/// has no package lists of its own, private lists in the cache directory are used. Several processes can share a directory. A fetched
/// package is verified by the hash in apt's index, and its files are verified whenever they are requested: damaged ones are fetched again,
/// others never.
/// </summary>
public sealed class GuestAssetCache
{
    private static readonly string[] _busyBoxPaths = ["bin/busybox", "usr/bin/busybox"];
    private static readonly string[] _kernelPaths = ["boot/", "lib/modules/", "usr/lib/modules/"];

    private readonly GuestAssetCacheOptions _options;
    private readonly AssetStore _store;
    private readonly AptClient _client;
    private readonly MirrorProbe _probe;
    private readonly string _etc;

    /// <summary>Creates a cache.</summary>
    /// <param name="options">Where assets come from and are kept; the defaults when null.</param>
    /// <exception cref="GuestAssetException">The user has no home directory, and the place for such users is not this user's own.</exception>
    public GuestAssetCache(GuestAssetCacheOptions? options = null)
        : this(options ?? new GuestAssetCacheOptions(), new CommandRunner((options ?? new()).CommandTimeout), "/etc")
    {
    }

    /// <summary>Creates a cache that runs commands and reads the host's configuration as a test wants.</summary>
    internal GuestAssetCache(GuestAssetCacheOptions options, ICommandRunner runner, string etc)
    {
        _options = options;
        _etc = etc;
        _store = new AssetStore(Path.GetFullPath(options.Directory ?? CacheDirectory.Choose(
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME"),
            Environment.GetFolderPath(Environment.SpecialFolder.UserProfile),
            Path.GetTempPath())));
        _client = new AptClient(runner, options.Progress);
        _probe = new MirrorProbe(runner, options.ConnectTimeout);
    }

    /// <summary>The directory that holds the assets.</summary>
    public string Directory => _store.Root;

    /// <summary>Gets a kernel.</summary>
    /// <param name="name">
    /// A kernel package, or a metapackage of the newest one: <c>linux-image-cloud-amd64</c>, <c>linux-image-amd64</c>, with a suite if need
    /// be: <c>linux-image-cloud-amd64/trixie</c>.
    /// </param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>Where its files are.</returns>
    /// <exception cref="GuestAssetException">It cannot be fetched; the message says why.</exception>
    public async Task<KernelAsset> GetKernelAsync(string name, CancellationToken cancellationToken = default)
    {
        StoredPackage package = await GetAsync(AssetName.Parse(name), _kernelPaths, cancellationToken).ConfigureAwait(false);
        string? boot = PackagePath.Resolve(package.Directory, "boot");
        string[] images = System.IO.Directory.Exists(boot) ? System.IO.Directory.GetFiles(boot, "vmlinuz-*") : [];
        if (images.Length != 1)
        {
            throw new GuestAssetException(
                $"The package {package.Name} {package.Version} has {images.Length} kernels in /boot; name a package like linux-image-cloud-amd64.");
        }

        string image = Path.GetFileName(images[0]);
        string release = image["vmlinuz-".Length..];
        return new KernelAsset
        {
            Package = package.Name,
            PackageVersion = package.Version,
            Release = release,
            ImagePath = PackagePath.Resolve(package.Directory, $"boot/{image}") ?? throw new GuestAssetException(
                $"The kernel '{image}' of the package {package.Name} {package.Version} is a link that leads nowhere; name another package."),
            ConfigPath = PackagePath.Resolve(package.Directory, $"boot/config-{release}"),
            ModulesDirectory = FindModules(package.Directory, release),
        };
    }

    /// <summary>Gets the statically linked busybox of Debian's package busybox-static.</summary>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The path of the program.</returns>
    /// <exception cref="GuestAssetException">It cannot be fetched; the message says why.</exception>
    public Task<string> GetBusyBoxAsync(CancellationToken cancellationToken = default) =>
        GetBusyBoxAsync(AssetName.BusyBox, cancellationToken);

    /// <summary>Gets a busybox.</summary>
    /// <param name="name">The package, with a suite if need be.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The path of the program.</returns>
    /// <exception cref="GuestAssetException">It cannot be fetched; the message says why.</exception>
    public async Task<string> GetBusyBoxAsync(string name, CancellationToken cancellationToken = default)
    {
        StoredPackage package = await GetAsync(AssetName.Parse(name), _busyBoxPaths, cancellationToken).ConfigureAwait(false);
        foreach (string path in _busyBoxPaths)
        {
            if (PackagePath.Resolve(package.Directory, path) is { } program && File.Exists(program))
            {
                return program;
            }
        }

        throw new GuestAssetException($"The package {package.Name} {package.Version} has no busybox program.");
    }

    /// <summary>Downloads the packages that a system is made of.</summary>
    /// <param name="names">Packages, and patterns as <c>?essential</c>. Recommended packages are left out.</param>
    /// <param name="suite">The Debian suite; null for the host's own.</param>
    /// <param name="directory">A directory for the files.</param>
    /// <param name="onProgress">Told what is done, and how much of it in per cent.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The files, in the order in which they are unpacked.</returns>
    /// <exception cref="GuestAssetException">They cannot be fetched; the message says why.</exception>
    internal async Task<IReadOnlyList<string>> DownloadSystemAsync(
        IReadOnlyList<string> names, string? suite, string directory, Action<string, double> onProgress, CancellationToken cancellationToken)
    {
        onProgress("Asking apt for packages", 0);

        // Every system has it, so where it comes from is where all come from.
        AptFetcher fetcher = new(AssetName.Parse(suite is null ? "base-files" : $"base-files/{suite}"), _store, _client, _probe, _options, _etc);
        AptEnvironment environment;
        using (await _store.LockAsync(_options.Progress, cancellationToken).ConfigureAwait(false))
        {
            (_, environment) = await fetcher.FindAsync(cancellationToken).ConfigureAwait(false);
        }

        IReadOnlyList<string> files = await _client.SelectAsync(names, environment, directory, cancellationToken).ConfigureAwait(false);
        string what = $"Downloading {files.Count} packages";
        await _client.DownloadSystemAsync(names, environment, directory, percent => onProgress(what, percent), cancellationToken).ConfigureAwait(false);
        return files.Select(file => Path.Combine(directory, file)).ToList();
    }

    private static string? FindModules(string directory, string release)
    {
        foreach (string place in (string[])["lib/modules", "usr/lib/modules"])
        {
            if (PackagePath.Resolve(directory, $"{place}/{release}") is { } modules && System.IO.Directory.Exists(modules))
            {
                return modules;
            }
        }

        return null;
    }

    private async Task<StoredPackage> GetAsync(AssetName name, string[] wantedPaths, CancellationToken cancellationToken)
    {
        try
        {
            if (await FindIntactAsync(name, cancellationToken).ConfigureAwait(false) is { } stored)
            {
                return stored;
            }

            using IDisposable _ = await _store.LockAsync(_options.Progress, cancellationToken).ConfigureAwait(false);

            // Another process may have been faster.
            return await FindIntactAsync(name, cancellationToken).ConfigureAwait(false) ?? await FetchAsync(name, wantedPaths, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new GuestAssetException(
                $"The asset cache '{_store.Root}' cannot be used: {e.Message} Make room, or set XDG_CACHE_HOME or "
                + $"{nameof(GuestAssetCacheOptions)}.{nameof(GuestAssetCacheOptions.Directory)} to a directory that this user can write.", e);
        }
        catch (ImageContentException e)
        {
            throw new GuestAssetException($"{name} cannot be unpacked: {e.Message}", e);
        }
    }

    private async Task<StoredPackage?> FindIntactAsync(AssetName name, CancellationToken cancellationToken) =>
        _store.Find(name) is { } stored && await IsIntactAsync(stored, cancellationToken).ConfigureAwait(false) ? stored : null;

    private static Task<bool> IsIntactAsync(StoredPackage package, CancellationToken cancellationToken) =>
        Task.Run(() => PackageManifest.Matches(package.Directory, cancellationToken), cancellationToken);

    private async Task<StoredPackage> FetchAsync(AssetName name, string[] wantedPaths, CancellationToken cancellationToken)
    {
        _options.Progress?.Report($"Asking apt for {name}");
        AptFetcher fetcher = new(name, _store, _client, _probe, _options, _etc);
        (AptPackage package, AptEnvironment environment) = await fetcher.FindAsync(cancellationToken).ConfigureAwait(false);
        StoredPackage stored = new(package.Name, package.Version, _store.PackageDirectory(package.Name, package.Version));
        if (!await IsIntactAsync(stored, cancellationToken).ConfigureAwait(false))
        {
            string file = await fetcher.DownloadAsync(package, environment, cancellationToken).ConfigureAwait(false);
            _options.Progress?.Report($"Unpacking {Path.GetFileName(file)}");
            string unpacked = _store.CreateTemporaryDirectory();
            stored = await Task.Run(() => Unpack(file, unpacked, wantedPaths, cancellationToken), cancellationToken).ConfigureAwait(false);
            if (!await IsIntactAsync(stored, cancellationToken).ConfigureAwait(false))
            {
                _store.Publish(unpacked, stored.Directory);
            }
        }

        _store.Remember(name, stored);
        return stored;
    }

    // The package itself has the last word on its version: the lists may have been renewed between question and download.
    private StoredPackage Unpack(string file, string directory, string[] wantedPaths, CancellationToken cancellationToken)
    {
        using DebianPackage package = DebianPackage.Open(file);
        IReadOnlyDictionary<string, string> control = package.ReadControl();
        if (!control.TryGetValue("Package", out string? name) || !control.TryGetValue("Version", out string? version)
            || version.Contains('/', StringComparison.Ordinal))
        {
            throw new ImageContentException($"The package '{Path.GetFileName(file)}' does not say its name and version.");
        }

        name = AssetName.Parse(name).Package;
        package.Extract(
            directory,
            path => Array.Exists(wantedPaths, wanted => wanted.EndsWith('/') ? path.StartsWith(wanted, StringComparison.Ordinal) : path == wanted),
            cancellationToken);
        PackageManifest.Write(directory, cancellationToken);
        return new StoredPackage(name, version, _store.PackageDirectory(name, version));
    }
}
