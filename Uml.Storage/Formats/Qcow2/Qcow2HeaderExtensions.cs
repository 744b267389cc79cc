using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>What stands between the header and the path of the image below ("Header extensions").</summary>
internal static class Qcow2HeaderExtensions
{
    public const uint BackingFormat = 0xE279_2ACA, FeatureNames = 0x6803_F857, Bitmaps = 0x2385_2875;

    private const int FeatureNameLength = 48, BitmapsLength = 24;

    /// <summary>Names of features that a file need not bring.</summary>
    private static string? NameOf(int bit) => (1UL << bit) switch
    {
        Qcow2Header.DataFileFeature => "an external data file",
        Qcow2Header.ExtendedL2Feature => "extended L2 entries (subclusters)",
        _ => null,
    };

    /// <exception cref="Blocks.DiskImageException">An extension does not end within the first cluster, or is damaged.</exception>
    public static Qcow2Header Read(Qcow2Header header, ReadOnlySpan<byte> start, string path)
    {
        for (int at = header.HeaderLength; TryRead(start, ref at, path, out uint type, out ReadOnlySpan<byte> data);)
        {
            if (type == BackingFormat)
            {
                header = header with { BackingFormat = Encoding.UTF8.GetString(data) };
            }
            else if (type == Bitmaps && (header.Autoclear & Qcow2Header.BitmapsFeature) != 0)
            {
                header = header with { Bitmaps = ReadBitmaps(data, path) };
            }
        }

        return header;
    }

    /// <summary>Features in words: the file's own, ours, or numbers.</summary>
    public static string NameFeatures(ulong features, ReadOnlySpan<byte> start, int headerLength)
    {
        List<string> names = [];
        for (int bit = 0; bit < 64; bit++)
        {
            if ((features & (1UL << bit)) != 0)
            {
                names.Add(NameOf(bit) ?? FindName(bit, start, headerLength) ?? string.Create(CultureInfo.InvariantCulture, $"the unknown incompatible feature {bit}"));
            }
        }

        return string.Join(" and ", names);
    }

    private static string? FindName(int bit, ReadOnlySpan<byte> start, int headerLength)
    {
        for (int at = headerLength; TryRead(start, ref at, null, out uint type, out ReadOnlySpan<byte> data);)
        {
            for (int i = 0; type == FeatureNames && i + FeatureNameLength <= data.Length; i += FeatureNameLength)
            {
                if (data[i] == 0 && data[i + 1] == bit)
                {
                    string name = Encoding.ASCII.GetString(data.Slice(i + 2, FeatureNameLength - 2)).TrimEnd('\0');
                    return $"the feature '{string.Concat(name.Select(c => char.IsControl(c) ? '?' : c))}'";
                }
            }
        }

        return null;
    }

    /// <summary>Reads an extension, if there is one more.</summary>
    /// <param name="path">For the error of one that does not end; null to take it for the end.</param>
    private static bool TryRead(ReadOnlySpan<byte> start, ref int at, string? path, out uint type, out ReadOnlySpan<byte> data)
    {
        type = 0;
        data = default;
        if (start.Length - at < 8 || (type = BinaryPrimitives.ReadUInt32BigEndian(start[at..])) == 0)
        {
            return false;
        }

        uint length = BinaryPrimitives.ReadUInt32BigEndian(start[(at + 4)..]);
        if (length > (uint)(start.Length - at - 8))
        {
            return path is null ? false
                : throw Qcow2Errors.Unusable(path, $"its header extension {type:X8}H of {length} bytes at {at} does not end within the first cluster");
        }

        data = start.Slice(at + 8, (int)length);
        at = (int)Math.Min(at + 8L + ((length + 7L) / 8 * 8), start.Length);
        return true;
    }

    private static (long Offset, long Length, int Count) ReadBitmaps(ReadOnlySpan<byte> data, string path)
    {
        if (data.Length != BitmapsLength)
        {
            throw Qcow2Errors.Unusable(path, $"its extension of bitmaps has {data.Length} bytes, and {BitmapsLength} are needed");
        }

        return (BinaryPrimitives.ReadInt64BigEndian(data[16..]), BinaryPrimitives.ReadInt64BigEndian(data[8..]), BinaryPrimitives.ReadInt32BigEndian(data));
    }
}
