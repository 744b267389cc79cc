using System.Text;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>Sets a root file system up for one machine; to be added behind the sources that it changes.</summary>
public sealed class RootFileSystemCustomization : IFileTreeSource
{
    /// <summary>Files that are changed have some kilobytes; a limit of ours.</summary>
    private const int MaximumFileBytes = 1 << 20;

    private const string Wants = "/etc/systemd/system/getty.target.wants/";

    private readonly RootFileSystemOptions _options;

    /// <summary>Makes the step.</summary>
    /// <param name="options">What is set up; defaults when null.</param>
    /// <exception cref="ArgumentException">An option is not valid.</exception>
    public RootFileSystemCustomization(RootFileSystemOptions? options = null)
    {
        _options = options ?? new RootFileSystemOptions();
        _options.Validate();
    }

    /// <inheritdoc/>
    public void AddTo(FileTree tree, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tree);
        if (_options.HostName is { } name)
        {
            Write(tree, "/etc/hostname", name + "\n");
            Write(tree, "/etc/hosts", $"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost ip6-loopback\n");
        }

        if (_options.FileSystems is { } lines)
        {
            Write(tree, "/etc/fstab", string.Concat(lines.Select(line => line + "\n")));
        }

        if (_options.RootPassword is { } password)
        {
            SetPassword(tree, password);
        }

        if (_options.EmptiesMachineId)
        {
            Write(tree, "/etc/machine-id", "");
            if (tree.Find("/var/lib/dbus/machine-id", follow: false) is { Kind: FileKind.Regular })
            {
                tree.Remove("/var/lib/dbus/machine-id");
            }
        }

        SetConsoles(tree);
        foreach ((string path, string text) in _options.Files)
        {
            Write(tree, path, text);
        }
    }

    /// <summary>Writes a file, with mode, owner and time of the one that was there, or the time of its directory.</summary>
    private static void Write(FileTree tree, string path, string text)
    {
        FileMetadata? metadata = tree.Find(path) is { Kind: FileKind.Regular } former ? former.Metadata : null;
        string directory = path[..Math.Max(path.LastIndexOf('/'), 0)];
        metadata ??= new FileMetadata(FileMetadata.DefaultFileMode) { ModificationTime = (tree.Find(directory) ?? tree.Root).Metadata.ModificationTime };
        tree.Set(path, FileNode.CreateFile(metadata, FileContent.FromMemory(Encoding.UTF8.GetBytes(text))));
    }

    /// <returns>Null when the file is not there.</returns>
    private static string? Read(FileTree tree, string path)
    {
        if (tree.Find(path) is not { Content: { } content })
        {
            return null;
        }

        if (content.Length > MaximumFileBytes)
        {
            throw new ImageContentException($"'{path}' has {content.Length} bytes; a file that is to be changed has at most {MaximumFileBytes}.");
        }

        byte[] bytes = new byte[content.Length];
        content.Read(0, bytes);
        return Encoding.UTF8.GetString(bytes);
    }

    /// <summary>shadow(5), or passwd(5) in systems without it: the second field of root's line.</summary>
    private static void SetPassword(FileTree tree, string password)
    {
        string path = tree.Find("/etc/shadow") is null ? "/etc/passwd" : "/etc/shadow";
        if (Read(tree, path) is not { } text)
        {
            return;
        }

        string[] lines = text.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            string[] fields = lines[i].Split(':');
            if (fields.Length > 1 && fields[0] == "root")
            {
                fields[1] = password;
                lines[i] = string.Join(':', fields);
            }
        }

        Write(tree, path, string.Join('\n', lines));
    }

    private void SetConsoles(FileTree tree)
    {
        if (tree.Find("/usr/lib/systemd/systemd") is not null || tree.Find("/lib/systemd/systemd") is not null)
        {
            SetSystemdConsoles(tree);
        }
        else if (Read(tree, "/etc/inittab") is { } inittab)
        {
            SetInittab(tree, inittab);
        }

        if (Read(tree, "/etc/securetty") is { } terminals)
        {
            string[] known = terminals.Split('\n');
            Write(tree, "/etc/securetty", terminals.TrimEnd('\n') + string.Concat(_options.Consoles.Except(known).Select(name => "\n" + name)) + "\n");
        }
    }

    private void SetSystemdConsoles(FileTree tree)
    {
        // serial-getty waits for a device, of which systemd learns from udev alone; the one for the kernel's console waits for nothing.
        bool hasUdev = tree.Find("/usr/lib/systemd/systemd-udevd") is not null || tree.Find("/lib/systemd/systemd-udevd") is not null;
        if (!hasUdev && _options.Consoles.Count > 0)
        {
            Enable("console-getty.service", "console-getty.service");
            return;
        }

        foreach (string console in _options.Consoles)
        {
            Enable($"serial-getty@{console}.service", "serial-getty@.service");
        }

        void Enable(string unit, string file)
        {
            FileMetadata metadata = new(FileMetadata.ModeMask & 0x1FF) { ModificationTime = (tree.Find("/etc") ?? tree.Root).Metadata.ModificationTime };
            tree.Set(Wants + unit, FileNode.CreateSymbolicLink(metadata, Encoding.UTF8.GetBytes("/lib/systemd/system/" + file)));
        }
    }

    /// <summary>A line for each terminal that has none: of busybox's init, which knows no run levels, or of sysvinit.</summary>
    private void SetInittab(FileTree tree, string inittab)
    {
        FileNode? init = tree.Find("/sbin/init", follow: false);
        bool isBusybox = init is not null && Encoding.UTF8.GetString(init.Target.Span).EndsWith("busybox", StringComparison.Ordinal);
        StringBuilder text = new(inittab.TrimEnd('\n') + "\n");
        string[] lines = inittab.Split('\n');
        foreach (string console in _options.Consoles)
        {
            if (!lines.Any(line => !line.StartsWith('#') && line.Contains("getty", StringComparison.Ordinal) && line.Contains(console, StringComparison.Ordinal)))
            {
                // The name of a line in sysvinit has at most four letters: the last ones of the terminal's.
                string id = console[Math.Max(console.Length - 4, 0)..];
                text.Append(isBusybox ? $"{console}::respawn" : $"{id}:2345:respawn").Append($":/sbin/getty -L {console} 115200 vt100\n");
            }
        }

        Write(tree, "/etc/inittab", text.ToString());
    }
}
