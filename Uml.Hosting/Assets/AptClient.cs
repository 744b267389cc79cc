namespace Uml.Hosting.Assets;

/// <summary>A package as apt knows it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">The version that would be downloaded.</param>
/// <param name="Depends">The packages it needs, as the control file has it.</param>
/// <param name="Bytes">The size of its file; 0 when not stated.</param>
internal sealed record AptPackage(string Name, string Version, string Depends, long Bytes);

/// <summary>Asks apt for packages and fetches them; needs no root.</summary>
internal sealed class AptClient(ICommandRunner runner, IProgress<string>? progress)
{
    private const string GuestArchitecture = "amd64";

    private static readonly string[] _networkComplaints =
    [
        "Temporary failure resolving", "Could not resolve", "Could not connect", "Unable to connect", "Connection timed out",
        "Network is unreachable", "Connection refused", "Connection failed",
    ];

    /// <summary>The output of <c>apt-config dump</c>.</summary>
    public async Task<string> ReadSettingsAsync(CancellationToken cancellationToken)
    {
        AptEnvironment host = AptEnvironment.CreateHost();
        CommandResult result = await RunAsync("apt-config", ["dump"], host, Path.GetTempPath(), cancellationToken).ConfigureAwait(false);
        return result.Output;
    }

    /// <summary>Looks a package up.</summary>
    /// <returns>The package, or null when apt does not know it.</returns>
    public async Task<AptPackage?> FindAsync(string name, AptEnvironment environment, CancellationToken cancellationToken)
    {
        CommandResult result = await RunAsync(
            "apt-cache", ["show", "--no-all-versions", name], environment, Path.GetTempPath(), cancellationToken).ConfigureAwait(false);
        Dictionary<string, string> fields = FirstStanza(result.Output);

        // On a host of another architecture its lists have the tool, but not for the guest.
        bool isForGuest = fields.GetValueOrDefault("Architecture", GuestArchitecture) is GuestArchitecture or "all";
        return result.ExitCode == 0 && isForGuest && fields.TryGetValue("Package", out string? package) && package == name
            && fields.TryGetValue("Version", out string? version)
            ? new AptPackage(name, version, fields.GetValueOrDefault("Depends", ""), ParseSize(fields.GetValueOrDefault("Size")))
            : null;
    }

    /// <summary>Fetches the private package lists.</summary>
    /// <exception cref="GuestAssetException">The mirror is out of reach or its signature is not trusted.</exception>
    public async Task UpdateAsync(AptEnvironment environment, CancellationToken cancellationToken)
    {
        progress?.Report($"Fetching package lists of {environment.Description}");
        CommandResult result = await RunAsync(
            "apt-get", ["update", "-q", "-o", "APT::Update::Error-Mode=any"], environment, Path.GetTempPath(), cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw Explain($"The package lists of {environment.Description} cannot be fetched", result);
        }

        environment.MarkUpdated();
    }

    /// <summary>Downloads a package file; apt checks it against the signed package lists.</summary>
    /// <param name="package">The package.</param>
    /// <param name="environment">How apt is run.</param>
    /// <param name="directory">An empty directory for the file.</param>
    /// <param name="cancellationToken">Ends the download.</param>
    /// <returns>The file's path.</returns>
    /// <exception cref="GuestAssetException">It cannot be downloaded.</exception>
    public async Task<string> DownloadAsync(
        AptPackage package, AptEnvironment environment, string directory, CancellationToken cancellationToken)
    {
        string size = package.Bytes == 0 ? "" : $" ({Math.Max(1, package.Bytes / 1_000_000)} MB)";
        progress?.Report($"Downloading {package.Name} {package.Version}{size}");
        CommandResult result = await RunAsync(
            "apt-get",
            ["download", "-q", "-o", "APT::Sandbox::User=root", $"{package.Name}={package.Version}"],
            environment,
            directory,
            cancellationToken).ConfigureAwait(false);
        string[] files = System.IO.Directory.GetFiles(directory, "*.deb");
        return result.ExitCode == 0 && files.Length == 1
            ? files[0]
            : throw Explain($"The package {package.Name} {package.Version} cannot be downloaded", result);
    }

    private static long ParseSize(string? text) =>
        long.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out long size) ? size : 0;

    private static Dictionary<string, string> FirstStanza(string output)
    {
        Dictionary<string, string> fields = new(StringComparer.Ordinal);
        foreach (string line in output.Split('\n'))
        {
            if (line.Length == 0 && fields.Count != 0)
            {
                break;
            }

            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && line[0] != ' ')
            {
                fields.TryAdd(line[..colon], line[(colon + 1)..].Trim());
            }
        }

        return fields;
    }

    private static GuestAssetException Explain(string what, CommandResult result)
    {
        string text = result.Errors + "\n" + result.Output;
        string[] complaints = Array.FindAll(
            text.Split('\n'), line => line.StartsWith("E:", StringComparison.Ordinal) || line.StartsWith("Err:", StringComparison.Ordinal));
        string detail = complaints.Length == 0 ? $"apt ended with {result.ExitCode}" : string.Join(' ', complaints[..Math.Min(3, complaints.Length)]);
        string advice = "Try again, or download the package by other means and give the kernel by its path.";
        if (Array.Exists(_networkComplaints, complaint => text.Contains(complaint, StringComparison.Ordinal)))
        {
            advice = "There is no way to the mirror: check the network and apt's proxy settings, or give the kernel by its path.";
        }
        else if (text.Contains("NO_PUBKEY", StringComparison.Ordinal) || text.Contains("is not signed", StringComparison.Ordinal))
        {
            advice = $"The mirror's signing key is not trusted here: install debian-archive-keyring or set {nameof(GuestAssetCacheOptions)}."
                + $"{nameof(GuestAssetCacheOptions.Keyring)}.";
        }

        return new GuestAssetException($"{what}: {detail}. {advice}");
    }

    private async Task<CommandResult> RunAsync(
        string command, string[] arguments, AptEnvironment environment, string directory, CancellationToken cancellationToken)
    {
        CommandResult? result = await runner.RunAsync(command, arguments, environment.Variables, directory, cancellationToken).ConfigureAwait(false);
        return result ?? throw new GuestAssetException(
            $"'{command}' is not on this host, so guest assets cannot be fetched by name. Use a Debian host or container, or give "
            + "the kernel, its modules and busybox by their paths.");
    }
}
