using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>A disk on which every record has a place of its own.</summary>
internal sealed class GuestRecordDisk : GuestDisk
{
    private readonly RecordBook _book;

    public GuestRecordDisk(DiskFormat format, RecordPlan plan, string path)
        : base(format, path)
    {
        _book = new RecordBook(plan);
        File.WriteAllBytes(path + ".backing", new byte[RecordPlan.DiskLength]);
        format.Make(path, path + ".backing");
    }

    public override string Summary => $"{_book.Confirmed} records ({Format.Name})";

    protected override bool HasFileSystem => false;

    protected override Task CheckAsync(IBlockDevice device, long first, long last)
    {
        _book.Next = first;
        return _book.CheckAsync(device, last);
    }
}
