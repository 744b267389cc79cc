namespace Uml.Hosting.Assets;

/// <summary>Where guest assets come from and where they are kept.</summary>
public sealed class GuestAssetCacheOptions
{
    /// <summary>
    /// The directory that holds the assets; unless set <c>uml</c> below <c>$XDG_CACHE_HOME</c>, which defaults to <c>~/.cache</c>.
    /// </summary>
    public string? Directory { get; set; }

    /// <summary>Told what is going on, a sentence at a time, when something is fetched.</summary>
    public IProgress<string>? Progress { get; set; }

    /// <summary>
    /// The Debian mirror for packages that the host's own package lists do not have, such as
    /// <c>http://mirror.example/debian</c>; unless set the host's own apt sources say it.
    /// </summary>
    public string? Mirror { get; set; }

    /// <summary>
    /// The file with the mirror's signing keys; unless set what the host's own apt sources say, or apt's own trusted keys.
    /// </summary>
    public string? Keyring { get; set; }

    /// <summary>The longest that one apt command may take; 15 minutes unless set.</summary>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromMinutes(15);
}
