using System.Text.RegularExpressions;

namespace Uml.Hosting.Assets;

/// <summary>A package name with the suite to take it from, as apt writes it: <c>package</c> or <c>package/suite</c>.</summary>
/// <param name="Package">The package.</param>
/// <param name="Suite">The suite, <c>bookworm-backports</c> for example; null for the host's own.</param>
internal readonly partial record struct AssetName(string Package, string? Suite)
{
    /// <summary>The package of the shell.</summary>
    public const string BusyBox = "busybox-static";

    private const string KernelPrefix = "linux-image-";

    /// <summary>Whether a name is that of a kernel's package.</summary>
    public static bool IsKernel(string name) => name.StartsWith(KernelPrefix, StringComparison.Ordinal);

    /// <summary>Parses a name. A valid one is safe in a command line and in a file name.</summary>
    /// <exception cref="GuestAssetException">It is no such name.</exception>
    public static AssetName Parse(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        int slash = name.IndexOf('/', StringComparison.Ordinal);
        AssetName parsed = slash < 0 ? new(name, null) : new(name[..slash], name[(slash + 1)..]);
        return NamePattern().IsMatch(parsed.Package) && (parsed.Suite is null || NamePattern().IsMatch(parsed.Suite))
            ? parsed
            : throw new GuestAssetException(
                $"'{name}' is not the name of a Debian package; write it like 'linux-image-cloud-amd64' or "
                + "'linux-image-cloud-amd64/bookworm-backports'.");
    }

    /// <summary>The name as one part of a path.</summary>
    public string FileName => Suite is null ? Package : $"{Package}@{Suite}";

    /// <inheritdoc/>
    public override string ToString() => Suite is null ? Package : $"{Package}/{Suite}";

    // Debian Policy 5.6.1: lower case letters, digits, plus, minus and period, beginning with a letter or digit.
    [GeneratedRegex(@"\A[a-z0-9][a-z0-9+.\-]+\z")]
    private static partial Regex NamePattern();
}
