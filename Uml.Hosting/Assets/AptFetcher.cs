namespace Uml.Hosting.Assets;

/// <summary>
/// Fetches the package of a name, once. It decides where the package comes from: the host's own package lists, or private ones.
/// </summary>
internal sealed class AptFetcher(AssetName name, AssetStore store, AptClient client, MirrorProbe probe, GuestAssetCacheOptions options, string etc)
{
    private const int MaximumMetapackageSteps = 4; // a limit of ours; Debian has one
    private const string DebianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

    private static readonly TimeSpan _listsLifetime = TimeSpan.FromDays(1);

    private string _settings = "";
    private Task<string?> _silence = Task.FromResult<string?>(null);

    /// <summary>Finds the package of the name.</summary>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The package with the files, and how to run apt to get it.</returns>
    /// <exception cref="GuestAssetException">There is none.</exception>
    public async Task<(AptPackage Package, AptEnvironment Environment)> FindAsync(CancellationToken cancellationToken)
    {
        // Probes in parallel with apt reading its lists, which takes as long.
        _settings = await client.ReadSettingsAsync(cancellationToken).ConfigureAwait(false);
        _silence = probe.FindSilenceAsync(
            options.Mirror is { } mirror ? [mirror] : AptSources.Read(Path.Combine(etc, "apt")).Select(source => source.Uri), _settings, cancellationToken);
        if (name.Suite is null && options.Mirror is null)
        {
            AptEnvironment host = AptEnvironment.CreateHost();
            if (await ResolveAsync(name.Package, host, cancellationToken).ConfigureAwait(false) is AptPackage found)
            {
                return (found, host);
            }
        }

        return await FindPrivatelyAsync(forceUpdate: false, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Downloads a package; when that fails because lists are out of date, once more with fresh private lists.</summary>
    /// <returns>The path of the package file, in the store's temporary directory.</returns>
    public async Task<string> DownloadAsync(AptPackage package, AptEnvironment environment, CancellationToken cancellationToken)
    {
        await ThrowIfOfflineAsync().ConfigureAwait(false);
        try
        {
            return await client.DownloadAsync(package, environment, store.CreateTemporaryDirectory(), cancellationToken).ConfigureAwait(false);
        }
        catch (GuestAssetException) when (environment.ListsTime is null || environment.ListsTime < DateTime.UtcNow - TimeSpan.FromMinutes(5))
        {
            (AptPackage fresh, AptEnvironment freshEnvironment) =
                await FindPrivatelyAsync(forceUpdate: true, cancellationToken).ConfigureAwait(false);
            return await client.DownloadAsync(fresh, freshEnvironment, store.CreateTemporaryDirectory(), cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task ThrowIfOfflineAsync()
    {
        if (await _silence.ConfigureAwait(false) is { } silence)
        {
            throw new GuestAssetException(
                $"{name} is not in the cache '{store.Root}', and there is no way to a mirror to fetch it from ({silence}). Check the network and "
                + $"apt's proxy settings, raise {nameof(GuestAssetCacheOptions)}.{nameof(GuestAssetCacheOptions.ConnectTimeout)} where the network is "
                + "that slow, or give the kernel and the initial RAM disk by their paths.");
        }
    }

    // A metapackage like linux-image-cloud-amd64 depends on exactly the package with the newest kernel's version in its name.
    private async Task<AptPackage?> ResolveAsync(string name, AptEnvironment environment, CancellationToken cancellationToken)
    {
        AptPackage? package = null;
        for (int step = 0; step < MaximumMetapackageSteps; step++)
        {
            package = await client.FindAsync(name, environment, cancellationToken).ConfigureAwait(false);
            if (package is null || !AssetName.IsKernel(name) || KernelDependency(package.Depends) is not string next)
            {
                return package;
            }

            name = next;
        }

        return package;
    }

    private static string? KernelDependency(string depends)
    {
        foreach (string dependency in depends.Split(','))
        {
            string name = dependency.Split('|')[0].Trim().Split(' ')[0];
            if (AssetName.IsKernel(name))
            {
                return name;
            }
        }

        return null;
    }

    private async Task<(AptPackage Package, AptEnvironment Environment)> FindPrivatelyAsync(
        bool forceUpdate, CancellationToken cancellationToken)
    {
        List<AptSource> sources = ChooseSources();
        AptEnvironment environment = AptEnvironment.CreatePrivate(store.AptDirectory(name.Suite ?? "host"), sources, _settings);
        if (forceUpdate || environment.ListsTime is not DateTime time || time < DateTime.UtcNow - _listsLifetime)
        {
            await ThrowIfOfflineAsync().ConfigureAwait(false);
            await client.UpdateAsync(environment, cancellationToken).ConfigureAwait(false);
        }

        AptPackage? package = await ResolveAsync(name.Package, environment, cancellationToken).ConfigureAwait(false);
        return package is not null
            ? (package, environment)
            : throw new GuestAssetException(
                $"There is no package '{name.Package}' in {environment.Description}; check the name with 'apt-cache search', run "
                + "'apt-get update' if the host's lists are old, or name a suite: 'package/bookworm-backports'.");
    }

    /// <summary>
    /// The archives for private lists: the host's own for its release, or the same mirror with the suite wanted.
    /// </summary>
    private List<AptSource> ChooseSources()
    {
        string? codename = ReadCodename();
        List<AptSource> host = options.Mirror is null ? AptSources.Read(Path.Combine(etc, "apt")) : [];
        host.RemoveAll(source => Array.IndexOf(source.Components.Split(' '), "main") < 0);
        string? suite = name.Suite ?? codename;
        if (options.Mirror is not null)
        {
            return suite is null
                ? throw new GuestAssetException($"Say which Debian suite to take '{name}' from: '{name}/bookworm'.")
                : [new AptSource(options.Mirror, suite, "main", Keyring(null))];
        }

        List<AptSource> chosen = host.FindAll(source => source.Suite == suite);
        if (chosen.Count != 0 && name.Suite is null)
        {
            chosen.AddRange(host.FindAll(source => source.Suite == $"{suite}-security" || source.Suite == $"{suite}-updates"));
        }
        else if (chosen.Count == 0 && host.Find(source => source.Suite == codename) is AptSource own && suite is not null)
        {
            chosen = [own with { Suite = suite, Components = "main" }];
        }

        return chosen.Count != 0
            ? chosen.ConvertAll(source => source with { SignedBy = Keyring(source.SignedBy) })
            : throw new GuestAssetException(
                $"apt on this host has no Debian archive to take '{name}' from (release '{codename ?? "unknown"}'); set "
                + $"{nameof(GuestAssetCacheOptions)}.{nameof(GuestAssetCacheOptions.Mirror)} and name the suite, or give the kernel by its path.");
    }

    private string? Keyring(string? own) => options.Keyring ?? own ?? (File.Exists(DebianKeyring) ? DebianKeyring : null);

    // os-release(5)
    private string? ReadCodename()
    {
        string file = Path.Combine(etc, "os-release");
        if (!File.Exists(file))
        {
            return null;
        }

        foreach (string line in File.ReadLines(file))
        {
            if (line.StartsWith("VERSION_CODENAME=", StringComparison.Ordinal))
            {
                return line["VERSION_CODENAME=".Length..].Trim('"', '\'');
            }
        }

        return null;
    }
}
