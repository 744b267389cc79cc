using System.IO.Compression;
using ZstdSharp;

namespace Uml.Storage.Images;

/// <summary>Opens decompressors by a file name's ending, and distinguishes their errors about the data from others.</summary>
internal static class CompressedStream
{
    /// <summary>Opens a decompressor.</summary>
    /// <param name="name">A name that ends in .gz, .xz, .zst, .bz2, or in something else for plain data.</param>
    /// <param name="stream">The compressed data; disposed with the result.</param>
    /// <returns>The plain data.</returns>
    public static Stream OpenByName(string name, Stream stream) => Path.GetExtension(name) switch
    {
        ".gz" => new GZipStream(stream, CompressionMode.Decompress),
        ".xz" => new XzReader(stream),
        ".zst" => new DecompressionStream(stream, leaveOpen: false),
        ".bz2" => new Bzip2Reader(stream),
        _ => stream,
    };

    /// <summary>Recognizes compressed data by its first bytes.</summary>
    /// <param name="stream">The data, at its start, where it is afterwards.</param>
    /// <returns>The ending of a name for it, or null when it is not compressed in a way that is known.</returns>
    public static string? EndingOf(Stream stream)
    {
        Span<byte> first = stackalloc byte[6];
        int read = stream.ReadAtLeast(first, first.Length, throwOnEndOfStream: false);
        stream.Position -= read;
        return first switch
        {
            [0x1F, 0x8B, ..] => ".gz",
            [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0] => ".xz",
            [0x28, 0xB5, 0x2F, 0xFD, ..] => ".zst",
            [(byte)'B', (byte)'Z', (byte)'h', ..] => ".bz2",
            _ => null,
        };
    }

    /// <summary>A name without the ending of a compressed file.</summary>
    public static string PlainName(string name) =>
        Path.GetExtension(name) is ".gz" or ".xz" or ".zst" or ".bz2" ? Path.GetFileNameWithoutExtension(name) : name;

    /// <summary>Whether an exception is a decompressor's way to say that its input is damaged: the framework's, ours, and those of the libraries.</summary>
    public static bool IsComplaint(Exception e) =>
        e is InvalidDataException or EndOfStreamException or SharpCompress.Common.SharpCompressException or ZstdException;
}
