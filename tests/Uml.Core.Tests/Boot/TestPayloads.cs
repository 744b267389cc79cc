using System.Buffers.Binary;
using System.IO.Compression;
using K4os.Compression.LZ4;
using SharpCompress.Compressors.BZip2;
using ZstdSharp;

namespace Uml.Core.Tests.Boot;

/// <summary>Packs data as kernels are packed, in the formats that libraries write.</summary>
internal static class TestPayloads
{
    public static byte[] Gzip(byte[] data)
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest))
        {
            gzip.Write(data);
        }

        return packed.ToArray();
    }

    public static byte[] Lz4(byte[] data)
    {
        using MemoryStream packed = new();
        packed.Write([0x02, 0x21, 0x4c, 0x18]);
        foreach (byte[] chunk in data.Chunk(8 * 1024 * 1024))
        {
            byte[] block = new byte[LZ4Codec.MaximumOutputSize(chunk.Length)];
            int length = LZ4Codec.Encode(chunk, block);
            packed.Write(BitConverter.GetBytes(length));
            packed.Write(block.AsSpan(0, length));
        }

        return packed.ToArray();
    }

    /// <summary>A stream many times: gzip and bzip2 take them one behind the other.</summary>
    public static byte[] Repeat(byte[] packed, int count)
    {
        byte[] all = new byte[packed.Length * count];
        for (int i = 0; i < all.Length; i += packed.Length)
        {
            packed.CopyTo(all, i);
        }

        return all;
    }

    public static byte[] WithSize(string format, byte[] packed, int size)
    {
        if (format == "Gzip")
        {
            byte[] copy = (byte[])packed.Clone();
            BinaryPrimitives.WriteInt32LittleEndian(copy.AsSpan(copy.Length - 4), size);
            return copy;
        }

        return [.. packed, .. BitConverter.GetBytes(size)];
    }

    public static byte[] Bzip2(byte[] data)
    {
        using MemoryStream packed = new();
        using (BZip2Stream bzip2 = BZip2Stream.Create(packed, SharpCompress.Compressors.CompressionMode.Compress, false))
        {
            bzip2.Write(data);
        }

        return packed.ToArray();
    }

    public static byte[] Zstd(byte[] data)
    {
        using Compressor compressor = new();
        return compressor.Wrap(data).ToArray();
    }
}
