using System.Globalization;
using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// A disk with ext4, on which every record is a file: after a power cut the file system needs its journal and nothing else, and has every file whose
/// fsync had returned.
/// </summary>
internal sealed class GuestFileDisk : GuestDisk
{
    /// <summary>How far back files stay: the guest removes older ones, before the disk is full of them.</summary>
    public const long KeptFiles = 2000;

    private const string FileSystemSize = "48M";

    private readonly RecordPlan _plan;
    private readonly SortedSet<long> _files = [];
    private long _acknowledged;

    public GuestFileDisk(DiskFormat format, RecordPlan plan, string path)
        : base(format, path)
    {
        _plan = plan;
        PeerTool.Run("e2fsprogs", "mke2fs", "-q", "-t", "ext4", path + ".backing", FileSystemSize);
        format.Make(path, path + ".backing");
    }

    public override string Summary => $"{_acknowledged} files ({Format.Name})";

    protected override bool HasFileSystem => true;

    protected override async Task CheckAsync(IBlockDevice device, long first, long last)
    {
        _files.RemoveWhere(number => number < first - KeptFiles);
        for (long number = first; number <= last; number++)
        {
            _files.Add(number);
            _acknowledged++;
        }

        // A copy: the image's own file system stays as the power cut left it, for the guest to replay.
        string copy = Path + ".copy";
        byte[] contents = new byte[device.Length];
        await device.ReadAsync(0, contents);
        await File.WriteAllBytesAsync(copy, contents);
        FileSystemCheck.ReplayAndCheck(copy);
        CheckFiles(copy);
    }

    private void CheckFiles(string copy)
    {
        string tree = Path + ".tree";
        FileSystemCheck.Extract(copy, tree);
        byte[] record = new byte[RecordPlan.RecordLength];
        foreach (long number in _files)
        {
            _plan.Fill(number, record);
            string path = System.IO.Path.Combine(tree, number.ToString(CultureInfo.InvariantCulture));
            if (!File.Exists(path) || !File.ReadAllBytes(path).AsSpan().SequenceEqual(record))
            {
                throw new InvalidDataException($"File {number}, whose fsync had returned, is {(File.Exists(path) ? "damaged" : "gone")}.");
            }
        }
    }
}
