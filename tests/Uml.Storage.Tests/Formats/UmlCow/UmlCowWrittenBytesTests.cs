using Uml.Storage.Files;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tests.Files;

namespace Uml.Storage.Tests.Formats.UmlCow;

/// <summary>What goes to the host for each byte that a guest writes: the data once, and little of the bitmap.</summary>
public sealed class UmlCowWrittenBytesTests
{
    private const int BlockSize = 4096, Writes = 4096;

    [TestCase(128, 64)]
    [TestCase(128, 1)]
    public async Task A_byte_of_a_random_block_is_little_more_than_a_byte_of_the_file(int mebibytes, int writesPerFlush)
    {
        using TemporaryFolder folder = new();
        RawBlockDevice.Create(folder["backing"], (long)mebibytes << 20);
        UmlCowBlockDevice.Create(folder["cow"], folder["backing"]);
        CountingFile file = new(HostFile.Open(folder["cow"], new HostFileMode()));
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(file, new UmlCowOptions(), writesBacking: false);
        Random random = new(1);
        double fresh = await MeasureAsync("fresh"), later = await MeasureAsync("later");
        await FillAsync(device);
        double full = await MeasureAsync("all there");

        Assert.That(fresh, Is.InRange(1, 1.125), "a unit of the bitmap, 512 bytes, for each block of 4096");
        Assert.That(later, Is.InRange(1, fresh));
        Assert.That(full, Is.EqualTo(1));

        async Task<double> MeasureAsync(string name)
        {
            (long written, long pages) = (file.WrittenBytes, file.PageBytes);
            byte[] block = new byte[BlockSize];
            for (int i = 1; i <= Writes; i++)
            {
                random.NextBytes(block);
                await device.WriteAsync(random.NextInt64(device.Length / BlockSize) * BlockSize, block);
                if (i % writesPerFlush == 0)
                {
                    await device.FlushAsync();
                }
            }

            double perByte = (file.WrittenBytes - written) / (double)((long)Writes * BlockSize);
            double perByteInPages = (file.PageBytes - pages) / (double)((long)Writes * BlockSize);
            TestContext.Out.WriteLine($"{mebibytes} MiB, {writesPerFlush} writes a flush, {name}: {perByte:F3} bytes a byte, {perByteInPages:F3} in pages");
            return perByte;
        }
    }

    private static async Task FillAsync(UmlCowBlockDevice device)
    {
        byte[] data = new byte[1 << 20];
        for (long offset = 0; offset < device.Length; offset += data.Length)
        {
            await device.WriteAsync(offset, data);
        }

        await device.FlushAsync();
    }
}
