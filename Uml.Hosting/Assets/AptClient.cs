using System.Globalization;
using System.Text.RegularExpressions;

namespace Uml.Hosting.Assets;

/// <summary>A package as apt knows it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">The version that would be downloaded.</param>
/// <param name="Depends">The packages it depends on, as in the control file.</param>
/// <param name="Bytes">The size of its file; 0 when not stated.</param>
/// <param name="Sha256">The hash of its file, in lower case.</param>
internal sealed record AptPackage(string Name, string Version, string Depends, long Bytes, string Sha256);

/// <summary>Queries and fetches packages by apt; needs no root.</summary>
internal sealed partial class AptClient(ICommandRunner runner, IProgress<string>? progress)
{
    private const int DownloadAttempts = 2;
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
    /// <returns>The package, or null when apt does not know where to fetch it: also one that is installed but in no list.</returns>
    public async Task<AptPackage?> FindAsync(string name, AptEnvironment environment, CancellationToken cancellationToken)
    {
        CommandResult result = await RunAsync(
            "apt-cache", ["show", "--no-all-versions", name], environment, Path.GetTempPath(), cancellationToken).ConfigureAwait(false);
        Dictionary<string, string> fields = FirstStanza(result.Output);

        // On a host of another architecture its lists have the tool, but not for the guest.
        bool isForGuest = fields.GetValueOrDefault("Architecture", GuestArchitecture) is GuestArchitecture or "all";
        return result.ExitCode == 0 && isForGuest && fields.TryGetValue("Package", out string? package) && package == name
            && fields.TryGetValue("Version", out string? version) && fields.TryGetValue("SHA256", out string? hash)
            ? new AptPackage(name, version, fields.GetValueOrDefault("Depends", ""), ParseSize(fields.GetValueOrDefault("Size")), hash)
            : null;
    }

    /// <summary>Fetches the private package lists.</summary>
    /// <exception cref="GuestAssetException">The mirror is out of reach or its signature is not trusted.</exception>
    public async Task UpdateAsync(AptEnvironment environment, CancellationToken cancellationToken)
    {
        CommandResult result = await FetchAsync(
            ["update", "-o", "APT::Update::Error-Mode=any"],
            environment,
            Path.GetTempPath(),
            $"Fetching package lists of {environment.Description}",
            cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw Explain($"The package lists of {environment.Description} cannot be fetched", result);
        }

        environment.MarkUpdated();
    }

    /// <summary>
    /// Downloads a package file. apt checks it against the signed package lists, and the file on the disk is checked again afterwards; a
    /// damaged one is fetched once more.
    /// </summary>
    /// <param name="package">The package.</param>
    /// <param name="environment">How apt is run.</param>
    /// <param name="directory">An empty directory for the file.</param>
    /// <param name="cancellationToken">Ends the download.</param>
    /// <returns>The file's path.</returns>
    /// <exception cref="GuestAssetException">It cannot be downloaded, or is damaged each time.</exception>
    public async Task<string> DownloadAsync(
        AptPackage package, AptEnvironment environment, string directory, CancellationToken cancellationToken)
    {
        string size = package.Bytes == 0 ? "" : $" ({Math.Max(1, package.Bytes / 1_000_000)} MB)";
        for (int attempt = 1; attempt <= DownloadAttempts; attempt++)
        {
            CommandResult result = await FetchAsync(
                ["download", "-o", "APT::Sandbox::User=root", $"{package.Name}={package.Version}"],
                environment,
                directory,
                $"Downloading {package.Name} {package.Version}{size}",
                cancellationToken).ConfigureAwait(false);
            string[] files = Directory.GetFiles(directory, "*.deb");
            if (result.ExitCode != 0 || files.Length != 1)
            {
                throw Explain($"The package {package.Name} {package.Version} cannot be downloaded", result);
            }

            if (PackageManifest.HashFile(files[0]) == package.Sha256)
            {
                return files[0];
            }

            progress?.Report($"{Path.GetFileName(files[0])} arrived damaged");
            File.Delete(files[0]);
        }

        throw new GuestAssetException(
            $"The package {package.Name} {package.Version} arrived {DownloadAttempts} times with another SHA-256 than that of the package lists; "
            + "check this host's disk and what lies between it and the mirror.");
    }

    /// <summary>Finds out which packages a system is made of.</summary>
    /// <param name="names">Packages, and patterns as <c>?essential</c> (apt-patterns(7)).</param>
    /// <param name="environment">How apt is run.</param>
    /// <param name="directory">A directory for apt's state of a system without packages.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The names of their files, in the order in which they are unpacked.</returns>
    /// <exception cref="GuestAssetException">A package is not there, or they exclude each other.</exception>
    public async Task<IReadOnlyList<string>> SelectAsync(
        IReadOnlyList<string> names, AptEnvironment environment, string directory, CancellationToken cancellationToken)
    {
        CommandResult result = await RunAsync(
            "apt-get", [.. InstallInto(directory), "--simulate", "install", .. names], environment, directory, cancellationToken).ConfigureAwait(false);
        List<string> files = [];
        foreach (Match match in SimulatedInstallation().Matches(result.Output))
        {
            string version = match.Groups["version"].Value.Replace(":", "%3a", StringComparison.Ordinal);
            files.Add($"{match.Groups["name"].Value}_{version}_{match.Groups["architecture"].Value}.deb");
        }

        return result.ExitCode == 0 && files.Count != 0 ? files : throw Explain($"The packages {string.Join(' ', names)} cannot be installed together", result);
    }

    /// <summary>Downloads the packages that <see cref="SelectAsync"/> names, with the same arguments; apt checks them against the signed lists.</summary>
    /// <param name="names">Packages and patterns.</param>
    /// <param name="environment">How apt is run.</param>
    /// <param name="directory">Where the files get to.</param>
    /// <param name="onPercent">Told how much has arrived.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="GuestAssetException">They cannot be downloaded.</exception>
    public async Task DownloadSystemAsync(
        IReadOnlyList<string> names, AptEnvironment environment, string directory, Action<double> onPercent, CancellationToken cancellationToken)
    {
        CommandResult result = await FetchAsync(
            ["install", .. InstallInto(directory), "--download-only", .. names], environment, directory, onPercent, cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw Explain("The packages cannot be downloaded", result);
        }
    }

    // A system without packages, whose packages are looked for and put below the directory; nothing of the host's is read or written but its lists.
    private static string[] InstallInto(string directory)
    {
        string status = Path.Combine(directory, "status");
        File.WriteAllText(status, "");
        Directory.CreateDirectory(Path.Combine(directory, "partial"));
        return
        [
            "-q", "-y", "--no-install-recommends", "-o", $"Dir::State::status={status}", "-o", $"Dir::State::extended_states={status}-extended",
            "-o", $"Dir::Cache::archives={directory}", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "-o", "Debug::NoLocking=true",
            "-o", "APT::Sandbox::User=root", "-o", $"APT::Architecture={GuestArchitecture}", "-o", $"APT::Architectures={GuestArchitecture}",
        ];
    }

    // "Inst bash (5.2.15-2+b7 Debian:12.9/stable [amd64]) []"
    [GeneratedRegex(@"^Inst (?<name>[a-z0-9][a-z0-9+.\-]+) \((?<version>[A-Za-z0-9.+:~\-]+) .*\[(?<architecture>[a-z0-9]+)\]\)", RegexOptions.Multiline)]
    private static partial Regex SimulatedInstallation();

    /// <summary>Runs apt-get and reports its progress in steps of ten per cent.</summary>
    private Task<CommandResult> FetchAsync(
        string[] arguments, AptEnvironment environment, string directory, string what, CancellationToken cancellationToken)
    {
        progress?.Report(what);
        int told = 0;
        return FetchAsync(arguments, environment, directory, OnPercent, cancellationToken);

        void OnPercent(double percent)
        {
            if ((int)percent / 10 * 10 is var step && step > told)
            {
                told = step;
                progress?.Report($"{what}: {step} %");
            }
        }
    }

    /// <summary>Runs apt-get and reports its progress in per cent.</summary>
    private async Task<CommandResult> FetchAsync(
        string[] arguments, AptEnvironment environment, string directory, Action<double> onPercent, CancellationToken cancellationToken)
    {
        return await RunAsync(
            "apt-get", [arguments[0], "-q", "-o", "APT::Status-Fd=1", .. arguments[1..]], environment, directory, cancellationToken, OnOutput).ConfigureAwait(false);

        // apt's README.progress-reporting: dlstatus:number:per cent:text.
        void OnOutput(string line)
        {
            string[] parts = line.Split(':', 4);
            if (parts.Length == 4 && parts[0] == "dlstatus"
                && double.TryParse(parts[2], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double percent) && percent <= 100)
            {
                onPercent(percent);
            }
        }
    }

    private static long ParseSize(string? text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long size) ? size : 0;

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
        string command,
        string[] arguments,
        AptEnvironment environment,
        string directory,
        CancellationToken cancellationToken,
        Action<string>? onOutput = null)
    {
        CommandResult? result = await runner.RunAsync(
            command, arguments, environment.Variables, directory, onOutput, cancellationToken).ConfigureAwait(false);
        return result ?? throw new GuestAssetException(
            $"'{command}' is not on this host, so guest assets cannot be fetched by name. Use a Debian host or container, or give "
            + "the kernel, its modules and busybox by their paths.");
    }
}
