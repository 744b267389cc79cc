namespace Uml.Storage.Images;

/// <summary>
/// The modules of one kernel, by name. Dependencies come from the modules themselves (.modinfo), because a package that
/// was only unpacked has no modules.dep yet.
/// </summary>
internal sealed class KernelModuleTree
{
    // The largest modules have some 15 MiB; a limit of ours.
    private const int MaximumModuleBytes = 256 * 1024 * 1024;

    // Lists of distributions have some hundred kilobytes; a limit of ours.
    private const int MaximumListBytes = 16 * 1024 * 1024;

    private readonly string _directory;
    private readonly Dictionary<string, string> _pathByName = new(StringComparer.Ordinal);
    private readonly HashSet<string> _builtIn = new(StringComparer.Ordinal);
    private readonly Dictionary<string, KernelModule> _loaded = new(StringComparer.Ordinal);
    private Dictionary<string, string>? _nameByAlias;

    private KernelModuleTree(string directory)
    {
        _directory = directory;
        Version = Path.GetFileName(directory);
    }

    /// <summary>The kernel version: the directory's name.</summary>
    public string Version { get; }

    /// <summary>Indexes a directory. Links in it are passed over.</summary>
    /// <param name="directory">The directory, as in /lib/modules.</param>
    /// <exception cref="ImageContentException">It is missing or has no modules.</exception>
    public static KernelModuleTree Open(string directory)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        if (!Directory.Exists(full))
        {
            throw new ImageContentException($"The kernel's modules directory '{directory}' does not exist.");
        }

        // Links are not followed: they may lead in circles, and anywhere on the host.
        EnumerationOptions everyFile = new()
        {
            RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = false,
        };
        KernelModuleTree tree = new(full);
        foreach (string path in Directory.EnumerateFiles(full, "*.ko*", everyFile))
        {
            string plain = CompressedStream.PlainName(Path.GetFileName(path));
            if (plain.EndsWith(".ko", StringComparison.Ordinal))
            {
                tree._pathByName[Canonical(plain[..^3])] = path;
            }
        }

        tree.ReadBuiltIn();
        return tree._pathByName.Count + tree._builtIn.Count != 0
            ? tree
            : throw new ImageContentException($"The directory '{directory}' has no kernel modules (*.ko) in it; name one like /lib/modules/6.1.0-56-amd64.");
    }

    /// <summary>Reads modules and all that they need.</summary>
    /// <param name="names">The modules' names.</param>
    /// <returns>The modules, each behind those that it needs.</returns>
    /// <exception cref="ImageContentException">A module is missing or damaged.</exception>
    public List<KernelModule> Resolve(IEnumerable<string> names)
    {
        List<KernelModule> ordered = [];
        HashSet<string> visited = new(StringComparer.Ordinal);
        foreach (string name in names)
        {
            string canonical = Canonical(name);
            if (!_pathByName.ContainsKey(canonical) && !_builtIn.Contains(canonical))
            {
                throw new ImageContentException(
                    $"The kernel {Version} has no module '{name}' in '{_directory}', and it is not built in; check the name.");
            }

            Visit(canonical, visited, ordered);
        }

        return ordered;
    }

    private static string Canonical(string name) => name.Replace('-', '_');

    private void ReadBuiltIn()
    {
        foreach (string line in ReadList("modules.builtin").Split('\n'))
        {
            if (line.EndsWith(".ko", StringComparison.Ordinal))
            {
                _builtIn.Add(Canonical(Path.GetFileNameWithoutExtension(line)));
            }
        }
    }

    // Depth first with an explicit stack: a hostile chain of dependencies is as long as there are files.
    private void Visit(string name, HashSet<string> visited, List<KernelModule> ordered)
    {
        Stack<(string Name, bool Expanded)> stack = new();
        stack.Push((name, false));
        while (stack.TryPop(out (string Name, bool Expanded) item))
        {
            if (item.Expanded)
            {
                ordered.Add(_loaded[item.Name]);
                continue;
            }

            if (!_pathByName.TryGetValue(item.Name, out string? path) || !visited.Add(item.Name))
            {
                continue;
            }

            KernelModule module = Load(item.Name, path);
            stack.Push((item.Name, true));
            PushDependencies(module, stack);
        }
    }

    private void PushDependencies(KernelModule module, Stack<(string Name, bool Expanded)> stack)
    {
        for (int i = module.Dependencies.Count - 1; i >= 0; i--)
        {
            string dependency = Canonical(module.Dependencies[i]);
            if (!_pathByName.ContainsKey(dependency) && !_builtIn.Contains(dependency))
            {
                throw new ImageContentException(
                    $"The module '{module.RelativePath}' needs '{dependency}', which is not in '{_directory}'.");
            }

            stack.Push((dependency, false));
        }

        foreach (string soft in module.SoftDependencies)
        {
            if (FindByNameOrAlias(soft) is string found)
            {
                stack.Push((found, false));
            }
        }
    }

    private string? FindByNameOrAlias(string name)
    {
        string canonical = Canonical(name);
        if (_pathByName.ContainsKey(canonical))
        {
            return canonical;
        }

        if (_builtIn.Contains(canonical))
        {
            return null;
        }

        _nameByAlias ??= ReadAliases();
        return _nameByAlias.GetValueOrDefault(canonical);
    }

    // Only plain aliases, as crypto algorithms have them. The generic implementation is taken where there are several.
    private Dictionary<string, string> ReadAliases()
    {
        Dictionary<string, string> aliases = new(StringComparer.Ordinal);
        HashSet<string> builtIn = ReadBuiltInAliases();
        foreach ((string name, string path) in _pathByName)
        {
            // Not kept: a distribution has thousands of modules.
            foreach (string alias in Read(path).Aliases)
            {
                string canonical = Canonical(alias);
                if (builtIn.Contains(canonical))
                {
                    continue;
                }

                if (!aliases.ContainsKey(canonical) || name.EndsWith("_generic", StringComparison.Ordinal))
                {
                    aliases[canonical] = name;
                }
            }
        }

        return aliases;
    }

    // modules.builtin.modinfo (Documentation/kbuild/kbuild.rst): zero-terminated "module.key=value" strings.
    private HashSet<string> ReadBuiltInAliases()
    {
        HashSet<string> aliases = new(StringComparer.Ordinal);
        foreach (string info in ReadList("modules.builtin.modinfo").Split('\0'))
        {
            int key = info.IndexOf(".alias=", StringComparison.Ordinal);
            if (key > 0)
            {
                aliases.Add(Canonical(info[(key + 7)..]));
            }
        }

        return aliases;
    }

    /// <summary>Reads a list beside the modules; empty when there is none.</summary>
    private string ReadList(string name)
    {
        FileInfo file = new(Path.Combine(_directory, name));
        if (!file.Exists)
        {
            return "";
        }

        if (file.LinkTarget is not null || file.Length > MaximumListBytes)
        {
            throw new ImageContentException(
                $"'{file.FullName}' is a link or has more than {MaximumListBytes} bytes ({file.Length}); unpack the kernel's package again.");
        }

        return File.ReadAllText(file.FullName);
    }

    private KernelModule Load(string name, string path)
    {
        if (_loaded.TryGetValue(name, out KernelModule? module))
        {
            return module;
        }

        module = Read(path);
        _loaded.Add(name, module);
        return module;
    }

    private KernelModule Read(string path)
    {
        string folder = Path.GetRelativePath(_directory, Path.GetDirectoryName(path)!).Replace('\\', '/');
        string file = CompressedStream.PlainName(Path.GetFileName(path));
        string relative = folder == "." ? file : $"{folder}/{file}";
        return KernelModule.Parse(relative, ReadPlain(path, relative));
    }

    private static byte[] ReadPlain(string path, string relative)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            using Stream plain = CompressedStream.OpenByName(path, file);
            using BoundedStream bounded = new(plain, MaximumModuleBytes, () => new ImageContentException(
                $"The kernel module '{relative}' unpacks to more than {MaximumModuleBytes} bytes."), leaveOpen: true);
            using MemoryStream copy = new();
            bounded.CopyTo(copy);
            return copy.ToArray();
        }
        catch (Exception e) when (CompressedStream.IsComplaint(e))
        {
            throw new ImageContentException($"The kernel module '{path}' is damaged: {e.Message} Unpack the kernel's package again.", e);
        }
    }
}
