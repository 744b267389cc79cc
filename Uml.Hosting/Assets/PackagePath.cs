namespace Uml.Hosting.Assets;

/// <summary>Finds files of an unpacked package, whose links may lead anywhere, without leaving its directory.</summary>
internal static class PackagePath
{
    // The kernel follows as many (path_resolution(7)).
    private const int MaximumLinks = 40;

    /// <summary>Follows a path and the links in it.</summary>
    /// <param name="directory">The package's directory.</param>
    /// <param name="path">The path below it, with slashes.</param>
    /// <returns>The place that it leads to, in which nothing below the directory is a link; null when there is nothing.</returns>
    /// <exception cref="GuestAssetException">It leads outside, or in a circle.</exception>
    public static string? Resolve(string directory, string path)
    {
        List<string> place = [];
        Stack<string> rest = new();
        Push(rest, path);
        int links = 0;
        while (rest.TryPop(out string? part))
        {
            if (part == ".." && place.Count == 0)
            {
                throw LeadsOutside(directory, path);
            }

            if (part == "..")
            {
                place.RemoveAt(place.Count - 1);
                continue;
            }

            FileInfo file = new(Path.Combine([directory, .. place, part]));
            if (file.LinkTarget is not { } target)
            {
                place.Add(part);
                continue;
            }

            if (Path.IsPathRooted(target) || ++links > MaximumLinks)
            {
                throw LeadsOutside(directory, path);
            }

            Push(rest, target);
        }

        string full = Path.Combine([directory, .. place]);
        return File.Exists(full) || Directory.Exists(full) ? full : null;
    }

    private static void Push(Stack<string> rest, string path)
    {
        string[] parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        for (int i = parts.Length - 1; i >= 0; i--)
        {
            if (parts[i] != ".")
            {
                rest.Push(parts[i]);
            }
        }
    }

    private static GuestAssetException LeadsOutside(string directory, string path) => new(
        $"'{path}' in the package at '{directory}' is a link that leads out of the package or in a circle; the package is hostile or damaged: do not use it.");
}
