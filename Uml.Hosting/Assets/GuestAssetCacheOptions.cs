namespace Uml.Hosting.Assets;

/// <summary>Options of the cache of guest assets: sources and directory.</summary>
public sealed class GuestAssetCacheOptions
{
    /// <summary>
    /// The directory that holds the assets; unless set <c>uml</c> below <c>$XDG_CACHE_HOME</c>, which defaults to <c>~/.cache</c>.
    /// A user without a home directory gets one of their own, with mode 0700, in the directory of temporary files.
    /// </summary>
    public string? Directory { get; set; }

    /// <summary>Receives progress messages when a package is fetched, one at each ten per cent.</summary>
    public IProgress<string>? Progress { get; set; }

    /// <summary>
    /// The Debian mirror for packages that the host's own package lists do not have, such as
    /// <c>http://mirror.example/debian</c>; unless set the host's own apt sources say it.
    /// </summary>
    public string? Mirror { get; set; }

    /// <summary>The file with the mirror's signing keys; unless set, those of the host's apt sources, or apt's trusted keys.</summary>
    public string? Keyring { get; set; }

    /// <summary>How long a mirror or proxy may take to accept a connection, before the host counts as offline; 2 seconds unless set.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>The longest that one apt command may take; 15 minutes unless set.</summary>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromMinutes(15);
}
