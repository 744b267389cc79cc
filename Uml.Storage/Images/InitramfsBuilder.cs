using System.IO.Compression;
using System.Text;
using Uml.Storage.Interop;
using ZstdSharp;

namespace Uml.Storage.Images;

/// <summary>
/// Builds an initramfs: a "newc" cpio archive that the kernel unpacks as its first root file system. The same calls
/// make the same bytes on every host: entries are sorted and carry one fixed time. Directories above an entry are made
/// (mode 0755, owner root) unless they are added. A file that is added again replaces the former one.
/// </summary>
public sealed class InitramfsBuilder
{
    private const uint TypeDirectory = 0x4000; // S_IFDIR and so on: stat(2)
    private const uint TypeFile = 0x8000;
    private const uint TypeSymbolicLink = 0xa000;
    private const uint TypeCharacter = 0x2000;
    private const uint TypeBlock = 0x6000;
    private const int MaximumMode = 0xfff;
    private const uint MaximumMajor = 0xfff; // include/linux/kdev_t.h: 12 and 20 bits
    private const uint MaximumMinor = 0xfffff;
    private const int ZstdLevel = 3;

    // Ordinal order puts every directory before what is in it.
    private readonly SortedDictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    /// <summary>The time of all entries: seconds since 1970, 0 unless set.</summary>
    public uint ModificationTime { get; init; }

    /// <summary>The paths added so far, without a leading slash, sorted.</summary>
    public IReadOnlyCollection<string> Paths => _entries.Keys;

    /// <summary>Adds a directory, or changes the attributes of one.</summary>
    /// <param name="path">The path in the guest, with or without a leading slash.</param>
    /// <param name="attributes">Mode and owner; 0755 and root unless given.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The path is not valid or is taken by something else.</exception>
    public InitramfsBuilder AddDirectory(string path, InitramfsAttributes? attributes = null)
    {
        Add(path, new Entry(TypeDirectory, Checked(attributes, 0x1ed), default, null, 0, 0));
        return this;
    }

    /// <summary>Adds a regular file from memory.</summary>
    /// <param name="path">The path in the guest.</param>
    /// <param name="contents">The contents; not copied, so they must not change before the archive is written.</param>
    /// <param name="attributes">Mode and owner; 0644 and root unless given.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The path is not valid or is taken by something else.</exception>
    public InitramfsBuilder AddFile(string path, ReadOnlyMemory<byte> contents, InitramfsAttributes? attributes = null)
    {
        Add(path, new Entry(TypeFile, Checked(attributes, 0x1a4), contents, null, 0, 0));
        return this;
    }

    /// <summary>Adds a regular file of text in UTF-8, such as a script; line ends stay as they are.</summary>
    /// <param name="path">The path in the guest.</param>
    /// <param name="text">The contents.</param>
    /// <param name="attributes">Mode and owner; 0644 and root unless given.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The path is not valid or is taken by something else.</exception>
    public InitramfsBuilder AddText(string path, string text, InitramfsAttributes? attributes = null) =>
        AddFile(path, Encoding.UTF8.GetBytes(text), attributes);

    /// <summary>Adds a regular file from a stream, which is read to its end now.</summary>
    /// <param name="path">The path in the guest.</param>
    /// <param name="contents">The stream.</param>
    /// <param name="attributes">Mode and owner; 0644 and root unless given.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The path is not valid or is taken by something else.</exception>
    public InitramfsBuilder AddStream(string path, Stream contents, InitramfsAttributes? attributes = null)
    {
        ArgumentNullException.ThrowIfNull(contents);
        using MemoryStream copy = new();
        contents.CopyTo(copy);
        return AddFile(path, copy.ToArray(), attributes);
    }

    /// <summary>Adds a regular file of the host, which is read when the archive is written.</summary>
    /// <param name="path">The path in the guest.</param>
    /// <param name="hostPath">The file; symbolic links are followed.</param>
    /// <param name="attributes">Mode and owner; unless given root and the host file's permission bits (0755 on Windows).</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The path is not valid or is taken by something else.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public InitramfsBuilder AddHostFile(string path, string hostPath, InitramfsAttributes? attributes = null)
    {
        if (!File.Exists(hostPath))
        {
            throw new FileNotFoundException($"The file '{hostPath}' for '{path}' in the initramfs does not exist.", hostPath);
        }

        Add(path, new Entry(TypeFile, Checked(attributes, HostMode(hostPath)), default, Path.GetFullPath(hostPath), 0, 0));
        return this;
    }

    /// <summary>Adds a directory of the host with the directories, regular files and symbolic links in it; it must hold nothing else.</summary>
    /// <param name="path">The path in the guest.</param>
    /// <param name="hostDirectory">The directory; symbolic links inside become symbolic links.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The path is not valid or is taken by something else.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    public InitramfsBuilder AddHostDirectory(string path, string hostDirectory)
    {
        string root = Normalize(path);
        if (root.Length != 0)
        {
            AddDirectory(root, new InitramfsAttributes(HostMode(hostDirectory)));
        }

        foreach (FileSystemInfo info in new DirectoryInfo(hostDirectory).EnumerateFileSystemInfos())
        {
            string target = root.Length == 0 ? info.Name : $"{root}/{info.Name}";
            if (info.LinkTarget is string link)
            {
                AddSymbolicLink(target, link);
            }
            else if (info is DirectoryInfo)
            {
                AddHostDirectory(target, info.FullName);
            }
            else
            {
                AddHostFile(target, info.FullName);
            }
        }

        return this;
    }

    /// <summary>Adds a symbolic link.</summary>
    /// <param name="path">The path of the link in the guest.</param>
    /// <param name="target">Where it points; not checked.</param>
    /// <param name="attributes">Owner; the mode is 0777 whatever is given, as Linux has it.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The path or target is not valid, or the path is taken by something else.</exception>
    public InitramfsBuilder AddSymbolicLink(string path, string target, InitramfsAttributes? attributes = null)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(target);
        if (bytes.Length is 0 or > Limits.PathBytes || bytes.AsSpan().Contains((byte)0))
        {
            throw new ArgumentException($"A link's target has 1 to {Limits.PathBytes} bytes and no zero; this has {bytes.Length}.", nameof(target));
        }

        InitramfsAttributes owner = attributes ?? default;
        Add(path, new Entry(TypeSymbolicLink, owner with { Mode = 0x1ff }, bytes, null, 0, 0));
        return this;
    }

    /// <summary>Adds a device node, such as <c>/dev/console</c> (character, 5, 1).</summary>
    /// <param name="path">The path in the guest.</param>
    /// <param name="type">Character or block.</param>
    /// <param name="major">The major number, up to 4095.</param>
    /// <param name="minor">The minor number, up to 1048575.</param>
    /// <param name="attributes">Mode and owner; 0600 and root unless given.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The path is not valid or is taken by something else, or a number is too large.</exception>
    public InitramfsBuilder AddDeviceNode(
        string path, DeviceNodeType type, uint major, uint minor, InitramfsAttributes? attributes = null)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(major, MaximumMajor);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minor, MaximumMinor);
        uint kind = type == DeviceNodeType.Block ? TypeBlock : TypeCharacter;
        Add(path, new Entry(kind, Checked(attributes, 0x180), default, null, major, minor));
        return this;
    }

    /// <summary>
    /// Adds kernel modules and those that they depend on, unpacked, below <c>/lib/modules/</c>, and a list of their
    /// paths in the order in which insmod takes them. Modules that are built into the kernel are left out.
    /// </summary>
    /// <param name="modulesDirectory">
    /// The host's directory with the kernel's modules, <c>lib/modules/6.1.0-56-cloud-amd64</c> for example. Links in it are not followed.
    /// </param>
    /// <param name="moduleNames">Their names; '-' and '_' mean the same.</param>
    /// <param name="loadListPath">Where the list is put, one path a line; no list when null.</param>
    /// <returns>The paths in the guest in load order.</returns>
    /// <exception cref="ImageContentException">A module is missing or damaged.</exception>
    public IReadOnlyList<string> AddModules(
        string modulesDirectory, IEnumerable<string> moduleNames, string? loadListPath = "/etc/modules.load")
    {
        ArgumentNullException.ThrowIfNull(moduleNames);
        KernelModuleTree tree = KernelModuleTree.Open(modulesDirectory);
        List<string> paths = [];
        foreach (KernelModule module in tree.Resolve(moduleNames))
        {
            string path = $"/lib/modules/{tree.Version}/{module.RelativePath}";
            AddFile(path, module.Contents);
            paths.Add(path);
        }

        if (loadListPath is not null)
        {
            AddText(loadListPath, string.Concat(paths.ConvertAll(path => path + "\n")));
        }

        return paths;
    }

    /// <summary>Makes the archive.</summary>
    /// <param name="compression">How to pack it.</param>
    /// <returns>The bytes.</returns>
    /// <exception cref="IOException">A host file cannot be read or is larger than 4 GiB.</exception>
    public byte[] Build(InitramfsCompression compression = InitramfsCompression.None)
    {
        using MemoryStream output = new();
        WriteTo(output, compression);
        return output.ToArray();
    }

    /// <summary>Writes the archive.</summary>
    /// <param name="output">Where to; left open.</param>
    /// <param name="compression">How to pack it.</param>
    /// <exception cref="IOException">A host file cannot be read or is larger than 4 GiB.</exception>
    public void WriteTo(Stream output, InitramfsCompression compression = InitramfsCompression.None)
    {
        ArgumentNullException.ThrowIfNull(output);
        switch (compression)
        {
            case InitramfsCompression.Gzip:
                using (GZipStream gzip = new(output, CompressionLevel.Optimal, leaveOpen: true))
                {
                    WriteArchive(gzip);
                }

                break;
            case InitramfsCompression.Zstd:
                using (CompressionStream zstd = new(output, ZstdLevel, leaveOpen: true))
                {
                    WriteArchive(zstd);
                }

                break;
            default:
                WriteArchive(output);
                break;
        }
    }

    private static InitramfsAttributes Checked(InitramfsAttributes? attributes, int defaultMode)
    {
        InitramfsAttributes value = attributes ?? new InitramfsAttributes(defaultMode);
        return value.Mode is >= 0 and <= MaximumMode
            ? value
            : throw new ArgumentOutOfRangeException(nameof(attributes), value.Mode, "The mode is 0 to 0xfff (octal 7777), without a file type.");
    }

    private static int HostMode(string path) => OperatingSystem.IsWindows() ? 0x1ed : (int)File.GetUnixFileMode(path) & MaximumMode;

    private static string Normalize(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        string[] parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        foreach (string part in parts)
        {
            if (part is "." or ".." || part.Contains('\0', StringComparison.Ordinal))
            {
                throw new ArgumentException($"The path '{path}' has a part '{part}'; use a plain path inside the guest.", nameof(path));
            }
        }

        string normalized = string.Join('/', parts);
        if (parts.Length > 0 && parts[0] == CpioWriter.TrailerName)
        {
            throw new ArgumentException($"'{parts[0]}' is the name that ends an archive; the kernel would read nothing behind it.", nameof(path));
        }

        if (!HasUtf8(normalized))
        {
            throw new ArgumentException($"The path '{path}' has half of a surrogate pair, which UTF-8 cannot tell; use a plain path.", nameof(path));
        }

        int bytes = Encoding.UTF8.GetByteCount(normalized);
        return bytes <= Limits.PathBytes
            ? normalized
            : throw new ArgumentException($"The path has {bytes} bytes; Linux takes {Limits.PathBytes}.", nameof(path));
    }

    // Other strings are written with replacement characters, so that two names would become one.
    private static bool HasUtf8(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) == text;

    private void Add(string path, Entry entry)
    {
        string name = Normalize(path);
        if (name.Length == 0)
        {
            throw new ArgumentException($"The path '{path}' is the root directory, which is always there.", nameof(path));
        }

        for (int slash = name.IndexOf('/', StringComparison.Ordinal); slash >= 0; slash = name.IndexOf('/', slash + 1))
        {
            string parent = name[..slash];
            if (!_entries.TryGetValue(parent, out Entry existing))
            {
                _entries.Add(parent, new Entry(TypeDirectory, new InitramfsAttributes(0x1ed), default, null, 0, 0));
            }
            else if (existing.Type != TypeDirectory)
            {
                throw new ArgumentException($"'/{name}' cannot be below '/{parent}', which is not a directory.", nameof(path));
            }
        }

        if (_entries.TryGetValue(name, out Entry former) && (former.Type == TypeDirectory) != (entry.Type == TypeDirectory))
        {
            throw new ArgumentException($"'/{name}' is there already, as {(former.Type == TypeDirectory ? "a directory" : "something else")}.", nameof(path));
        }

        _entries[name] = entry;
    }

    private void WriteArchive(Stream output)
    {
        CpioWriter writer = new(output);
        foreach ((string name, Entry entry) in _entries)
        {
            CpioHeader header = new(
                name, entry.Type | (uint)entry.Attributes.Mode, entry.Attributes, ModificationTime, entry.Major, entry.Minor);
            if (entry.HostPath is null)
            {
                writer.Write(header, entry.Contents.Span);
                continue;
            }

            using FileStream file = new(entry.HostPath, FileMode.Open, FileAccess.Read, FileShare.Read);
            if (file.Length > uint.MaxValue)
            {
                throw new IOException($"'{entry.HostPath}' has {file.Length} bytes; a file in an initramfs has less than 4 GiB.");
            }

            writer.Write(header, file);
        }

        writer.WriteTrailer();
    }

    private readonly record struct Entry(
        uint Type, InitramfsAttributes Attributes, ReadOnlyMemory<byte> Contents, string? HostPath, uint Major, uint Minor);
}
