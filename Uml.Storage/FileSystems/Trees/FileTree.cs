using System.Text;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Trees;

/// <summary>
/// The files of a file system that is to be made, in memory but for their contents. Paths start at its root, with or without '/'. Symbolic links on
/// the way are followed as Linux would after chroot(2): nothing leads out of the tree.
/// </summary>
public sealed class FileTree : IDisposable
{
    /// <summary>MAXSYMLINKS of Linux.</summary>
    private const int MaximumLinks = 40;

    private readonly List<IDisposable> _owned = [];

    /// <summary>The root directory.</summary>
    public FileNode Root { get; } = FileNode.CreateDirectory(new FileMetadata(FileMetadata.DefaultDirectoryMode));

    /// <summary>Directories that were made for what stands in them.</summary>
    internal long ImpliedDirectories { get; private set; }

    /// <summary>Finds an entry.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="follow">Whether the target is meant when it is a symbolic link.</param>
    /// <returns>Null when it is not there.</returns>
    /// <exception cref="ImageContentException">More than 40 symbolic links lead to it.</exception>
    public FileNode? Find(string path, bool follow = true)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Find(Encoding.UTF8.GetBytes(path), follow);
    }

    /// <summary>Finds an entry.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="follow">Whether the target is meant when it is a symbolic link.</param>
    /// <returns>Null when it is not there.</returns>
    /// <exception cref="ImageContentException">More than 40 symbolic links lead to it.</exception>
    public FileNode? Find(ReadOnlySpan<byte> path, bool follow = true) => Walk(path, follow, created: null);

    /// <summary>Puts an entry somewhere. One that is there is replaced; a directory keeps what is in it and gets the new one's metadata.</summary>
    /// <param name="path">Its path. Directories above it are made (0755, root's, with the time of the directory above them).</param>
    /// <param name="node">The entry. If it stands in the tree already, it gets a hard link.</param>
    /// <exception cref="ImageContentException">Something on the way is not a directory, or a directory would stand in two places.</exception>
    public void Set(string path, FileNode node)
    {
        ArgumentNullException.ThrowIfNull(path);
        Set(Encoding.UTF8.GetBytes(path), node);
    }

    /// <summary>Puts an entry somewhere; see the overload for text.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="node">The entry.</param>
    /// <exception cref="ImageContentException">Something on the way is not a directory, the path is none, or a directory is not empty.</exception>
    public void Set(ReadOnlySpan<byte> path, FileNode node)
    {
        ArgumentNullException.ThrowIfNull(node);
        if (Trim(path).IsEmpty && node.Kind == FileKind.Directory)
        {
            Root.Metadata = node.Metadata;
            return;
        }

        (FileNode parent, FileName name) = FindPlace(path, create: true)!.Value;
        if (node.Kind != FileKind.Directory)
        {
            parent.Entries[name] = node;
        }
        else if (parent.Entries.TryGetValue(name, out FileNode? former) && former.Kind == FileKind.Directory)
        {
            former.Metadata = node.Metadata;
        }
        else
        {
            parent.Entries[name] = node.Children.Count == 0
                ? node
                : throw new ImageContentException($"The directory '{Show(path)}' has entries, and may stand in the tree already: set an empty one.");
        }
    }

    /// <summary>Takes an entry away, with all that is in it.</summary>
    /// <param name="path">Its path; a symbolic link is not followed.</param>
    /// <returns>False when it was not there.</returns>
    public bool Remove(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Remove(Encoding.UTF8.GetBytes(path));
    }

    /// <summary>Takes an entry away, with all that is in it.</summary>
    /// <param name="path">Its path; a symbolic link is not followed.</param>
    /// <returns>False when it was not there.</returns>
    public bool Remove(ReadOnlySpan<byte> path) => FindPlace(path, create: false) is var (parent, name) && parent.Entries.Remove(name);

    /// <summary>Keeps something as long as the tree: a file that contents are read from.</summary>
    /// <param name="resource">Disposed with the tree.</param>
    public void Own(IDisposable resource) => _owned.Add(resource);

    /// <summary>Closes what the contents are read from.</summary>
    public void Dispose()
    {
        _owned.ForEach(resource => resource.Dispose());
        _owned.Clear();
    }

    private static string Show(ReadOnlySpan<byte> path) => Encoding.UTF8.GetString(path);

    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> path)
    {
        path = path.Trim((byte)'/');
        return path.SequenceEqual("."u8) ? [] : path;
    }

    /// <summary>The directory that an entry is in, or would be.</summary>
    private (FileNode Parent, FileName Name)? FindPlace(ReadOnlySpan<byte> path, bool create)
    {
        ReadOnlySpan<byte> trimmed = Trim(path);
        int slash = trimmed.LastIndexOf((byte)'/');
        if (!FileName.TryCreate(trimmed[(slash + 1)..], out FileName name))
        {
            throw new ImageContentException($"'{Show(path)}' does not end with a name of 1 to {FileName.MaximumBytes} bytes.");
        }

        FileNode? parent = slash < 0 ? Root : Walk(trimmed[..slash], follow: true, create ? path : default);
        return parent?.Kind == FileKind.Directory ? (parent, name)
            : create ? throw new ImageContentException($"'{Show(path)}' is below something that is not a directory.")
            : null;
    }

    /// <summary>Walks along a path.</summary>
    /// <param name="path">The path.</param>
    /// <param name="follow">Whether a link at its end is followed.</param>
    /// <param name="created">The path for whose sake missing directories are made; none are when it is empty.</param>
    private FileNode? Walk(ReadOnlySpan<byte> path, bool follow, ReadOnlySpan<byte> created)
    {
        List<FileNode> trail = [Root];
        Stack<byte[]> pending = new();
        Push(pending, path);
        int links = 0;
        while (pending.TryPop(out byte[]? part))
        {
            if (part is [(byte)'.', (byte)'.'])
            {
                trail.RemoveRange(Math.Max(trail.Count - 1, 1), trail.Count > 1 ? 1 : 0);
                continue;
            }

            FileNode directory = trail[^1];
            if (directory.Kind != FileKind.Directory || !FileName.TryCreate(part, out FileName name))
            {
                return null;
            }

            if (!directory.Entries.TryGetValue(name, out FileNode? next))
            {
                if (created.IsEmpty)
                {
                    return null;
                }

                FileMetadata metadata = new(FileMetadata.DefaultDirectoryMode) { ModificationTime = directory.Metadata.ModificationTime };
                directory.Entries[name] = next = FileNode.CreateDirectory(metadata);
                ImpliedDirectories++;
            }

            if (next.Kind != FileKind.SymbolicLink || (pending.Count == 0 && !follow))
            {
                trail.Add(next);
                continue;
            }

            if (++links > MaximumLinks)
            {
                throw new ImageContentException($"'{Show(path)}' leads through more than {MaximumLinks} symbolic links.");
            }

            if (next.Target.Span[0] == (byte)'/')
            {
                trail.RemoveRange(1, trail.Count - 1);
            }

            Push(pending, next.Target.Span);
        }

        return trail[^1];
    }

    private static void Push(Stack<byte[]> pending, ReadOnlySpan<byte> path)
    {
        while (!path.IsEmpty)
        {
            int slash = path.LastIndexOf((byte)'/');
            ReadOnlySpan<byte> part = path[(slash + 1)..];
            if (!part.IsEmpty && !part.SequenceEqual("."u8))
            {
                pending.Push(part.ToArray());
            }

            path = path[..Math.Max(slash, 0)];
        }
    }
}
