using System.Buffers.Binary;
using SharpCompress.Compressors.Xz;
using Uml.Core.Boot;
using Uml.Core.Boot.Payload;

namespace Uml.Core.Tests.Boot;

public sealed class KernelPayloadTests
{
    private const int Limit = 16 * 1024 * 1024;

    public static IEnumerable<TestCaseData> Formats()
    {
        byte[] plain = CompressedVectors.Plain();
        yield return new TestCaseData("Gzip", TestPayloads.Gzip(plain)).SetArgDisplayNames("Gzip");
        yield return new TestCaseData("Bzip2", TestPayloads.Bzip2(plain)).SetArgDisplayNames("Bzip2");
        yield return new TestCaseData("Lz4", TestPayloads.Lz4(plain)).SetArgDisplayNames("Lz4");
        yield return new TestCaseData("Zstd", TestPayloads.Zstd(plain)).SetArgDisplayNames("Zstd");
        yield return new TestCaseData("Lzma", Convert.FromBase64String(CompressedVectors.Lzma)).SetArgDisplayNames("Lzma");
        yield return new TestCaseData("Lzo", Convert.FromBase64String(CompressedVectors.Lzo)).SetArgDisplayNames("Lzo");
        yield return new TestCaseData("Xz", Convert.FromBase64String(CompressedVectors.XzWithBranchFilter)).SetArgDisplayNames("Xz_with_branch_filter");
        yield return new TestCaseData("Xz", Convert.FromBase64String(CompressedVectors.XzOfTwoBlocks)).SetArgDisplayNames("Xz_of_two_blocks");
        yield return new TestCaseData("Xz", Convert.FromBase64String(CompressedVectors.XzWithSha256)).SetArgDisplayNames("Xz_with_sha256");
    }

    [TestCaseSource(nameof(Formats))]
    public void Every_format_is_recognized_and_unpacked(string format, byte[] packed)
    {
        CompressionFormat detected = KernelPayload.Detect(packed);

        Assert.That(detected.ToString(), Is.EqualTo(format));
        Assert.That(Unpack(packed), Is.EqualTo(CompressedVectors.Plain()));
    }

    [TestCaseSource(nameof(Formats))]
    public void The_size_that_the_kernel_build_appends_is_checked(string format, byte[] packed)
    {
        byte[] good = TestPayloads.WithSize(format, packed, 3000);
        byte[] wrong = TestPayloads.WithSize(format, packed, 2999);

        Assert.That(KernelPayload.UnpackBzImagePayload(good, Limit, "k", default).ToArray(), Is.EqualTo(CompressedVectors.Plain()));
        Assert.That(() => KernelPayload.UnpackBzImagePayload(wrong, Limit, "k", default), Throws.InstanceOf<KernelImageException>());
    }

    [TestCaseSource(nameof(Formats))]
    public void Output_beyond_the_limit_is_refused(string format, byte[] packed)
    {
        Assert.That(
            () => KernelPayload.Unpack(KernelPayload.Detect(packed), packed, 2999, 0, "k", default),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains("2999"),
            format);
        Assert.That(KernelPayload.Unpack(KernelPayload.Detect(packed), packed, 3000, 0, "k", default).Length, Is.EqualTo(3000));
    }

    [TestCaseSource(nameof(Formats))]
    [CancelAfter(120_000)]
    public void Every_truncation_gives_the_typed_error(string format, byte[] packed)
    {
        for (int length = 16; length < packed.Length; length += 1 + (length / 24))
        {
            byte[] cut = TestPayloads.WithSize(format, packed.AsSpan(0, length).ToArray(), 3000);
            if (KernelPayload.Detect(cut) == CompressionFormat.None)
            {
                continue;
            }

            try
            {
                // Cutting what only closes the data (an index, a checksum) may pass, then the contents must be right.
                Assert.That(KernelPayload.UnpackBzImagePayload(cut, Limit, "k", default).ToArray(), Is.EqualTo(CompressedVectors.Plain()));
            }
            catch (KernelImageException)
            {
                continue;
            }
        }
    }

    [TestCaseSource(nameof(Formats))]
    [CancelAfter(120_000)]
    public void Damaged_data_gives_the_typed_error_or_data_within_the_limit(string format, byte[] packed)
    {
        Random random = new(20240607);
        CompressionFormat kind = KernelPayload.Detect(packed);
        for (int round = 0; round < 120; round++)
        {
            byte[] bad = (byte[])packed.Clone();
            for (int i = random.Next(1, 5); i > 0; i--)
            {
                bad[random.Next(bad.Length)] = (byte)random.Next(256);
            }

            try
            {
                Assert.That(KernelPayload.Unpack(kind, bad, Limit, 3000, "k", default).Length, Is.LessThanOrEqualTo(Limit), format);
            }
            catch (KernelImageException)
            {
                continue;
            }
        }
    }

    [Test]
    public void Random_bytes_behind_every_magic_number_give_the_typed_error()
    {
        Random random = new(7);
        foreach (CompressionFormat format in Enum.GetValues<CompressionFormat>().Where(format => format != CompressionFormat.None))
        {
            for (int round = 0; round < 50; round++)
            {
                byte[] bytes = new byte[random.Next(400)];
                random.NextBytes(bytes);
                byte[] magic = Formats().Select(data => (byte[])data.Arguments[1]!).First(data => KernelPayload.Detect(data) == format);
                magic.AsSpan(0, Math.Min(random.Next(4, 16), bytes.Length)).CopyTo(bytes);
                try
                {
                    KernelPayload.Unpack(format, bytes, Limit, 0, "k", default);
                }
                catch (KernelImageException)
                {
                    continue;
                }
            }
        }
    }

    [Test]
    public void A_bomb_stops_at_the_limit_without_the_memory()
    {
        byte[] zeros = new byte[64 * 1024 * 1024];
        foreach (byte[] bomb in (byte[][])[TestPayloads.Gzip(zeros), TestPayloads.Zstd(zeros), TestPayloads.Lz4(zeros)])
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.That(() => KernelPayload.Unpack(KernelPayload.Detect(bomb), bomb, 1_000_000, 0, "k", default), Throws.InstanceOf<KernelImageException>());
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(24_000_000));
        }
    }

    [Test]
    public void A_dictionary_of_four_gigabytes_is_not_believed()
    {
        byte[] xz = Convert.FromBase64String(CompressedVectors.XzWithSha256);
        xz[16] = 40; // the LZMA2 filter's only property, in the block header from 12 to 24
        BinaryPrimitives.WriteUInt32LittleEndian(xz.AsSpan(20), Crc32.Compute(xz.AsSpan(12, 8).ToArray()));
        byte[] lzma = Convert.FromBase64String(CompressedVectors.Lzma);
        BinaryPrimitives.WriteUInt32LittleEndian(lzma.AsSpan(1), 0x8000_0000);
        foreach (byte[] packed in (byte[][])[xz, lzma])
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.That(KernelPayload.Unpack(KernelPayload.Detect(packed), packed, Limit, 3000, "k", default).ToArray(), Is.EqualTo(CompressedVectors.Plain()));
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(8_000_000));
        }
    }

    [TestCase("11000000000000")] // a stream that ends with one byte left over
    [TestCase("0000000000000000000000000000000000000000")]
    [TestCase("ff41")]
    [TestCase("1241ff0000")]
    public void A_bad_lzo_stream_is_refused(string hex) =>
        Assert.That(() => Lzo1xDecoder.Decode(Convert.FromHexString(hex), new byte[64]), Throws.InstanceOf<InvalidDataException>());

    [Test]
    public void An_lzo_stream_made_by_hand_decodes()
    {
        // 4 literals; a match of 8 at distance 4; one literal behind it; the end.
        byte[] stream = [21, (byte)'a', (byte)'b', (byte)'c', (byte)'d', 0xe0 | (3 << 2) | 1, 0, (byte)'!', 17, 0, 0];
        byte[] output = new byte[13];

        Lzo1xDecoder.Decode(stream, output);

        Assert.That(output, Is.EqualTo("abcdabcdabcd!"u8.ToArray()));
    }

    private static byte[] Unpack(byte[] packed) => KernelPayload.Unpack(KernelPayload.Detect(packed), packed, Limit, 0, "k", default).ToArray();
}
