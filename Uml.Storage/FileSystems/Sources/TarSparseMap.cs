using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>
/// Where the data of a sparse file belongs, as GNU tar writes it: in headers (its old format), or in lines of digits before the data (its format 1.0
/// in pax archives).
/// </summary>
/// <param name="file">The archive.</param>
internal sealed class TarSparseMap(ArchiveFile file)
{
    private const int BlockBytes = 512;

    /// <summary>In the old format: four pieces in the header, 21 in each block behind it. A piece is two numbers of 12 digits.</summary>
    private const int HeaderPlace = 386, HeaderPieces = 4, HeaderMore = 482, BlockPieces = 21, BlockMore = 504, NumberBytes = 12;

    /// <summary>A limit of ours against hostile archives.</summary>
    private const int MaximumPieces = 1 << 20;

    private readonly List<FileRange> _pieces = [];
    private long _end;

    public IReadOnlyList<FileRange> Pieces => _pieces;

    /// <summary>Bytes of all pieces.</summary>
    public long DataBytes { get; private set; }

    /// <summary>Reads a map of the old format.</summary>
    /// <param name="header">The entry's header.</param>
    /// <param name="place">What is behind it.</param>
    /// <returns>Where the data begins; negative when the map is damaged.</returns>
    public long ReadOld(ReadOnlySpan<byte> header, long place)
    {
        bool isValid = ReadNumbers(header.Slice(HeaderPlace, HeaderPieces * 2 * NumberBytes));
        Span<byte> block = stackalloc byte[BlockBytes];
        for (bool more = header[HeaderMore] != 0; more && isValid; more = block[BlockMore] != 0, place += BlockBytes)
        {
            file.Read(place, block);
            isValid = ReadNumbers(block[..(BlockPieces * 2 * NumberBytes)]);
        }

        return isValid ? place : -1;
    }

    /// <summary>Reads a map of format 1.0.</summary>
    /// <param name="place">Where the entry's data begins.</param>
    /// <returns>Where that of the file begins; negative when the map is damaged.</returns>
    public long ReadLines(long place)
    {
        long start = place, count = NextLine(ref place);
        bool isValid = count is >= 0 and <= MaximumPieces;
        for (; isValid && count > 0; count--)
        {
            isValid = TryAdd(NextLine(ref place), NextLine(ref place));
        }

        return isValid ? start + ((place - start + BlockBytes - 1) / BlockBytes * BlockBytes) : -1;
    }

    private bool ReadNumbers(ReadOnlySpan<byte> numbers)
    {
        for (; !numbers.IsEmpty && numbers[0] != 0; numbers = numbers[(2 * NumberBytes)..])
        {
            if (!TarNumber.TryRead(numbers[..NumberBytes], out long offset) || !TarNumber.TryRead(numbers.Slice(NumberBytes, NumberBytes), out long length)
                || !TryAdd(offset, length))
            {
                return false;
            }
        }

        return true;
    }

    private bool TryAdd(long offset, long length)
    {
        if (offset < _end || length < 0 || offset > long.MaxValue - length || _pieces.Count == MaximumPieces)
        {
            return false;
        }

        _end = offset + length;
        DataBytes += length;
        if (length > 0 && _pieces.Count > 0 && _pieces[^1].Offset + _pieces[^1].Length == offset)
        {
            _pieces[^1] = new FileRange(_pieces[^1].Offset, _pieces[^1].Length + length);
        }
        else if (length > 0)
        {
            _pieces.Add(new FileRange(offset, length));
        }

        return true;
    }

    /// <returns>Negative when there is no number.</returns>
    private long NextLine(ref long place)
    {
        // 2^63 has 19 digits.
        Span<byte> line = stackalloc byte[20];
        line = line[..(int)Math.Clamp(file.Length - place, 0, line.Length)];
        file.Read(place, line);
        int end = line.IndexOf((byte)'\n');
        place += end + 1;
        return end > 0 && long.TryParse(line[..end], out long value) ? value : -1;
    }
}

/// <summary>Contents with holes whose data lies in an archive.</summary>
/// <param name="file">The archive.</param>
/// <param name="start">The first byte of data in it.</param>
/// <param name="length">Bytes, with the holes.</param>
/// <param name="data">The ranges that are no holes, whose data follow each other in the archive.</param>
internal sealed class SparseArchiveContent(ArchiveFile file, long start, long length, IReadOnlyList<FileRange> data) : FileContent(length, data)
{
    private readonly long[] _places = FindPlaces(start, data);

    public override void Read(long offset, Span<byte> buffer)
    {
        buffer.Clear();
        long end = offset + buffer.Length;
        for (int i = FindFirst(offset); i < Data.Count && Data[i].Offset < end; i++)
        {
            FileRange range = Data[i];
            long from = Math.Max(range.Offset, offset), to = Math.Min(range.Offset + range.Length, end);
            file.Read(_places[i] + (from - range.Offset), buffer.Slice((int)(from - offset), (int)(to - from)));
        }
    }

    private static long[] FindPlaces(long start, IReadOnlyList<FileRange> data)
    {
        long[] places = new long[data.Count];
        for (int i = 0; i < places.Length; i++)
        {
            places[i] = start;
            start += data[i].Length;
        }

        return places;
    }

    /// <summary>The first piece that does not end before a place. There may be a million, and every read asks.</summary>
    private int FindFirst(long offset)
    {
        int low = 0, high = Data.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = Data[middle].Offset + Data[middle].Length <= offset ? (middle + 1, high) : (low, middle);
        }

        return low;
    }
}
