using System.Text;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>
/// Reads the headers of a tar archive (POSIX.1-2017, pax; GNU tar's long names and numbers) in bytes: names and the values of attributes need not be
/// text, and the framework's reader would replace what is none.
/// </summary>
/// <param name="file">The archive.</param>
internal sealed class TarArchive(ArchiveFile file)
{
    private const int BlockBytes = 512;

    /// <summary>Attributes of real files have some hundred bytes, names up to 4095; a limit of ours.</summary>
    private const int MaximumHeaderBytes = 1 << 20;

    private readonly byte[] _header = new byte[BlockBytes];
    private Dictionary<string, byte[]> _global = [];
    private long _extendedBytes, _globalBytes;

    /// <summary>Reads the entries in order.</summary>
    /// <exception cref="ImageContentException">The archive is damaged.</exception>
    public IEnumerable<TarArchiveEntry> Read()
    {
        Dictionary<string, byte[]> extended = [];
        (_global, _extendedBytes, _globalBytes) = ([], 0, 0);
        for (long place = 0; TryReadHeader(place);)
        {
            place += BlockBytes;
            char type = (char)_header[156];
            long size = Number(_header.AsSpan(124, 12), "size");
            if (type is 'x' or 'g' or 'L' or 'K')
            {
                ReadExtended(type, place, size, extended);
            }
            else
            {
                TarArchiveEntry entry = Make(type, place, size, extended);
                yield return entry;
                size = entry.Size;
                place += entry.HeaderBytes;
                (extended, _extendedBytes) = ([], 0);
            }

            place = checked(place + ((size + BlockBytes - 1) / BlockBytes * BlockBytes));
        }
    }

    private static ReadOnlySpan<byte> UntilZero(ReadOnlySpan<byte> field) => field.IndexOf((byte)0) is >= 0 and int end ? field[..end] : field;

    /// <returns>False at the end.</returns>
    private bool TryReadHeader(long place)
    {
        // An archive ends with two blocks of zeroes. Some tools leave them out, and what fills the last block of contents too.
        if (place >= file.Length)
        {
            return false;
        }

        file.Read(place, _header);
        if (!_header.AsSpan().ContainsAnyExcept((byte)0))
        {
            return false;
        }

        int sum = 0;
        for (int i = 0; i < BlockBytes; i++)
        {
            sum += i is >= 148 and < 156 ? ' ' : _header[i];
        }

        return Number(_header.AsSpan(148, 8), "checksum") == sum ? true : throw new ImageContentException(
            $"'{file.Name}' is no tar archive, or a damaged one: the header at {place} has a wrong checksum. Get it again.");
    }

    private void ReadExtended(char type, long place, long size, Dictionary<string, byte[]> extended)
    {
        // All of one entry, and all that are for the rest of the archive, count together: each of them is kept.
        ref long bytes = ref type == 'g' ? ref _globalBytes : ref _extendedBytes;
        if (size > MaximumHeaderBytes - bytes)
        {
            throw new ImageContentException(
                $"The archive '{file.Name}' has extended headers of {bytes} and {size} bytes; the limit against hostile archives is {MaximumHeaderBytes}.");
        }

        bytes += size;
        byte[] data = new byte[size];
        file.Read(place, data);
        switch (type)
        {
            case 'L': extended["path"] = UntilZero(data).ToArray(); break;
            case 'K': extended["linkpath"] = UntilZero(data).ToArray(); break;
            case 'g':
                _global = new Dictionary<string, byte[]>(_global);
                ReadRecords(data, _global);
                break;
            default: ReadRecords(data, extended); break;
        }
    }

    /// <summary>Reads records: their length in decimal digits, a space, a keyword, '=', a value, and a line feed.</summary>
    private void ReadRecords(ReadOnlySpan<byte> data, Dictionary<string, byte[]> records)
    {
        while (!data.IsEmpty)
        {
            int space = data.IndexOf((byte)' ');
            if (space < 0 || !int.TryParse(data[..space], out int length) || length <= space + 1 || length > data.Length || data[length - 1] != (byte)'\n')
            {
                throw Damaged("a record of an extended header whose length is wrong");
            }

            ReadOnlySpan<byte> record = data[(space + 1)..(length - 1)];
            int equals = record.IndexOf((byte)'=');
            if (equals <= 0)
            {
                throw Damaged("a record of an extended header without a keyword");
            }

            records[Encoding.UTF8.GetString(record[..equals])] = record[(equals + 1)..].ToArray();
            data = data[length..];
        }
    }

    private TarArchiveEntry Make(char type, long place, long size, Dictionary<string, byte[]> extended)
    {
        // GNU tar's own format has no prefix: other fields are in its place.
        bool isUstar = _header.AsSpan(257, 6).SequenceEqual("ustar\0"u8);
        ReadOnlySpan<byte> name = UntilZero(_header.AsSpan(0, 100)), prefix = isUstar ? UntilZero(_header.AsSpan(345, 155)) : [];
        byte[] path = Find(extended, "GNU.sparse.name") ?? Find(extended, "path") ?? (prefix.IsEmpty ? name.ToArray() : [.. prefix, (byte)'/', .. name]);
        bool hasData = type is '0' or '\0' or '7' or 'S' || type > '7';
        TarArchiveEntry entry = new()
        {
            Type = type is '\0' or '7' ? '0' : type,
            Path = path,
            Target = Find(extended, "linkpath") ?? UntilZero(_header.AsSpan(157, 100)).ToArray(),
            Size = hasData ? Find(extended, "size") is { } stated ? Decimal(stated, "size") : size : 0,
            Start = place,
            Mode = (int)Number(_header.AsSpan(100, 8), "mode") & FileMetadata.ModeMask,
            UserId = Id(extended, "uid", _header.AsSpan(108, 8)),
            GroupId = Id(extended, "gid", _header.AsSpan(116, 8)),
            Time = Find(extended, "mtime") is { } time ? Time(time) : new FileTime(Number(_header.AsSpan(136, 12), "mtime")),
            Major = (uint)Number(_header.AsSpan(329, 8), "devmajor"),
            Minor = (uint)Number(_header.AsSpan(337, 8), "devminor"),
            Records = _global.Count == 0 ? extended : new Dictionary<string, byte[]>(_global.Concat(extended.Where(own => !_global.ContainsKey(own.Key)))),
        };
        bool isSparse = type == 'S' || extended.Keys.Any(key => key.StartsWith("GNU.sparse.", StringComparison.Ordinal));
        if (entry.Size > file.Length - place)
        {
            throw Damaged($"'{HostPath.Show(path)}' of {entry.Size} bytes, and ends at {file.Length}");
        }

        entry.Content = isSparse ? ReadSparse(entry, extended) : new ArchiveFileContent(file, place, entry.Size);
        return entry;
    }

    private SparseArchiveContent ReadSparse(TarArchiveEntry entry, Dictionary<string, byte[]> extended)
    {
        bool isOld = entry.Type == 'S';
        if (!isOld && !(extended.GetValueOrDefault("GNU.sparse.major") is [(byte)'1'] && extended.GetValueOrDefault("GNU.sparse.minor") is [(byte)'0']))
        {
            throw Damaged($"'{HostPath.Show(entry.Path)}' in a format for sparse files that is not read (1.0 and the old one of GNU tar are)");
        }

        TarSparseMap map = new(file);
        long start = isOld ? map.ReadOld(_header, entry.Start) : map.ReadLines(entry.Start);
        long length = isOld ? Number(_header.AsSpan(483, 12), "size")
            : Decimal(extended.GetValueOrDefault("GNU.sparse.realsize") ?? throw Damaged("a sparse file without a size"), "size");

        // The old format's size is that of the data; what is before it is counted by the reader.
        long end = entry.Start + entry.Size;
        if (isOld)
        {
            end += start - entry.Start;
            entry.HeaderBytes = start - entry.Start;
        }

        IReadOnlyList<FileRange> pieces = map.Pieces;
        bool isWhole = start >= 0 && map.DataBytes <= end - start && end <= file.Length && (pieces.Count == 0 || pieces[^1].Offset + pieces[^1].Length <= length);
        return isWhole ? new SparseArchiveContent(file, start, length, pieces) : throw Damaged($"the sparse file '{HostPath.Show(entry.Path)}', whose map of {pieces.Count} pieces is wrong");
    }

    private byte[]? Find(Dictionary<string, byte[]> extended, string key) => extended.GetValueOrDefault(key) ?? _global.GetValueOrDefault(key);

    private uint Id(Dictionary<string, byte[]> extended, string key, ReadOnlySpan<byte> field)
    {
        long id = Find(extended, key) is { } stated ? Decimal(stated, key) : Number(field, key);
        return id is >= 0 and <= uint.MaxValue ? (uint)id : throw Damaged($"the {key} {id}");
    }

    private long Decimal(ReadOnlySpan<byte> text, string what) =>
        long.TryParse(text, out long value) && value >= 0 ? value : throw Damaged($"the {what} '{HostPath.Show(text)}'");

    /// <summary>Seconds, with a fraction.</summary>
    private FileTime Time(ReadOnlySpan<byte> text)
    {
        return decimal.TryParse(text, System.Globalization.NumberStyles.Float, System.Globalization.CultureInfo.InvariantCulture, out decimal value) && Math.Abs(value) < 1L << 40
            ? new FileTime((long)Math.Floor(value), (int)((value - Math.Floor(value)) * 1_000_000_000))
            : throw Damaged($"the time '{HostPath.Show(text)}'");
    }

    private long Number(ReadOnlySpan<byte> field, string what) => TarNumber.TryRead(field, out long number) && (number >= 0 || what == "mtime")
        ? number : throw Damaged($"a {what} that is no octal number, or too large");

    private ImageContentException Damaged(string what) => new($"The archive '{file.Name}' has {what}; it is hostile or damaged: get it again.");
}

/// <summary>An entry of a tar archive.</summary>
internal sealed class TarArchiveEntry
{
    /// <summary>The letter in the header; '0' for all kinds of regular files.</summary>
    public required char Type { get; init; }

    public required byte[] Path { get; init; }

    public required byte[] Target { get; init; }

    /// <summary>Bytes in the archive, and the first of them.</summary>
    public required long Size { get; init; }

    public required long Start { get; init; }

    /// <summary>Bytes of headers before them, besides the first.</summary>
    public long HeaderBytes { get; set; }

    /// <summary>What a regular file has in it.</summary>
    public FileContent? Content { get; set; }

    public required int Mode { get; init; }

    public required uint UserId { get; init; }

    public required uint GroupId { get; init; }

    public required FileTime Time { get; init; }

    public required uint Major { get; init; }

    public required uint Minor { get; init; }

    /// <summary>Of extended headers.</summary>
    public required Dictionary<string, byte[]> Records { get; init; }
}
