using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>The files of /var/lib/dpkg for packages that are unpacked and not configured (dpkg(1), deb-triggers(5), "FILES" there).</summary>
internal sealed class DpkgDatabase
{
    private const string Place = "var/lib/dpkg";

    private static readonly string[] Scripts = ["preinst", "postinst", "prerm", "postrm", "config"];

    private readonly FileMetadata _plainFile = new(FileMetadata.DefaultFileMode), _script = new(FileMetadata.DefaultDirectoryMode);
    private readonly StringBuilder _status = new();
    private readonly SortedDictionary<string, List<string>> _interests = new(StringComparer.Ordinal);

    /// <summary>Notes a package, and adds the files about it alone.</summary>
    /// <param name="name">What messages call it.</param>
    /// <param name="control">The files of its control archive, by their names.</param>
    /// <param name="files">The archive with its files, whose entries are counted already.</param>
    /// <param name="tree">The tree with its files.</param>
    /// <exception cref="ImageContentException">It does not say what it is.</exception>
    public void Add(string name, IReadOnlyDictionary<string, byte[]> control, ArchiveFile files, FileTree tree)
    {
        string text = control.TryGetValue("control", out byte[]? bytes) ? Encoding.UTF8.GetString(bytes).Trim('\n') : "";
        string[] lines = text.Split('\n');
        string package = Field(lines, "Package")
            ?? throw new ImageContentException($"The package '{name}' does not say its name; download it again.");

        // Only these may be installed for several architectures at once.
        string instance = Field(lines, "Multi-Arch") == "same" ? $"{package}:{Field(lines, "Architecture")}" : package;
        if (instance.Contains('/', StringComparison.Ordinal))
        {
            throw new ImageContentException($"The package '{name}' says that it is '{instance}', which is no name; it is hostile or damaged: do not use it.");
        }

        AddStatus(lines, control, tree);
        foreach ((string file, byte[] contents) in control)
        {
            if (file != "control" && !file.Contains('/', StringComparison.Ordinal))
            {
                Set(tree, $"info/{instance}.{file}", contents, Scripts.Contains(file) ? _script : _plainFile);
            }
        }

        Set(tree, $"info/{instance}.list", List(files), _plainFile);
        AddInterests(instance, control);
    }

    /// <summary>Adds the files about all packages.</summary>
    public void WriteTo(FileTree tree)
    {
        Set(tree, "info/format", "1\n"u8.ToArray(), _plainFile);
        Set(tree, "status", Encoding.UTF8.GetBytes(_status.ToString()), _plainFile);
        Set(tree, "available", [], _plainFile);
        tree.Set($"{Place}/updates", FileNode.CreateDirectory(_script));
        tree.Set($"{Place}/triggers", FileNode.CreateDirectory(_script));
        StringBuilder files = new();
        foreach ((string trigger, List<string> packages) in _interests)
        {
            if (trigger.StartsWith('/'))
            {
                packages.ForEach(package => files.Append(CultureInfo.InvariantCulture, $"{trigger} {package}\n"));
            }
            else
            {
                Set(tree, $"triggers/{trigger}", Encoding.UTF8.GetBytes(string.Concat(packages.Select(package => package + "\n"))), _plainFile);
            }
        }

        Set(tree, "triggers/File", Encoding.UTF8.GetBytes(files.ToString()), _plainFile);
    }

    // A path on each line, and the root as "/.".
    private static byte[] List(ArchiveFile files)
    {
        using MemoryStream list = new();
        foreach (TarArchiveEntry entry in new TarArchive(files).Read())
        {
            ReadOnlySpan<byte> path = entry.Path.AsSpan().TrimEnd((byte)'/');
            path = path.StartsWith("./"u8) ? path[2..] : path;
            list.WriteByte((byte)'/');
            list.Write(path);
            list.WriteByte((byte)'\n');
        }

        return list.ToArray();
    }

    private static string? Field(string[] lines, string name) =>
        Array.Find(lines, line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))?[(name.Length + 1)..].Trim();

    private static void Set(FileTree tree, string path, byte[] contents, FileMetadata metadata) =>
        tree.Set($"{Place}/{path}", FileNode.CreateFile(metadata, FileContent.FromMemory(contents)));

    private static string[] Lines(IReadOnlyDictionary<string, byte[]> control, string file) => control.TryGetValue(file, out byte[]? bytes)
        ? Encoding.UTF8.GetString(bytes).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
        : [];

    private void AddStatus(string[] lines, IReadOnlyDictionary<string, byte[]> control, FileTree tree)
    {
        _status.AppendJoin('\n', lines).Append("\nStatus: install ok unpacked\n");
        bool isFirst = true;
        foreach (string path in Lines(control, "conffiles"))
        {
            // Others are the names of files that an upgrade removes.
            if (path.StartsWith('/') && tree.Find(path)?.Content is { } content)
            {
                _status.Append(isFirst ? "Conffiles:\n" : "").Append(CultureInfo.InvariantCulture, $" {path} {Hash(content)}\n");
                isFirst = false;
            }
        }

        _status.Append('\n');
    }

    // The hash is dpkg's, for finding out whether the administrator has changed a file.
    private static string Hash(FileContent content)
    {
        using Stream stream = content.OpenRead();
#pragma warning disable CA5351 // no protection against forgery is meant
        return Convert.ToHexStringLower(MD5.HashData(stream));
#pragma warning restore CA5351
    }

    // deb-triggers(5): "interest name", "interest-await name" and "interest-noawait name".
    private void AddInterests(string instance, IReadOnlyDictionary<string, byte[]> control)
    {
        foreach (string line in Lines(control, "triggers"))
        {
            string[] words = line.Split('#')[0].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words is [("interest" or "interest-await" or "interest-noawait") and var kind, var trigger]
                && (trigger.StartsWith('/') || !trigger.Contains('/', StringComparison.Ordinal)))
            {
                if (!_interests.TryGetValue(trigger, out List<string>? packages))
                {
                    _interests.Add(trigger, packages = []);
                }

                packages.Add(kind == "interest-noawait" ? instance + "/noawait" : instance);
            }
        }
    }
}
