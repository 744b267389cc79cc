using System.Buffers.Binary;
using System.Text;

namespace Uml.Storage.Tests.Formats.UmlCow;

/// <summary>Copy-on-write files that are put together from the tables of the format.</summary>
internal static class UmlCowFile
{
    private const int PathAt = 8, PathAt3 = 32;

    /// <summary>An empty file over an image.</summary>
    /// <param name="imagePath">The image.</param>
    /// <param name="version">1 to 3.</param>
    /// <param name="sectorSize">What a bit of the bitmap stands for.</param>
    public static byte[] Make(string imagePath, int version, int sectorSize = 512)
    {
        FileInfo image = new(imagePath);
        uint time = (uint)new DateTimeOffset(image.LastWriteTimeUtc).ToUnixTimeSeconds();
        byte[] file = new byte[(64 << 10) + image.Length];
        BinaryPrimitives.WriteUInt32BigEndian(file, 0x4F4F4F4D);
        BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(4), version);
        (int path, int rest) = version switch { 1 => (PathAt, 264), 2 => (PathAt, 4104), _ => (PathAt3, 8) };
        Encoding.UTF8.GetBytes(image.FullName, file.AsSpan(path));
        if (version == 1)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(rest), time);
            BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(rest + 4), image.Length);
            BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(rest + 12), sectorSize);
            return file;
        }

        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(rest), time);
        BinaryPrimitives.WriteInt64BigEndian(file.AsSpan(rest + 4), image.Length);
        BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(rest + 12), sectorSize);
        if (version == 3)
        {
            BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(rest + 16), 4096);
        }

        return file;
    }
}
