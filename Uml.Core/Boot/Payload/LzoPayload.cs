using System.Buffers.Binary;

namespace Uml.Core.Boot.Payload;

/// <summary>The lzop file format as kernels are packed with it (Linux lib/decompress_unlzo.c; numbers are big-endian).</summary>
internal static class LzoPayload
{
    private const int MagicBytes = 9;
    private const uint LargestBlockBytes = 256 * 1024; // LZO_BLOCK_SIZE there
    private const ushort ExtendedHeaderVersion = 0x940;
    private const uint FlagAdler32Unpacked = 0x1;
    private const uint FlagAdler32Packed = 0x2;
    private const uint FlagCrc32Unpacked = 0x100;
    private const uint FlagCrc32Packed = 0x200;
    private const uint FlagFilter = 0x800;

    /// <summary>Unpacks all blocks up to the one of size 0 that ends the file.</summary>
    public static bool TryUnpack(
        ReadOnlySpan<byte> data, int maximumBytes, long expectedBytes, CancellationToken cancellationToken, out ReadOnlyMemory<byte> unpacked)
    {
        Reader reader = new(data);
        uint flags = ReadHeader(ref reader);
        using GrowingBuffer output = new(maximumBytes, expectedBytes);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            uint size = reader.UInt32();
            if (size == 0)
            {
                unpacked = output.HandOver();
                return true;
            }

            if (size > LargestBlockBytes)
            {
                throw new InvalidDataException($"a block says that it unpacks to {size} bytes; Linux takes at most {LargestBlockBytes}.");
            }

            if (output.Reserve((int)size) < (int)size)
            {
                unpacked = default;
                return false;
            }

            UnpackBlock(ref reader, flags, output.Room[..(int)size]);
            output.Advance((int)size);
        }
    }

    private static uint ReadHeader(ref Reader reader)
    {
        reader.Skip(MagicBytes);
        bool isExtended = reader.UInt16() >= ExtendedHeaderVersion;
        reader.Skip(isExtended ? 4 : 2); // library version, version needed
        reader.Skip(isExtended ? 2 : 1); // method, level
        uint flags = reader.UInt32();
        reader.Skip((flags & FlagFilter) != 0 ? 4 : 0);
        reader.Skip(isExtended ? 12 : 8); // mode, modification time
        reader.Skip(reader.Byte()); // name
        reader.Skip(4); // checksum of the header
        return flags;
    }

    private static void UnpackBlock(ref Reader reader, uint flags, Span<byte> output)
    {
        uint packed = reader.UInt32();
        uint? adler = (flags & FlagAdler32Unpacked) != 0 ? reader.UInt32() : null;
        reader.Skip((flags & FlagCrc32Unpacked) != 0 ? 4 : 0);
        if (packed < (uint)output.Length)
        {
            reader.Skip((flags & FlagAdler32Packed) != 0 ? 4 : 0);
            reader.Skip((flags & FlagCrc32Packed) != 0 ? 4 : 0);
            Lzo1xDecoder.Decode(reader.Bytes(packed), output);
        }
        else if (packed == (uint)output.Length)
        {
            reader.Bytes(packed).CopyTo(output);
        }
        else
        {
            throw new InvalidDataException($"a block of {packed} bytes says that it unpacks to {output.Length}.");
        }

        if (adler is uint stated && stated != Adler32(output))
        {
            throw new InvalidDataException("a block's checksum is wrong.");
        }
    }

    // RFC 1950, section 8.2. 3800 sums of bytes fit into 32 bits before a reduction is due.
    private static uint Adler32(ReadOnlySpan<byte> data)
    {
        const uint Prime = 65521;
        uint a = 1;
        uint b = 0;
        while (!data.IsEmpty)
        {
            ReadOnlySpan<byte> run = data[..Math.Min(3800, data.Length)];
            foreach (byte value in run)
            {
                a += value;
                b += a;
            }

            a %= Prime;
            b %= Prime;
            data = data[run.Length..];
        }

        return (b << 16) | a;
    }

    private ref struct Reader(ReadOnlySpan<byte> data)
    {
        private ReadOnlySpan<byte> _rest = data;

        public byte Byte() => Bytes(1)[0];

        public ushort UInt16() => BinaryPrimitives.ReadUInt16BigEndian(Bytes(2));

        public uint UInt32() => BinaryPrimitives.ReadUInt32BigEndian(Bytes(4));

        public void Skip(int count) => Bytes((uint)count);

        public ReadOnlySpan<byte> Bytes(uint count)
        {
            if (count > (uint)_rest.Length)
            {
                throw new InvalidDataException($"{_rest.Length} bytes are left where {count} are due.");
            }

            ReadOnlySpan<byte> bytes = _rest[..(int)count];
            _rest = _rest[(int)count..];
            return bytes;
        }
    }
}
