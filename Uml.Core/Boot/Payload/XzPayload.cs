using System.Buffers.Binary;
using System.Security.Cryptography;
using SharpCompress.Compressors.Filters;
using SharpCompress.Compressors.LZMA;
using SharpCompress.Compressors.Xz;

namespace Uml.Core.Boot.Payload;

/// <summary>
/// The xz container (tukaani.org, "The .xz File Format" 1.2.1) with the filters of kernels: LZMA2, and x86 BCJ before it.
/// The decoders are a library's, the container is read here: so sizes are known from the chunk headers before anything is
/// allocated, and the branch filter sees whole blocks.
/// </summary>
internal static class XzPayload
{
    /// <summary>Unpacks one stream; what follows it is not looked at.</summary>
    public static bool TryUnpack(
        ReadOnlyMemory<byte> data, int maximumBytes, CancellationToken cancellationToken, out ReadOnlyMemory<byte> unpacked)
    {
        ReadOnlySpan<byte> span = data.Span;
        if (span.Length < XzFormat.StreamHeaderBytes)
        {
            throw new InvalidDataException("the xz stream header is cut off.");
        }

        (byte checkType, int checkBytes) = XzFormat.ReadStreamHeader(span[..XzFormat.StreamHeaderBytes]);
        using GrowingBuffer output = new(maximumBytes, 0);
        int position = XzFormat.StreamHeaderBytes;

        // A first byte of 0 is the index, which ends the blocks.
        while (ByteAt(span, position) != 0)
        {
            if (!TryUnpackBlock(data, ref position, output, cancellationToken, out byte[] block))
            {
                unpacked = default;
                return false;
            }

            position = (position + 3) & ~3;
            VerifyCheck(span, ref position, checkType, checkBytes, block);
        }

        unpacked = output.HandOver();
        return true;
    }

    private static bool TryUnpackBlock(
        ReadOnlyMemory<byte> data, ref int position, GrowingBuffer output, CancellationToken cancellationToken, out byte[] block)
    {
        cancellationToken.ThrowIfCancellationRequested();
        block = [];
        ReadOnlySpan<byte> span = data.Span;
        XzBlockHeader header = ReadBlockHeader(span, ref position);
        int start = position;
        long size = MeasureLzma2(span, ref position);
        if (output.Reserve((int)Math.Min(size, int.MaxValue)) < size)
        {
            return false;
        }

        block = GC.AllocateUninitializedArray<byte>((int)size);
        using (LzmaStream lzma = LzmaStream.Create(
            [DictionaryCode(header.DictionaryCode, size)],
            new ReadOnlyMemoryStream(data[start..position], cancellationToken),
            position - start,
            size,
            presetDictionary: null,
            isLzma2: true))
        {
            lzma.ReadExactly(block);
        }

        if (header.X86Start is uint x86Start)
        {
            uint state = 0;
            BranchExecFilter.X86Converter(block, x86Start, ref state);
        }

        block.CopyTo(output.Room);
        output.Advance(block.Length);
        return true;
    }

    private static XzBlockHeader ReadBlockHeader(ReadOnlySpan<byte> span, ref int position)
    {
        int length = XzFormat.BlockHeaderBytes(ByteAt(span, position));
        if (length > span.Length - position)
        {
            throw new InvalidDataException("a block header is cut off.");
        }

        position += length;
        return XzFormat.ReadBlockHeader(span.Slice(position - length, length));
    }

    /// <summary>Parses LZMA2 chunks (described in xz's lzma2_decoder.c), and sums up their unpacked sizes.</summary>
    private static long MeasureLzma2(ReadOnlySpan<byte> span, ref int position)
    {
        long size = 0;
        while (true)
        {
            byte control = ByteAt(span, position++);
            int packed;
            switch (control)
            {
                case 0:
                    return size;
                case 1 or 2:
                    packed = BigEndian16(span, position) + 1;
                    size += packed;
                    position += 2;
                    break;
                case >= 0x80:
                    size += ((control & 0x1f) << 16) + BigEndian16(span, position) + 1;
                    packed = BigEndian16(span, position + 2) + 1;
                    position += control >= 0xc0 ? 5 : 4;
                    break;
                default:
                    throw new InvalidDataException($"an LZMA2 chunk has the control byte {control}.");
            }

            if (packed > span.Length - position)
            {
                throw new InvalidDataException("an LZMA2 chunk is cut off.");
            }

            position += packed;
        }
    }

    // The decoder would allocate the dictionary size of the header, up to 4 GiB; the block's unpacked size is enough.
    private static byte DictionaryCode(byte stated, long size)
    {
        byte code = 0;
        while (code < stated && XzFormat.DictionaryBytes(code) < size)
        {
            code++;
        }

        return code;
    }

    private static void VerifyCheck(ReadOnlySpan<byte> span, ref int position, byte checkType, int size, byte[] block)
    {
        if (size > span.Length - position)
        {
            throw new InvalidDataException("a block's checksum is cut off.");
        }

        ReadOnlySpan<byte> stated = span.Slice(position, size);
        position += size;
        bool isRight = checkType switch
        {
            1 => BinaryPrimitives.ReadUInt32LittleEndian(stated) == Crc32.Compute(block),
            4 => BinaryPrimitives.ReadUInt64LittleEndian(stated) == Crc64.ComputeXz(block),
            10 => SHA256.HashData(block).AsSpan().SequenceEqual(stated),
            _ => true,
        };
        if (!isRight)
        {
            throw new InvalidDataException("a block's checksum is wrong.");
        }
    }

    private static byte ByteAt(ReadOnlySpan<byte> span, int position) =>
        position < span.Length ? span[position] : throw new InvalidDataException("the data ends in the middle.");

    private static int BigEndian16(ReadOnlySpan<byte> span, int position) =>
        (ByteAt(span, position) << 8) | ByteAt(span, position + 1);
}
