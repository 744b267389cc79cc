using System.Buffers.Binary;
using System.Text;
using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Reads the table of internal snapshots ("Snapshots").</summary>
internal static class Qcow2Snapshots
{
    private const int FixedLength = 40, KnownExtra = 16, MaximumExtra = 1024;

    /// <summary>Of the whole table: a limit of QEMU.</summary>
    private const long MaximumLength = 64 << 20;

    /// <param name="length">Gets the bytes of the table.</param>
    /// <exception cref="DiskImageException">It is damaged.</exception>
    /// <exception cref="BlockIOException">It could not be read.</exception>
    public static IReadOnlyList<Qcow2SnapshotInfo> Read(Qcow2File file, Qcow2Header header, out long length)
    {
        List<Qcow2SnapshotInfo> snapshots = [];
        length = 0;
        for (int i = 0; i < header.SnapshotCount; i++)
        {
            snapshots.Add(ReadOne(file, header, i, ref length));
        }

        return snapshots;
    }

    private static Qcow2SnapshotInfo ReadOne(Qcow2File file, Qcow2Header header, int i, ref long at)
    {
        byte[] start = new byte[FixedLength];
        file.Read(header.SnapshotsOffset + at, start);
        int idLength = BinaryPrimitives.ReadUInt16BigEndian(start.AsSpan(12));
        int nameLength = BinaryPrimitives.ReadUInt16BigEndian(start.AsSpan(14));
        uint extraLength = BinaryPrimitives.ReadUInt32BigEndian(start.AsSpan(36));
        if (extraLength > MaximumExtra)
        {
            throw Qcow2Errors.Unusable(file.Path, $"snapshot {i} has {extraLength} bytes of extra data, and {MaximumExtra} are the most");
        }

        byte[] rest = new byte[extraLength + idLength + nameLength];
        file.Read(header.SnapshotsOffset + at + FixedLength, rest);

        // What pads the last entry need not be in the file.
        at += FixedLength + rest.Length;
        if (at > MaximumLength || header.SnapshotsOffset > file.End - at)
        {
            throw Qcow2Errors.Unusable(file.Path, $"its snapshot table at {header.SnapshotsOffset} does not end within {MaximumLength} bytes and the file");
        }

        at = (at + 7) / 8 * 8;
        ReadOnlySpan<byte> extra = rest.AsSpan(0, (int)extraLength);
        DateTimeOffset time = DateTimeOffset.FromUnixTimeSeconds(BinaryPrimitives.ReadUInt32BigEndian(start.AsSpan(16)));
        Qcow2SnapshotInfo snapshot = new(
            Encoding.UTF8.GetString(rest.AsSpan((int)extraLength, idLength)),
            Encoding.UTF8.GetString(rest.AsSpan((int)extraLength + idLength)),
            time,
            extra.Length >= KnownExtra ? BinaryPrimitives.ReadInt64BigEndian(extra[8..]) : header.Length,
            extra.Length >= 8 ? BinaryPrimitives.ReadInt64BigEndian(extra) : BinaryPrimitives.ReadUInt32BigEndian(start.AsSpan(32)))
        {
            L1Offset = BinaryPrimitives.ReadInt64BigEndian(start),
            L1Count = (int)Math.Min(BinaryPrimitives.ReadUInt32BigEndian(start.AsSpan(8)), int.MaxValue),
        };
        Check(file, header.Geometry, snapshot, i);
        return snapshot;
    }

    private static void Check(Qcow2File file, Qcow2Geometry geometry, Qcow2SnapshotInfo snapshot, int i)
    {
        if (snapshot.L1Count > Qcow2Geometry.MaximumL1Entries || snapshot.L1Offset < 0 || geometry.Within(snapshot.L1Offset) != 0
            || snapshot.L1Offset > file.End - (snapshot.L1Count * 8L) || snapshot.Length is < 0 or > 1L << 62
            || snapshot.L1Count < geometry.CountL1Entries(snapshot.Length))
        {
            throw Qcow2Errors.Unusable(file.Path, $"snapshot {i} has a disk of {snapshot.Length} bytes and an L1 table of {snapshot.L1Count} entries at "
                + $"{snapshot.L1Offset}, which do not fit each other or the file of {file.End} bytes");
        }
    }
}
