using System.Buffers.Binary;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Finds the clusters that persistent bitmaps take ("Bitmaps"). Their contents are not used.</summary>
internal sealed class Qcow2Bitmaps(Qcow2Image image, Action<string, long, long> addRange)
{
    private const int FixedLength = 24;

    /// <summary>Limits of QEMU.</summary>
    private const int MaximumCount = 65535, MaximumDirectory = 64 << 20, MaximumTable = (32 << 20) / 8;

    public void Count(Qcow2Usage usage)
    {
        (long offset, long length, int count) = image.Header.Bitmaps;
        if (count is < 1 or > MaximumCount || length is < FixedLength or > MaximumDirectory || offset < 0 || offset > image.Content.End - length)
        {
            usage.AddCorruption($"The directory of {count} bitmaps, {length} bytes at {offset}, does not lie in the file of {image.Content.End} bytes");
            return;
        }

        addRange("The directory of bitmaps", offset, length);
        byte[] directory = new byte[length];
        image.Content.Read(offset, directory);
        int at = 0;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> entry = directory.AsSpan(at);
            long entryLength = entry.Length < FixedLength ? long.MaxValue
                : FixedLength + (long)BinaryPrimitives.ReadUInt32BigEndian(entry[20..]) + BinaryPrimitives.ReadUInt16BigEndian(entry[18..]);
            if (entryLength > entry.Length)
            {
                usage.AddCorruption($"Entry {i} of the directory of bitmaps does not end within its {length} bytes");
                return;
            }

            CountOne(usage, i, BinaryPrimitives.ReadInt64BigEndian(entry), BinaryPrimitives.ReadUInt32BigEndian(entry[8..]));
            at = (int)Math.Min(at + ((entryLength + 7) / 8 * 8), directory.Length);
        }
    }

    private void CountOne(Qcow2Usage usage, int i, long offset, uint entries)
    {
        if (entries > MaximumTable || offset < 0 || offset > image.Content.End - (entries * 8L))
        {
            usage.AddCorruption($"The table of bitmap {i}, {entries} entries at {offset}, does not lie in the file of {image.Content.End} bytes");
            return;
        }

        addRange($"The table of bitmap {i}", offset, entries * 8L);
        Qcow2RootTable table = Qcow2RootTable.Read(image.Content, offset, (int)entries);
        for (int j = 0; j < table.Count; j++)
        {
            if (Qcow2Entry.OffsetOf(table[j]) is not 0 and long cluster)
            {
                addRange($"Cluster {j} of bitmap {i}", cluster, 1);
            }
        }
    }
}
