using System.Buffers.Binary;
using SharpCompress.Compressors.Xz;

namespace Uml.Core.Boot.Payload;

/// <summary>The headers of the xz container (tukaani.org, "The .xz File Format" 1.2.1). Uml.Storage compiles this file as well.</summary>
internal static class XzFormat
{
    /// <summary>The size of the header that a stream starts with.</summary>
    public const int StreamHeaderBytes = 12;

    private const ulong FilterX86 = 0x04;
    private const ulong FilterLzma2 = 0x21;
    private const int MaximumDictionaryCode = 40;

    /// <summary>Reads a stream's header.</summary>
    /// <param name="header">Its 12 bytes; the magic number is not looked at.</param>
    /// <returns>How many bytes of checksum follow a block, and the type of the checksum.</returns>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static (byte CheckType, int CheckBytes) ReadStreamHeader(ReadOnlySpan<byte> header)
    {
        if (header[6] != 0 || header[7] > 0x0f
            || BinaryPrimitives.ReadUInt32LittleEndian(header[8..]) != Crc32.Compute(header[6..8].ToArray()))
        {
            throw new InvalidDataException("the xz stream header is damaged.");
        }

        // Sizes for all types that exist or may exist; types that are not known are skipped, as the format asks for.
        ReadOnlySpan<byte> sizes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
        return (header[7], sizes[header[7]]);
    }

    /// <summary>The size of a block's header by its first byte, which is not 0: that is the index, which ends the blocks.</summary>
    public static int BlockHeaderBytes(byte first) => (first + 1) * 4;

    /// <summary>The dictionary size of a code; that of code 40 is one byte less.</summary>
    public static long DictionaryBytes(byte code) => (2L | (code & 1L)) << ((code / 2) + 11);

    /// <summary>Reads a block's header.</summary>
    /// <param name="block">The whole header with its checksum.</param>
    /// <exception cref="InvalidDataException">It is damaged, or has filters other than LZMA2 and x86 BCJ.</exception>
    public static XzBlockHeader ReadBlockHeader(ReadOnlySpan<byte> block)
    {
        ReadOnlySpan<byte> header = block[..^4];
        if (BinaryPrimitives.ReadUInt32LittleEndian(block[^4..]) != Crc32.Compute(header.ToArray()))
        {
            throw new InvalidDataException("a block header's checksum is wrong.");
        }

        byte flags = header[1];
        int at = 2;
        for (int sizes = (flags >> 6 & 1) + (flags >> 7); sizes > 0; sizes--)
        {
            ReadNumber(header, ref at);
        }

        XzBlockHeader result = default;
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
                _ => throw new InvalidDataException($"the xz filter 0x{id:x} is not one that is used here (x86 BCJ, LZMA2)."),
            };
        }

        return result;
    }

    // Seven bits a byte, least significant first, at most nine bytes.
    private static ulong ReadNumber(ReadOnlySpan<byte> span, ref int position)
    {
        ulong value = 0;
        for (int shift = 0; shift < 63 && position < span.Length; shift += 7)
        {
            byte next = span[position++];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new InvalidDataException("a number in a block header is too long.");
    }
}

/// <summary>The fields of a block's header.</summary>
/// <param name="X86Start">Where the x86 branch filter starts to count; null without the filter.</param>
/// <param name="DictionaryCode">The size of LZMA2's dictionary, see <see cref="XzFormat.DictionaryBytes"/>.</param>
internal readonly record struct XzBlockHeader(uint? X86Start, byte DictionaryCode);
