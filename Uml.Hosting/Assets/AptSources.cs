namespace Uml.Hosting.Assets;

/// <summary>One archive that apt reads packages from.</summary>
/// <param name="Uri">The mirror.</param>
/// <param name="Suite">The suite or codename.</param>
/// <param name="Components">main and so on.</param>
/// <param name="SignedBy">The keyring file, or null.</param>
internal sealed record AptSource(string Uri, string Suite, string Components, string? SignedBy);

/// <summary>Reads the host's apt sources in both formats of sources.list(5): one line each, and deb822 stanzas.</summary>
internal static class AptSources
{
    /// <summary>Reads sources.list and everything in sources.list.d.</summary>
    /// <param name="etcApt">The directory, /etc/apt.</param>
    /// <returns>The enabled sources of binary packages.</returns>
    public static List<AptSource> Read(string etcApt)
    {
        List<AptSource> sources = [];
        string parts = Path.Combine(etcApt, "sources.list.d");
        List<string> files = [Path.Combine(etcApt, "sources.list")];
        if (Directory.Exists(parts))
        {
            files.AddRange(Directory.EnumerateFiles(parts).Order(StringComparer.Ordinal));
        }

        foreach (string file in files)
        {
            if (!File.Exists(file))
            {
                continue;
            }

            try
            {
                string[] lines = File.ReadAllLines(file);
                if (file.EndsWith(".list", StringComparison.Ordinal))
                {
                    ParseLines(lines, sources);
                }
                else if (file.EndsWith(".sources", StringComparison.Ordinal))
                {
                    ParseStanzas(lines, sources);
                }
            }
            catch (UnauthorizedAccessException)
            {
                // A source that this user may not even read (it can hold a password) is not one to derive from.
                continue;
            }
        }

        return sources;
    }

    /// <summary>Parses lines like <c>deb [signed-by=/file arch=amd64] uri suite component...</c>.</summary>
    internal static void ParseLines(IEnumerable<string> lines, List<AptSource> sources)
    {
        foreach (string line in lines)
        {
            string text = line.Split('#')[0].Trim();
            if (!text.StartsWith("deb ", StringComparison.Ordinal) && !text.StartsWith("deb\t", StringComparison.Ordinal))
            {
                continue;
            }

            text = text[4..].Trim();
            string? signedBy = null;
            int close = text.IndexOf(']', StringComparison.Ordinal);
            if (text.StartsWith('[') && close > 0)
            {
                foreach (string option in text[1..close].Split(' ', StringSplitOptions.RemoveEmptyEntries))
                {
                    signedBy = option.StartsWith("signed-by=", StringComparison.OrdinalIgnoreCase) ? option[10..] : signedBy;
                }

                text = text[(close + 1)..];
            }

            string[] words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length >= 3)
            {
                sources.Add(new AptSource(words[0], words[1], string.Join(' ', words[2..]), KeyringFile(signedBy)));
            }
        }
    }

    /// <summary>Parses deb822 stanzas with Types, URIs, Suites, Components, Signed-By and Enabled.</summary>
    internal static void ParseStanzas(IEnumerable<string> lines, List<AptSource> sources)
    {
        Dictionary<string, string> fields = new(StringComparer.OrdinalIgnoreCase);
        string last = "";
        foreach (string line in lines)
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (string.IsNullOrWhiteSpace(line))
            {
                AddStanza(fields, sources);
                fields.Clear();
                last = "";
            }
            else if (line[0] is ' ' or '\t' && last.Length != 0)
            {
                fields[last] += "\n" + line.Trim();
            }
            else if (line[0] != '#' && colon > 0)
            {
                last = line[..colon].Trim();
                fields[last] = line[(colon + 1)..].Trim();
            }
        }

        AddStanza(fields, sources);
    }

    private static void AddStanza(Dictionary<string, string> fields, List<AptSource> sources)
    {
        if (!Words(fields, "Types").Contains("deb") || fields.GetValueOrDefault("Enabled", "yes") is "no" or "false" or "0")
        {
            return;
        }

        string components = string.Join(' ', Words(fields, "Components"));
        foreach (string uri in Words(fields, "URIs"))
        {
            foreach (string suite in Words(fields, "Suites"))
            {
                sources.Add(new AptSource(uri, suite, components, KeyringFile(fields.GetValueOrDefault("Signed-By"))));
            }
        }
    }

    private static string[] Words(Dictionary<string, string> fields, string name) =>
        fields.GetValueOrDefault(name, "").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);

    // Signed-By can also hold a key itself or fingerprints; then apt's trusted keys are used.
    private static string? KeyringFile(string? signedBy) =>
        signedBy is not null && signedBy.StartsWith('/') && !signedBy.Contains('\n', StringComparison.Ordinal) ? signedBy : null;
}
