namespace Uml.Storage.FileSystems.Trees;

/// <summary>The contents of a file, read when and where they are needed, from any thread.</summary>
public abstract class FileContent
{
    /// <summary>Makes contents without holes.</summary>
    /// <param name="length">Bytes.</param>
    protected FileContent(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Length = length;
        Data = length == 0 ? [] : [new FileRange(0, length)];
    }

    /// <summary>Makes contents that have holes.</summary>
    /// <param name="length">Bytes, with the holes.</param>
    /// <param name="data">The ranges that are no holes, in order, within the length, and without touching each other.</param>
    /// <exception cref="ArgumentException">They are not.</exception>
    protected FileContent(long length, IReadOnlyList<FileRange> data)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentNullException.ThrowIfNull(data);
        long end = -1;
        foreach (FileRange range in data)
        {
            if (range.Offset <= end || range.Length <= 0 || range.Length > length - range.Offset)
            {
                throw new ArgumentException($"{range.Length} bytes at {range.Offset} of {length} are out of order, empty, or not within the file.", nameof(data));
            }

            end = range.Offset + range.Length;
        }

        (Length, Data) = (length, data);
    }

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <summary>The ranges that are no holes, in order; what lies between them reads as zeroes.</summary>
    public IReadOnlyList<FileRange> Data { get; }

    /// <summary>Makes contents of bytes.</summary>
    /// <param name="bytes">The bytes; not copied, so they must not change before they are read.</param>
    public static FileContent FromMemory(ReadOnlyMemory<byte> bytes) => new MemoryFileContent(bytes);

    /// <summary>Reads.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="buffer">Filled; it does not reach behind <see cref="Length"/>.</param>
    /// <exception cref="IOException">It could not be read.</exception>
    /// <exception cref="Images.ImageContentException">The file is not any more what it was when it was found.</exception>
    public abstract void Read(long offset, Span<byte> buffer);

    /// <summary>Opens the contents as a stream that can seek.</summary>
    public Stream OpenRead() => new FileContentStream(this);
}

/// <summary>Part of a file.</summary>
/// <param name="Offset">The first byte.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct FileRange(long Offset, long Length);

/// <summary>Contents in memory.</summary>
internal sealed class MemoryFileContent(ReadOnlyMemory<byte> bytes) : FileContent(bytes.Length)
{
    public override void Read(long offset, Span<byte> buffer) => bytes.Span.Slice((int)offset, buffer.Length).CopyTo(buffer);
}
