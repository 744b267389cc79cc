using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Uml.Hosting.Assets;

/// <summary>
/// The list of files of an unpacked package: a file <c>manifest</c> in its directory, with a line "SHA-256 size path" for each file and a
/// last line that counts them. It is made when the package has just been unpacked from a file with the hash of apt's index.
/// </summary>
internal static class PackageManifest
{
    private const string FileName = "manifest";

    /// <summary>Writes the manifest of a directory.</summary>
    public static void Write(string directory, CancellationToken cancellationToken)
    {
        EnumerationOptions files = new() { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint };
        StringBuilder text = new();
        int count = 0;
        foreach (string file in Directory.EnumerateFiles(directory, "*", files))
        {
            cancellationToken.ThrowIfCancellationRequested();
            text.Append(CultureInfo.InvariantCulture, $"{HashFile(file)} {new FileInfo(file).Length} {Path.GetRelativePath(directory, file)}\n");
            count++;
        }

        text.Append(CultureInfo.InvariantCulture, $"files {count}\n");
        File.WriteAllText(Path.Combine(directory, FileName), text.ToString());
    }

    /// <summary>
    /// Whether a directory matches its manifest. Kernels and programs are hashed every time. Modules, which are many, are hashed when they
    /// changed after the manifest was written; else their sizes are compared.
    /// </summary>
    public static bool Matches(string directory, CancellationToken cancellationToken)
    {
        FileInfo manifest = new(Path.Combine(directory, FileName));
        if (!manifest.Exists)
        {
            return false;
        }

        string[] lines = File.ReadAllLines(manifest.FullName);
        if (lines.Length == 0 || lines[^1] != string.Create(CultureInfo.InvariantCulture, $"files {lines.Length - 1}"))
        {
            return false;
        }

        foreach (string line in lines.AsSpan(0, lines.Length - 1))
        {
            cancellationToken.ThrowIfCancellationRequested();
            string[] parts = line.Split(' ', 3);
            if (parts.Length != 3 || !IsIntact(directory, parts[2], parts[0], parts[1], manifest.LastWriteTimeUtc))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The SHA-256 of a file, as apt writes it.</summary>
    public static string HashFile(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static bool IsIntact(string directory, string name, string hash, string size, DateTime written)
    {
        FileInfo file = new(Path.Combine(directory, name));
        if (!file.Exists || file.Length.ToString(CultureInfo.InvariantCulture) != size)
        {
            return false;
        }

        bool isUnchangedModule = name.Contains("/modules/", StringComparison.Ordinal) && file.LastWriteTimeUtc <= written;
        return isUnchangedModule || HashFile(file.FullName) == hash;
    }
}
