using System.Buffers.Binary;
using System.IO.Compression;
using SharpCompress.Compressors.BZip2;
using ZstdSharp;

namespace Uml.Core.Boot.Payload;

/// <summary>Recognizes and unpacks the compressed kernel inside a bzImage, or a file compressed as a whole.</summary>
internal static class KernelPayload
{
    // Zstandard (RFC 8878, section 3.1.1.1.2): the kernel is packed with `zstd -22 --ultra`, a 128 MiB window.
    private const int MaximumZstdWindowLog = 27;

    /// <summary>Finds the format by its magic number.</summary>
    /// <param name="data">The first bytes of the compressed data.</param>
    /// <returns>The format, or <see cref="CompressionFormat.None"/>.</returns>
    public static CompressionFormat Detect(ReadOnlySpan<byte> data)
    {
        return data switch
        {
            [0x1f, 0x8b, 0x08, ..] => CompressionFormat.Gzip,
            [(byte)'B', (byte)'Z', (byte)'h', >= (byte)'1' and <= (byte)'9', ..] => CompressionFormat.Bzip2,
            [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0x00, ..] => CompressionFormat.Xz,
            [0x89, (byte)'L', (byte)'Z', (byte)'O', 0x00, 0x0d, 0x0a, 0x1a, 0x0a, ..] => CompressionFormat.Lzo,
            [0x02, 0x21, 0x4c, 0x18, ..] => CompressionFormat.Lz4,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => CompressionFormat.Zstd,
            // LZMA has no magic; lc=3 lp=0 pb=2 is what every kernel build uses (scripts/Makefile.lib).
            [0x5d, 0x00, 0x00, ..] when LzmaPayload.HasPlausibleHeader(data) => CompressionFormat.Lzma,
            _ => CompressionFormat.None,
        };
    }

    /// <summary>Unpacks the payload of a bzImage.</summary>
    /// <param name="payload">The payload, with the 4-byte size that the kernel's build appends.</param>
    /// <param name="maximumBytes">The most bytes that may come out.</param>
    /// <param name="name">What messages call the file.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The unpacked bytes, as many as the payload states.</returns>
    /// <exception cref="KernelImageException">Unknown format, corrupt or truncated data, or too many bytes.</exception>
    public static ReadOnlyMemory<byte> UnpackBzImagePayload(
        ReadOnlyMemory<byte> payload, int maximumBytes, string name, CancellationToken cancellationToken)
    {
        CompressionFormat format = Detect(payload.Span);
        if (format == CompressionFormat.None || payload.Length < sizeof(uint))
        {
            throw new KernelImageException(
                $"The compressed kernel inside '{name}' starts with {Describe.FirstBytes(payload.Span)}, which is none of "
                + "gzip, bzip2, lzma, xz, lzo, lz4 and zstd; the file is damaged or not a Linux kernel. To let the image unpack itself in the "
                + $"guest, use {nameof(BootProtocol)}.{nameof(BootProtocol.BzImage64)}.");
        }

        uint size = StatedSize(payload.Span);
        if (size > (uint)maximumBytes)
        {
            throw TooLarge(name, maximumBytes);
        }

        ReadOnlyMemory<byte> compressed = format == CompressionFormat.Gzip ? payload : payload[..^sizeof(uint)];
        if (!TryUnpack(format, compressed, (int)size, size, name, cancellationToken, out ReadOnlyMemory<byte> unpacked))
        {
            throw new KernelImageException(
                $"The compressed kernel inside '{name}' unpacks to more than the {size} bytes that its build recorded; "
                + "the file is damaged: copy it again.");
        }

        if ((uint)unpacked.Length != size)
        {
            GrowingBuffer.Release(unpacked);
            throw new KernelImageException(
                $"The compressed kernel inside '{name}' unpacks to {unpacked.Length} bytes where its build recorded {size}; "
                + "the file is damaged or truncated: copy it again.");
        }

        return unpacked;
    }

    /// <summary>
    /// The size of the vmlinux, which follows the compressed data (scripts/Makefile.lib, size_append), except for gzip, whose own
    /// last four bytes are that size.
    /// </summary>
    /// <param name="payload">A payload of at least 4 bytes.</param>
    public static uint StatedSize(ReadOnlySpan<byte> payload) => BinaryPrimitives.ReadUInt32LittleEndian(payload[^sizeof(uint)..]);

    /// <summary>Unpacks data of a known format.</summary>
    /// <param name="format">The format.</param>
    /// <param name="data">The compressed data and nothing else.</param>
    /// <param name="maximumBytes">The most bytes that may come out.</param>
    /// <param name="expectedBytes">How many are expected; a hint.</param>
    /// <param name="name">What messages call the file.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The unpacked bytes.</returns>
    /// <exception cref="KernelImageException">Corrupt or truncated data, or too many bytes.</exception>
    public static ReadOnlyMemory<byte> Unpack(
        CompressionFormat format, ReadOnlyMemory<byte> data, int maximumBytes, long expectedBytes, string name, CancellationToken cancellationToken) =>
        TryUnpack(format, data, maximumBytes, expectedBytes, name, cancellationToken, out ReadOnlyMemory<byte> unpacked)
            ? unpacked
            : throw TooLarge(name, maximumBytes);

    private static bool TryUnpack(
        CompressionFormat format,
        ReadOnlyMemory<byte> data,
        int maximumBytes,
        long expectedBytes,
        string name,
        CancellationToken cancellationToken,
        out ReadOnlyMemory<byte> unpacked)
    {
        try
        {
            return format switch
            {
                CompressionFormat.Lz4 => Lz4Payload.TryUnpack(data.Span, maximumBytes, expectedBytes, cancellationToken, out unpacked),
                CompressionFormat.Xz => XzPayload.TryUnpack(data, maximumBytes, cancellationToken, out unpacked),
                CompressionFormat.Lzo => LzoPayload.TryUnpack(data.Span, maximumBytes, expectedBytes, cancellationToken, out unpacked),
                _ => TryUnpackStream(format, data, maximumBytes, expectedBytes, cancellationToken, out unpacked),
            };
        }
        catch (Exception e) when (IsDecoderComplaint(e))
        {
            throw new KernelImageException(
                $"The {format} data in '{name}' ({data.Length} bytes) is damaged or truncated: {e.Message} Copy the file again.", e);
        }
    }

    private static bool TryUnpackStream(
        CompressionFormat format,
        ReadOnlyMemory<byte> data,
        int maximumBytes,
        long expectedBytes,
        CancellationToken cancellationToken,
        out ReadOnlyMemory<byte> unpacked)
    {
        using Stream input = new ReadOnlyMemoryStream(data, cancellationToken);
        using Stream output = OpenStream(format, input, data.Span, maximumBytes, expectedBytes);
        return BoundedReader.TryReadAll(output, maximumBytes, expectedBytes, cancellationToken, out unpacked);
    }

    private static Stream OpenStream(CompressionFormat format, Stream input, ReadOnlySpan<byte> data, int maximumBytes, long expectedBytes)
    {
        switch (format)
        {
            case CompressionFormat.Gzip:
                return new GZipStream(input, System.IO.Compression.CompressionMode.Decompress);
            case CompressionFormat.Bzip2:
                return BZip2Stream.Create(input, SharpCompress.Compressors.CompressionMode.Decompress, decompressConcatenated: true);
            case CompressionFormat.Lzma:
                return LzmaPayload.Open(input, data, expectedBytes > 0 ? expectedBytes : maximumBytes);
            case CompressionFormat.Zstd:
                DecompressionStream zstd = new(input, leaveOpen: false);
                zstd.SetParameter(ZstdSharp.Unsafe.ZSTD_dParameter.ZSTD_d_windowLogMax, MaximumZstdWindowLog);
                return zstd;
            default:
                throw new InvalidOperationException($"{format} is not a stream format.");
        }
    }

    // Our own decoders throw InvalidDataException. The libraries report bad input by exception types of their own, or fail on it with
    // exceptions of the runtime.
    private static bool IsDecoderComplaint(Exception e) =>
        e is InvalidDataException or IOException or SharpCompress.Common.SharpCompressException or ZstdException
            or IndexOutOfRangeException or ArgumentException or InvalidOperationException or NotSupportedException
            or OverflowException or NullReferenceException or FormatException;

    private static KernelImageException TooLarge(string name, int maximumBytes) =>
        new($"The compressed kernel in '{name}' unpacks to more than {maximumBytes} bytes, the limit against hostile files; "
            + $"if the kernel is really that large, raise {nameof(BootOptions)}.{nameof(BootOptions.MaximumUnpackedBytes)}.");
}
