using Uml.Storage.Blocks;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tools;

namespace Uml.Storage.Tests.Tools;

/// <summary>Images of all formats in a folder, empty or with random writes.</summary>
internal static class TestImages
{
    /// <summary>Makes and opens an image of a mebibyte of zeroes; one over another where the format has nothing else.</summary>
    public static IBlockDevice OpenNew(TemporaryFolder folder, DiskImageFormat format)
    {
        string path = folder["image"];
        if (format == DiskImageFormat.UmlCow)
        {
            DiskImage.Create(folder["below"], DiskImageFormat.Raw, 1 << 20);
            DiskImage.CreateOverlay(path, format, folder["below"]);
        }
        else
        {
            DiskImage.Create(path, format, 1 << 20);
        }

        return DiskImage.Open(path, format);
    }

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
