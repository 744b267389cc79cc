using System.Formats.Tar;
using System.Text;

namespace Uml.Storage.Images;

/// <summary>
/// Reads binary Debian packages (deb(5)) without dpkg: an ar archive with control.tar and data.tar, which may be
/// compressed by gzip, xz, zstd or bzip2. Nothing in a package makes it write outside the directory it is unpacked to.
/// </summary>
public sealed class DebianPackage : IDisposable
{
    private const int MaximumControlBytes = 1024 * 1024;

    // The largest packages have some ten thousand; a limit of ours.
    private const int MaximumEntries = 1_000_000;

    private readonly Stream _stream;
    private readonly string _name;
    private readonly ArMember _control;
    private readonly ArMember _data;

    private DebianPackage(Stream stream, string name)
    {
        _stream = stream;
        _name = name;
        List<ArMember> members = ArArchive.ReadMembers(stream, name);
        if (members.Count == 0 || members[0].Name != "debian-binary")
        {
            throw new ImageContentException($"'{name}' is an ar archive but not a Debian package: it has no debian-binary.");
        }

        _control = Find(members, "control.tar");
        _data = Find(members, "data.tar");
    }

    /// <summary>
    /// The most bytes that unpacking may write, a limit of ours against hostile packages; 4 GiB unless set.
    /// </summary>
    public long MaximumUnpackedBytes { get; set; } = 4L << 30;

    /// <summary>Opens a package file.</summary>
    /// <param name="path">The file's path.</param>
    /// <returns>The package; dispose it to close the file.</returns>
    /// <exception cref="ImageContentException">Not a Debian package, or damaged.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static DebianPackage Open(string path)
    {
        FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            return new DebianPackage(stream, Path.GetFileName(path));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Opens a package.</summary>
    /// <param name="stream">A seekable stream; the package disposes it.</param>
    /// <param name="name">What messages call the package.</param>
    /// <returns>The package.</returns>
    /// <exception cref="ImageContentException">Not a Debian package, or damaged.</exception>
    public static DebianPackage Open(Stream stream, string name)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return stream.CanSeek
            ? new DebianPackage(stream, name)
            : throw new ArgumentException("The stream must be seekable.", nameof(stream));
    }

    /// <summary>Reads the fields of the control file: Package, Version, Architecture, Depends and so on.</summary>
    /// <returns>The fields; continuation lines are joined with line feeds.</returns>
    /// <exception cref="ImageContentException">The package is damaged.</exception>
    public IReadOnlyDictionary<string, string> ReadControl()
    {
        Dictionary<string, string> fields = new(StringComparer.OrdinalIgnoreCase);
        string name = "";
        StringBuilder value = new();
        foreach (string line in Encoding.UTF8.GetString(ReadEntry(_control, "control", MaximumControlBytes)).Split('\n'))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (line.StartsWith(' ') && name.Length != 0)
            {
                value.Append('\n').Append(line, 1, line.Length - 1);
            }
            else if (colon > 0)
            {
                AddField();
                name = line[..colon];
                value.Clear().Append(line[(colon + 1)..].Trim());
            }
        }

        AddField();
        return fields;

        void AddField()
        {
            if (name.Length != 0)
            {
                fields[name] = value.ToString();
            }
        }
    }

    /// <summary>Reads all files of the control archive: the control file itself, scripts, lists.</summary>
    /// <returns>The contents by the names.</returns>
    /// <exception cref="ImageContentException">The package is damaged, or these files are too large.</exception>
    internal IReadOnlyDictionary<string, byte[]> ReadControlFiles()
    {
        Dictionary<string, byte[]> files = new(StringComparer.Ordinal);
        long bytes = 0;
        ForEachEntry(_control, (name, entry) =>
        {
            if (entry.EntryType is TarEntryType.RegularFile or TarEntryType.V7RegularFile)
            {
                bytes += entry.Length;
                files[name] = bytes <= MaximumControlBytes * 16 ? ReadContents(entry, name) : throw new ImageContentException(
                    $"The control files of the package '{_name}' have more than {MaximumControlBytes * 16} bytes; it is hostile or damaged: do not use it.");
            }

            return true;
        }, CancellationToken.None);
        return files;
    }

    /// <summary>Reads the archive of the package's files into memory, packed as it is.</summary>
    /// <exception cref="ImageContentException">The package is cut off.</exception>
    internal MemoryStream ReadDataArchive()
    {
        _stream.Position = _data.Offset;
        using BoundedStream packed = new(_stream, _data.Length, onExceeded: null, leaveOpen: true, CancellationToken.None);
        MemoryStream archive = new();
        packed.CopyTo(archive);
        archive.Position = 0;
        return archive.Length == _data.Length ? archive : throw new ImageContentException($"The package '{_name}' is cut off; download it again.");
    }

    /// <summary>Reads one regular file of the package.</summary>
    /// <param name="path">The path inside the package, such as <c>bin/busybox</c>.</param>
    /// <param name="maximumBytes">The most bytes that it may have.</param>
    /// <returns>The contents.</returns>
    /// <exception cref="ImageContentException">No such file, too large, or the package is damaged.</exception>
    public byte[] ReadFile(string path, int maximumBytes = 256 * 1024 * 1024) => ReadEntry(_data, path, maximumBytes);

    /// <summary>
    /// Unpacks directories, regular files, hard links (as copies) and symbolic links; other entries and owners are left out.
    /// Links are made last and never followed.
    /// </summary>
    /// <param name="directory">Where to; created if missing.</param>
    /// <param name="filter">Says by the path inside the package whether an entry is wanted; all when null.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="ImageContentException">The package is damaged, too large, or wants to write outside the directory.</exception>
    /// <exception cref="IOException">The directory cannot be written.</exception>
    public void Extract(string directory, Func<string, bool>? filter = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(directory);
        TarExtraction extraction = new(directory, _name, MaximumUnpackedBytes, TooLarge);
        ForEachEntry(_data, (path, entry) =>
        {
            if (path.Length != 0 && (filter is null || filter(path)))
            {
                extraction.Add(path, entry);
            }

            return true;
        }, cancellationToken);
        extraction.Finish(cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private ArMember Find(List<ArMember> members, string name)
    {
        foreach (ArMember member in members)
        {
            if (CompressedStream.PlainName(member.Name) == name)
            {
                return member;
            }
        }

        throw new ImageContentException($"The package '{_name}' has no {name} or one with an unknown compression; download it again.");
    }

    private byte[] ReadEntry(ArMember member, string path, int maximumBytes)
    {
        byte[]? found = null;
        string wanted = TarPath.Normalize(path, _name);
        ForEachEntry(member, (name, entry) =>
        {
            if (name != wanted || entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile))
            {
                return true;
            }

            if (entry.Length > maximumBytes)
            {
                throw new ImageContentException(
                    $"'{path}' in the package '{_name}' has {entry.Length} bytes; the limit given is {maximumBytes}.");
            }

            found = ReadContents(entry, path);
            return false;
        }, CancellationToken.None);
        return found ?? throw new ImageContentException($"The package '{_name}' has no file '{path}'.");
    }

    private static byte[] ReadContents(TarEntry entry, string path)
    {
        // Memory is allocated as data arrives, not for the size in the header.
        using MemoryStream contents = new();
        entry.DataStream?.CopyTo(contents);
        return contents.Length == entry.Length ? contents.ToArray() : throw new EndOfStreamException($"'{path}' ends in the middle.");
    }

    private void ForEachEntry(ArMember member, Func<string, TarEntry, bool> visit, CancellationToken cancellationToken)
    {
        _stream.Position = member.Offset;
        using BoundedStream packed = new(_stream, member.Length, onExceeded: null, leaveOpen: true, cancellationToken);
        try
        {
            using Stream plain = CompressedStream.OpenByName(member.Name, packed);
            using BoundedStream bounded = new(plain, MaximumUnpackedBytes, TooLarge, leaveOpen: true, cancellationToken);
            using TarHeaderGuard guard = new(bounded, _name);
            using TarReader reader = new(guard, leaveOpen: true);
            for (int count = 0; ReadHeader(reader, guard) is TarEntry entry; count++)
            {
                if (count == MaximumEntries)
                {
                    throw new ImageContentException($"The package '{_name}' has more than {MaximumEntries} entries; it is hostile or damaged: do not use it.");
                }

                if (!visit(TarPath.Normalize(entry.Name, _name), entry))
                {
                    return;
                }

                entry.DataStream?.CopyTo(Stream.Null);
            }
        }
        catch (Exception e) when (CompressedStream.IsComplaint(e))
        {
            throw new ImageContentException($"{member.Name} of the package '{_name}' is damaged or cut off: {e.Message} Download it again.", e);
        }
    }

    private static TarEntry? ReadHeader(TarReader reader, TarHeaderGuard guard)
    {
        guard.BeginHeaders();
        try
        {
            return reader.GetNextEntry();
        }
        catch (Exception e) when (e is OverflowException or FormatException or ArgumentException or InvalidOperationException or NotSupportedException)
        {
            // How the framework says, besides in the documented way, that a number or an attribute of a header is none.
            throw new InvalidDataException(e.Message, e);
        }
        finally
        {
            guard.EndHeaders();
        }
    }

    private ImageContentException TooLarge() => new(
        $"The package '{_name}' unpacks to more than {MaximumUnpackedBytes} bytes, the limit against hostile packages; "
        + $"raise {nameof(MaximumUnpackedBytes)} if it is really that large.");
}
