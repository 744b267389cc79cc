using System.Buffers.Binary;
using SharpCompress.Compressors.Xz;
using Uml.Core.Boot;
using Uml.Core.Boot.Payload;
using Uml.Core.Tests.Boot;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Boot;

/// <summary>Attacks the decompressors.</summary>
internal static class PayloadFuzz
{
    private const int MaximumBytes = 1 << 20;
    private const int XzBlockStart = 12;

    public static void Run(FuzzRun run)
    {
        byte[] plain = CompressedVectors.Plain();
        byte[][] samples = [.. Samples(plain)];
        run.ForEachCase(test =>
        {
            FuzzRandom random = test.Random;
            byte[] original = random.Pick(samples);
            CompressionFormat format = KernelPayload.Detect(original);
            byte[] data = Damage(random, original, format);
            test.Description = $"{format}, {data.Length} bytes";
            try
            {
                ReadOnlyMemory<byte> unpacked = random.OneIn(2)
                    ? KernelPayload.Unpack(format, data, MaximumBytes, random.OneIn(8) ? (long)random.Nasty() : random.Below(8192), "fuzz", default)
                    : KernelPayload.UnpackBzImagePayload(
                        TestPayloads.WithSize(format.ToString(), Pad(data), random.OneIn(4) ? (int)random.Nasty() : plain.Length), MaximumBytes, "fuzz", default);
                if (unpacked.Length > MaximumBytes)
                {
                    throw new InvalidOperationException($"{unpacked.Length} bytes came out.");
                }

                test.Count($"{format} unpacked {(unpacked.Span.SequenceEqual(plain) ? "as it was" : "otherwise")}");
                GrowingBuffer.Release(unpacked);
            }
            catch (KernelImageException)
            {
                test.Count($"{format} refused");
            }
        });
    }

    private static IEnumerable<byte[]> Samples(byte[] plain)
    {
        yield return TestPayloads.Gzip(plain);
        yield return TestPayloads.Bzip2(plain);
        yield return TestPayloads.Lz4(plain);
        yield return TestPayloads.Zstd(plain);
        foreach (string vector in (string[])
            [CompressedVectors.Lzma, CompressedVectors.Lzo, CompressedVectors.XzWithBranchFilter, CompressedVectors.XzOfTwoBlocks, CompressedVectors.XzWithSha256])
        {
            yield return Convert.FromBase64String(vector);
        }

        // Bombs: much comes out of little.
        byte[] zeros = new byte[4 * MaximumBytes];
        yield return TestPayloads.Gzip(zeros);
        yield return TestPayloads.Bzip2(zeros);
        yield return TestPayloads.Lz4(zeros);
        yield return TestPayloads.Zstd(zeros);
    }

    private static byte[] Damage(FuzzRandom random, byte[] original, CompressionFormat format)
    {
        switch (random.Below(8))
        {
            case 0:
                byte[] noise = random.Bytes(random.Below(4096));
                original.AsSpan(0, Math.Min(noise.Length, 4 + random.Below(40))).CopyTo(noise);
                return noise;
            case 1:
                return [.. original, .. Mutator.Mutate(random, original, 32)];
            default:
                byte[] data = Mutator.Mutate(random, original, headerBytes: 40);
                return format == CompressionFormat.Xz && !random.OneIn(4) ? WithXzChecksums(data) : data;
        }
    }

    /// <summary>Makes the header checksums right, so that what they protect is read.</summary>
    private static byte[] WithXzChecksums(byte[] xz)
    {
        if (xz.Length <= XzBlockStart)
        {
            return xz;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(xz.AsSpan(8), Crc32.Compute(xz[6..8]));
        int headerBytes = (xz[XzBlockStart] + 1) * 4;
        int checksum = XzBlockStart + headerBytes - 4;
        if (headerBytes > 4 && checksum + 4 <= xz.Length)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(xz.AsSpan(checksum), Crc32.Compute(xz[XzBlockStart..checksum]));
        }

        return xz;
    }

    private static byte[] Pad(byte[] data) => data.Length >= sizeof(uint) ? data : [.. data, 0, 0, 0, 0];
}
