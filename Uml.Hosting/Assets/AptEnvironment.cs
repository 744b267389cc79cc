using System.Globalization;
using System.Text;

namespace Uml.Hosting.Assets;

/// <summary>
/// How apt is run: with the host's own configuration and package lists, or with private ones in the cache directory, which
/// needs no root and touches nothing of the host's.
/// </summary>
internal sealed class AptEnvironment
{
    private const string ListsDirectory = "lists";

    private AptEnvironment(string description, string? directory)
    {
        Description = description;
        Directory = directory;
        Variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["LC_ALL"] = "C", // messages are looked at
            ["DEBIAN_FRONTEND"] = "noninteractive",
        };
        if (directory is not null)
        {
            Variables["APT_CONFIG"] = Path.Combine(directory, "apt.conf");
        }
    }

    /// <summary>What messages call it.</summary>
    public string Description { get; }

    /// <summary>The private directory; null for the host's own configuration.</summary>
    public string? Directory { get; }

    /// <summary>The environment variables of apt commands.</summary>
    public Dictionary<string, string> Variables { get; }

    /// <summary>When the private lists were last fetched; null when they never were, and for the host's lists.</summary>
    public DateTime? ListsTime
    {
        get
        {
            string? stamp = Directory is null ? null : Path.Combine(Directory, "updated");
            return File.Exists(stamp) ? File.GetLastWriteTimeUtc(stamp) : null;
        }
    }

    /// <summary>The host's own configuration.</summary>
    public static AptEnvironment CreateHost() => new("the host's package lists", null);

    /// <summary>Writes a private configuration.</summary>
    /// <param name="directory">Where to.</param>
    /// <param name="sources">The archives.</param>
    /// <param name="hostSettings">The output of <c>apt-config dump</c>, from which the way to the network is taken.</param>
    public static AptEnvironment CreatePrivate(string directory, IReadOnlyList<AptSource> sources, string hostSettings)
    {
        System.IO.Directory.CreateDirectory(Path.Combine(directory, ListsDirectory, "partial"));
        System.IO.Directory.CreateDirectory(Path.Combine(directory, "archives", "partial"));
        File.WriteAllText(Path.Combine(directory, "status"), "");
        StringBuilder list = new();
        foreach (AptSource source in sources)
        {
            string signedBy = source.SignedBy is null ? "" : $" signed-by={source.SignedBy}";
            list.Append(CultureInfo.InvariantCulture, $"deb [arch=amd64{signedBy}] {source.Uri} {source.Suite} {source.Components}\n");
        }

        // The archives or the way to them have changed, so package lists that were fetched before are no longer valid.
        string listFile = Path.Combine(directory, "sources.list");
        string stamp = Path.Combine(directory, "updated");
        if (!File.Exists(listFile) || File.ReadAllText(listFile) != list.ToString())
        {
            File.Delete(stamp);
            File.WriteAllText(listFile, list.ToString());
        }

        File.WriteAllText(Path.Combine(directory, "apt.conf"), Configuration(directory, hostSettings));
        return new AptEnvironment($"{sources[0].Uri} {sources[0].Suite}", directory);
    }

    /// <summary>Notes that the private lists are fresh.</summary>
    public void MarkUpdated() => File.WriteAllText(Path.Combine(Directory!, "updated"), "");

    // apt.conf(5). The file named by APT_CONFIG is read first, so it can turn the host's files off: their hooks and pins are
    // not for us. What says how to reach the network is copied.
    private static string Configuration(string directory, string hostSettings)
    {
        StringBuilder text = new();
        foreach (string line in hostSettings.Split('\n'))
        {
            if (line.StartsWith("Acquire::http", StringComparison.OrdinalIgnoreCase)
                || line.StartsWith("Acquire::Retries", StringComparison.OrdinalIgnoreCase)
                || line.StartsWith("Acquire::Force", StringComparison.OrdinalIgnoreCase)
                || line.StartsWith("Acquire::Check-Valid-Until", StringComparison.OrdinalIgnoreCase))
            {
                text.Append(line).Append('\n');
            }
        }

        text.Append(CultureInfo.InvariantCulture, $"""
            Dir::Etc::main "/dev/null";
            Dir::Etc::parts "/dev/null";
            Dir::Etc::sourcelist "{directory}/sources.list";
            Dir::Etc::sourceparts "/dev/null";
            Dir::Etc::preferences "/dev/null";
            Dir::Etc::preferencesparts "/dev/null";
            Dir::State "{directory}";
            Dir::State::lists "{directory}/{ListsDirectory}/";
            Dir::State::status "{directory}/status";
            Dir::Cache "{directory}";
            Dir::Cache::pkgcache "";
            Dir::Cache::srcpkgcache "";
            Dir::Cache::archives "{directory}/archives/";
            Acquire::Languages "none";
            APT::Sandbox::User "root";
            APT::Architecture "amd64";
            APT::Architectures "amd64";

            """);
        return text.ToString();
    }
}
