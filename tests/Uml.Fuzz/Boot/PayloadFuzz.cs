using Uml.Core.Boot;
using Uml.Core.Boot.Payload;
using Uml.Core.Tests.Boot;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Boot;

/// <summary>Attacks the decompressors.</summary>
internal static class PayloadFuzz
{
    private const int MaximumBytes = 1 << 20;

    public static void Run(FuzzRun run)
    {
        byte[] plain = CompressedVectors.Plain();
        byte[][] samples =
        [
            TestPayloads.Gzip(plain), TestPayloads.Bzip2(plain), TestPayloads.Lz4(plain), TestPayloads.Zstd(plain),
            Convert.FromBase64String(CompressedVectors.Lzma), Convert.FromBase64String(CompressedVectors.Lzo),
            Convert.FromBase64String(CompressedVectors.XzWithBranchFilter), Convert.FromBase64String(CompressedVectors.XzOfTwoBlocks),
            Convert.FromBase64String(CompressedVectors.XzWithSha256),
        ];
        run.ForEachCase(test =>
        {
            byte[] original = test.Random.Pick(samples);
            CompressionFormat format = KernelPayload.Detect(original);
            byte[] data = Mutator.Mutate(test.Random, original, headerBytes: 32);
            test.Description = $"{format}, {data.Length} bytes";
            try
            {
                ReadOnlyMemory<byte> unpacked = KernelPayload.Unpack(format, data, MaximumBytes, test.Random.Below(8192), "fuzz");
                test.Count(unpacked.Span.SequenceEqual(plain) ? "unpacked as it was" : "unpacked otherwise");
                GrowingBuffer.Release(unpacked);
            }
            catch (KernelImageException)
            {
                test.Count("refused");
            }
        });
    }
}
