using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>An open file with the format's header, which was checked.</summary>
internal sealed record Qcow2Image(IImageFile File, Qcow2File Content, Qcow2Header Header, Qcow2HeaderSector Sector, IReadOnlyList<Qcow2SnapshotInfo> Snapshots)
{
    /// <summary>Bytes of the snapshot table.</summary>
    public long SnapshotsLength { get; private init; }

    public Qcow2Info Info => new()
    {
        Length = Header.Length,
        Version = Header.Geometry.Version,
        ClusterSize = Header.Geometry.ClusterSize,
        RefcountBits = 1 << Header.Geometry.RefcountOrder,
        Compression = Header.Compression,
        BackingPath = Header.BackingPath,
        BackingFormat = Header.BackingFormat,
        IsDirty = (Header.Incompatible & Qcow2Header.DirtyFeature) != 0,
        IsCorrupt = (Header.Incompatible & Qcow2Header.CorruptFeature) != 0,
        HasLazyRefcounts = (Header.Compatible & Qcow2Header.LazyRefcountsFeature) != 0,
        Snapshots = Snapshots,
    };

    /// <summary>Reads header and snapshots.</summary>
    /// <exception cref="DiskImageException">The file is damaged, or has what is not supported.</exception>
    public static Qcow2Image Open(IImageFile file)
    {
        try
        {
            Qcow2File content = new(file);
            byte[] start = new byte[Math.Min(content.End, 1 << Qcow2Geometry.MaximumClusterBits)];
            content.Read(0, start);
            Qcow2Header header = Qcow2Header.Parse(start, content.End, file.Path);
            IReadOnlyList<Qcow2SnapshotInfo> snapshots = Qcow2Snapshots.Read(content, header, out long length);
            return new Qcow2Image(file, content, header, new Qcow2HeaderSector(start), snapshots) { SnapshotsLength = length };
        }
        catch (BlockIOException e)
        {
            throw new DiskImageException($"'{file.Path}' cannot be opened: {e.Message}", e);
        }
    }

    /// <summary>Sees to it that the image can be written: counts that may be out of date are made anew, and what says that it was not changed is dropped.</summary>
    /// <exception cref="DiskImageException">It is marked as damaged, or cannot be repaired.</exception>
    public Qcow2Image PrepareToWrite()
    {
        if ((Header.Incompatible & Qcow2Header.CorruptFeature) != 0)
        {
            throw new DiskImageException($"'{File.Path}' is marked as damaged and must not be written. Repair it (Qcow2Check, qemu-img check -r all), or open it to be read only.");
        }

        if ((Header.Incompatible & Qcow2Header.DirtyFeature) != 0)
        {
            Qcow2Repair.Run(this, new Qcow2Checker(this).Run());
            return Open(File).PrepareToWrite();
        }

        if (Header.Autoclear != 0)
        {
            // Bitmaps of changes, and whatever else we do not keep up.
            Sector.SetFeatures(Header.Incompatible, autoclear: 0);
            File.Run(HostFileOperation.Write, 0, Sector.Bytes, 0);
            File.Run(HostFileOperation.Flush, 0, default, 0);
        }

        return this;
    }

    /// <summary>Finds a snapshot by its name or id.</summary>
    /// <exception cref="DiskImageException">There is none, or there are several of the name.</exception>
    public Qcow2SnapshotInfo FindSnapshot(string name)
    {
        List<Qcow2SnapshotInfo> found = [.. Snapshots.Where(snapshot => snapshot.Id == name)];
        found = found.Count != 0 ? found : [.. Snapshots.Where(snapshot => snapshot.Name == name)];
        return found.Count switch
        {
            1 => found[0],
            0 => throw new DiskImageException($"'{File.Path}' has no snapshot '{name}'. It has: "
                + (Snapshots.Count == 0 ? "none." : string.Join(", ", Snapshots.Select(snapshot => $"{snapshot.Id} ({snapshot.Name})")) + ".")),
            _ => throw new DiskImageException($"'{File.Path}' has {found.Count} snapshots '{name}'. Name one by its id: {string.Join(", ", found.Select(one => one.Id))}."),
        };
    }
}
