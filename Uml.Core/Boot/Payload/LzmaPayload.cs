using System.Buffers.Binary;
using SharpCompress.Compressors.LZMA;

namespace Uml.Core.Boot.Payload;

/// <summary>
/// The LZMA_Alone format (xz doc/lzma-file-format.txt): properties, dictionary size, unpacked size or -1, range coder data.
/// </summary>
internal static class LzmaPayload
{
    private const int PropertyBytes = 5;
    private const int HeaderBytes = 13;
    private const long UnknownSize = -1;
    private const long SmallestDictionary = 4096;

    // xz takes files of up to 256 GiB for LZMA_Alone; a larger number is no size.
    private const long LargestPlausibleSize = 1L << 38;

    /// <summary>Whether data that starts with the usual properties is LZMA: the format has no magic number.</summary>
    public static bool HasPlausibleHeader(ReadOnlySpan<byte> data)
    {
        // The range coder's first byte is always 0.
        if (data.Length <= HeaderBytes || data[HeaderBytes] != 0)
        {
            return false;
        }

        uint dictionary = BinaryPrimitives.ReadUInt32LittleEndian(data[1..]);
        long size = BinaryPrimitives.ReadInt64LittleEndian(data[PropertyBytes..]);
        return System.Numerics.BitOperations.PopCount(dictionary) is 1 or 2 && size is UnknownSize or (>= 0 and < LargestPlausibleSize);
    }

    /// <summary>Opens a decoder.</summary>
    /// <param name="input">The data from its first byte.</param>
    /// <param name="data">The same bytes.</param>
    /// <param name="largestOutput">The most bytes that are of interest; no larger dictionary is needed.</param>
    public static Stream Open(Stream input, ReadOnlySpan<byte> data, long largestOutput)
    {
        byte[] properties = data[..PropertyBytes].ToArray();
        uint dictionary = BinaryPrimitives.ReadUInt32LittleEndian(properties.AsSpan(1));
        long size = BinaryPrimitives.ReadInt64LittleEndian(data[PropertyBytes..]);
        long needed = Math.Max(size == UnknownSize ? largestOutput : Math.Min(size, largestOutput), SmallestDictionary);
        BinaryPrimitives.WriteUInt32LittleEndian(properties.AsSpan(1), (uint)Math.Min(dictionary, needed));
        input.Position = HeaderBytes;
        return LzmaStream.Create(properties, input, data.Length - HeaderBytes, size, leaveOpen: false);
    }
}
