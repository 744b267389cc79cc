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
    private const int StreamHeaderBytes = 12;
    private const ulong FilterX86 = 0x04;
    private const ulong FilterLzma2 = 0x21;
    private const int MaximumDictionaryCode = 40;

    /// <summary>Unpacks one stream; what follows it is not looked at.</summary>
    public static bool TryUnpack(ReadOnlyMemory<byte> data, int maximumBytes, out ReadOnlyMemory<byte> unpacked)
    {
        ReadOnlySpan<byte> span = data.Span;
        if (span.Length < StreamHeaderBytes || span[6] != 0 || span[7] > 0x0f
            || BinaryPrimitives.ReadUInt32LittleEndian(span[8..]) != Crc32.Compute(span[6..8].ToArray()))
        {
            throw new InvalidDataException("the xz stream header is damaged.");
        }

        using GrowingBuffer output = new(maximumBytes, 0);
        int position = StreamHeaderBytes;

        // A first byte of 0 is the index, which ends the blocks.
        while (ByteAt(span, position) != 0)
        {
            if (!TryUnpackBlock(data, ref position, span[7], output))
            {
                unpacked = default;
                return false;
            }
        }

        unpacked = output.HandOver();
        return true;
    }

    private static bool TryUnpackBlock(ReadOnlyMemory<byte> data, ref int position, byte checkType, GrowingBuffer output)
    {
        ReadOnlySpan<byte> span = data.Span;
        BlockHeader header = ReadBlockHeader(span, ref position);
        int start = position;
        long size = MeasureLzma2(span, ref position);
        if (output.Reserve((int)Math.Min(size, int.MaxValue)) < size)
        {
            return false;
        }

        byte[] block = GC.AllocateUninitializedArray<byte>((int)size);
        using (LzmaStream lzma = LzmaStream.Create(
            [DictionaryCode(header.DictionaryCode, size)],
            new ReadOnlyMemoryStream(data[start..position]),
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
        position = (position + 3) & ~3;
        VerifyCheck(span, ref position, checkType, block);
        return true;
    }

    private static BlockHeader ReadBlockHeader(ReadOnlySpan<byte> span, ref int position)
    {
        int length = (ByteAt(span, position) + 1) * 4;
        if (length > span.Length - position)
        {
            throw new InvalidDataException("a block header is cut off.");
        }

        ReadOnlySpan<byte> header = span.Slice(position, length - 4);
        if (BinaryPrimitives.ReadUInt32LittleEndian(span[(position + length - 4)..]) != Crc32.Compute(header.ToArray()))
        {
            throw new InvalidDataException("a block header's checksum is wrong.");
        }

        position += length;
        byte flags = header[1];
        int at = 2;
        for (int sizes = (flags >> 6 & 1) + (flags >> 7); sizes > 0; sizes--)
        {
            ReadNumber(header, ref at);
        }

        BlockHeader result = default;
        int filters = (flags & 3) + 1;
        for (int i = 0; i < filters; i++)
        {
            ulong id = ReadNumber(header, ref at);
            ulong propertyBytes = ReadNumber(header, ref at);
            if (propertyBytes > (ulong)(header.Length - at))
            {
                throw new InvalidDataException("a filter's properties are cut off.");
            }

            ReadOnlySpan<byte> properties = header.Slice(at, (int)propertyBytes);
            at += properties.Length;
            bool isLast = i == filters - 1;
            result = (id, properties.Length, isLast) switch
            {
                (FilterX86, 0, false) => result with { X86Start = 0 },
                (FilterX86, 4, false) => result with { X86Start = BinaryPrimitives.ReadUInt32LittleEndian(properties) },
                (FilterLzma2, 1, true) when properties[0] <= MaximumDictionaryCode => result with { DictionaryCode = properties[0] },
                _ => throw new InvalidDataException($"the xz filter 0x{id:x} is not one that kernels use (x86 BCJ, LZMA2)."),
            };
        }

        return result;
    }

    /// <summary>Walks over LZMA2 chunks (xz's lzma2_decoder.c describes them), adding up what they unpack to.</summary>
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

    // The decoder allocates the dictionary that the header states, up to 4 GiB; what the block unpacks to is enough.
    private static byte DictionaryCode(byte stated, long size)
    {
        byte code = 0;
        while (code < stated && (2L | (code & 1L)) << ((code / 2) + 11) < size)
        {
            code++;
        }

        return code;
    }

    private static void VerifyCheck(ReadOnlySpan<byte> span, ref int position, byte checkType, byte[] block)
    {
        // Sizes for all types that exist or may exist; types that are not known are skipped, as the format asks for.
        ReadOnlySpan<byte> sizes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
        int size = sizes[checkType];
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

    // Seven bits a byte, least significant first, at most nine bytes.
    private static ulong ReadNumber(ReadOnlySpan<byte> span, ref int position)
    {
        ulong value = 0;
        for (int shift = 0; shift < 63; shift += 7)
        {
            byte next = ByteAt(span, position++);
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new InvalidDataException("a number in a block header is too long.");
    }

    private static byte ByteAt(ReadOnlySpan<byte> span, int position) =>
        position < span.Length ? span[position] : throw new InvalidDataException("the data ends in the middle.");

    private static int BigEndian16(ReadOnlySpan<byte> span, int position) =>
        (ByteAt(span, position) << 8) | ByteAt(span, position + 1);

    private readonly record struct BlockHeader(uint? X86Start, byte DictionaryCode);
}
