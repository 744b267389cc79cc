using System.Buffers.Binary;
using K4os.Compression.LZ4;

namespace Uml.Core.Boot.Payload;

/// <summary>LZ4's legacy frame, which kernels use (lz4 doc/lz4_Frame_format.md, "Legacy frame"; Linux lib/decompress_unlz4.c).</summary>
internal static class Lz4Payload
{
    private const uint LegacyMagic = 0x184c2102;
    private const int LegacyBlockBytes = 8 * 1024 * 1024;

    /// <summary>Unpacks legacy frames: a magic number, then blocks of at most 8 MiB each with a 32-bit compressed size.</summary>
    public static bool TryUnpack(
        ReadOnlySpan<byte> data, int maximumBytes, long expectedBytes, CancellationToken cancellationToken, out ReadOnlyMemory<byte> unpacked)
    {
        using GrowingBuffer output = new(maximumBytes, expectedBytes + LegacyBlockBytes);
        while (!data.IsEmpty)
        {
            cancellationToken.ThrowIfCancellationRequested();
            uint size = ReadUInt32(data);
            data = data[sizeof(uint)..];
            if (size == LegacyMagic)
            {
                continue;
            }

            if (size == 0 || size > (uint)data.Length)
            {
                throw new InvalidDataException($"a block says {size} bytes where {data.Length} are left.");
            }

            int room = output.Reserve(LegacyBlockBytes);
            int written = LZ4Codec.Decode(data[..(int)size], output.Room[..room]);
            if (written < 0)
            {
                if (room < LegacyBlockBytes)
                {
                    unpacked = default;
                    return false;
                }

                throw new InvalidDataException("a block does not decode.");
            }

            output.Advance(written);
            data = data[(int)size..];
        }

        unpacked = output.HandOver();
        return true;
    }

    private static uint ReadUInt32(ReadOnlySpan<byte> data) =>
        data.Length >= sizeof(uint)
            ? BinaryPrimitives.ReadUInt32LittleEndian(data)
            : throw new InvalidDataException($"{data.Length} bytes are left where a block size should be.");
}
