using Uml.Storage.Blocks;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Storage.Tests.Tools;

/// <summary>A raw image, and a copy-on-write file over it with random writes, in a folder.</summary>
internal static class TestImages
{
    /// <summary>An image with data and holes.</summary>
    public static byte[] MakeRaw(string path, int length, int seed)
    {
        byte[] image = new byte[length];
        Random random = new(seed);
        using FileStream file = File.Create(path);
        file.SetLength(length);
        for (int start = random.Next(200_000); start < length; start += 4096 * (1 + random.Next(100)))
        {
            Span<byte> data = image.AsSpan(start, Math.Min(1 + random.Next(60_000), length - start));
            random.NextBytes(data);
            file.Position = start;
            file.Write(data);
        }

        return image;
    }

    /// <summary>Writes at random to a copy-on-write file.</summary>
    /// <returns>What the disk has then.</returns>
    public static async Task<byte[]> WriteAsync(string cow, byte[] image, int seed)
    {
        int whole = (image.Length + 511) / 512 * 512;
        byte[] contents = new byte[whole];
        image.CopyTo(contents, 0);
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(cow);
        BlockModel model = new(device, contents, seed);
        await model.RunAsync(60);

        // The last sector too, whose end is not part of the disk.
        byte[] last = new byte[512];
        last.AsSpan(0, image.Length - (whole - 512)).Fill(0x5A);
        await device.WriteAsync(whole - 512, last);
        last.CopyTo(contents, whole - 512);
        return contents[..image.Length];
    }

    public static async Task<byte[]> ReadAsync(IBlockDevice device)
    {
        byte[] all = new byte[device.Length];
        await device.ReadAsync(0, all);
        return all;
    }
}
