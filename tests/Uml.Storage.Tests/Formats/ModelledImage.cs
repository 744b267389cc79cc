using Uml.Storage.Blocks;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tests.Formats.Qcow2;
using Uml.Storage.Tests.Formats.UmlCow;
using Uml.Storage.Tools;

namespace Uml.Storage.Tests.Formats;

/// <summary>An image of a format: how it is made and opened, and what can be said of it when it is closed.</summary>
/// <param name="Sectors">What the disk has at first.</param>
internal abstract record ModelledImage(int Sectors)
{
    /// <summary>Makes the image.</summary>
    /// <returns>What the disk has.</returns>
    public abstract Task<byte[]> MakeAsync(TemporaryFolder folder);

    public abstract IBlockDevice Open(TemporaryFolder folder);

    /// <summary>Looks at a closed image. What is below it is as it was.</summary>
    /// <exception cref="InvalidOperationException">Something is wrong.</exception>
    public virtual void Check(TemporaryFolder folder, ModelContents contents)
    {
        string below = folder["below"];
        if (File.Exists(below) && !File.ReadAllBytes(below).AsSpan().SequenceEqual(File.ReadAllBytes(folder["below.kept"])))
        {
            throw new InvalidOperationException("The image below was written to.");
        }
    }

    protected static string PathOf(TemporaryFolder folder) => folder["image"];

    /// <summary>Makes the image below: data in some places.</summary>
    protected static async Task<byte[]> MakeBelowAsync(TemporaryFolder folder, int sectors, DiskImageFormat format)
    {
        byte[] contents = new byte[sectors * ModelContents.Sector];
        new Random(sectors).NextBytes(contents.AsSpan(contents.Length / 4, contents.Length / 3));
        await File.WriteAllBytesAsync(folder["below.raw"], contents);
        await DiskImage.ConvertAsync(folder["below.raw"], DiskImageFormat.Raw, folder["below"], format);
        File.Copy(folder["below"], folder["below.kept"]);
        return contents;
    }
}

internal sealed record RawModel(int Sectors, RawImageOptions Options) : ModelledImage(Sectors)
{
    public override Task<byte[]> MakeAsync(TemporaryFolder folder)
    {
        byte[] contents = new byte[Sectors * ModelContents.Sector];
        RawBlockDevice.Create(PathOf(folder), contents.Length);
        return Task.FromResult(contents);
    }

    public override IBlockDevice Open(TemporaryFolder folder) => RawBlockDevice.Open(PathOf(folder), Options);

    public override void Check(TemporaryFolder folder, ModelContents contents) => contents.Check(File.ReadAllBytes(PathOf(folder)), "in the file");
}

/// <param name="Sectors">As of every image.</param>
/// <param name="Version">1 to 3.</param>
/// <param name="SectorSize">Bytes that a bit of the bitmap stands for.</param>
/// <param name="Options">How it is opened.</param>
internal sealed record UmlCowModel(int Sectors, int Version, int SectorSize, UmlCowOptions Options) : ModelledImage(Sectors)
{
    public override async Task<byte[]> MakeAsync(TemporaryFolder folder)
    {
        byte[] below = await MakeBelowAsync(folder, Sectors, DiskImageFormat.Raw);
        await File.WriteAllBytesAsync(PathOf(folder), UmlCowFile.Make(folder["below"], Version, SectorSize));
        return below;
    }

    public override IBlockDevice Open(TemporaryFolder folder) => UmlCowBlockDevice.Open(PathOf(folder), Options);

    /// <summary>It keeps its version.</summary>
    public override void Check(TemporaryFolder folder, ModelContents contents)
    {
        base.Check(folder, contents);
        int version = File.ReadAllBytes(PathOf(folder))[7];
        if (version != Version)
        {
            throw new InvalidOperationException($"The file has version {version} now.");
        }
    }
}

/// <param name="Sectors">As of every image.</param>
/// <param name="SectorsBelow">What the image below has, which may be more or less; 0 for none.</param>
/// <param name="Creation">How it is made.</param>
/// <param name="Options">How it is opened.</param>
/// <param name="IsSeenByQemu">Whether QEMU's tools look at it as well, which takes longer than all the rest.</param>
internal sealed record Qcow2Model(int Sectors, int SectorsBelow, Qcow2CreateOptions Creation, Qcow2Options Options, bool IsSeenByQemu) : ModelledImage(Sectors)
{
    public override async Task<byte[]> MakeAsync(TemporaryFolder folder)
    {
        byte[] contents = new byte[Sectors * ModelContents.Sector];
        if (SectorsBelow != 0)
        {
            DiskImageFormat format = Creation.BackingFormat == Qcow2BackingFormat.Raw ? DiskImageFormat.Raw : DiskImageFormat.Qcow2;
            byte[] below = await MakeBelowAsync(folder, SectorsBelow, format);
            below.AsSpan(0, Math.Min(below.Length, contents.Length)).CopyTo(contents);
        }

        Qcow2BlockDevice.Create(PathOf(folder), contents.Length, Creation with { BackingPath = SectorsBelow == 0 ? null : "below" });
        return contents;
    }

    public override IBlockDevice Open(TemporaryFolder folder) => Qcow2BlockDevice.Open(PathOf(folder), Options);

    /// <summary>There may be nothing wrong with it, not even a leak.</summary>
    public override void Check(TemporaryFolder folder, ModelContents contents)
    {
        base.Check(folder, contents);
        string path = PathOf(folder);
        if (Qcow2Check.Run(path).Messages is [var first, ..])
        {
            throw new InvalidOperationException(first);
        }

        if (IsSeenByQemu && PeerTool.IsInstalled("qemu-img"))
        {
            QemuImage.AssertClean(path);
            QemuImage.AssertContents(path, contents.ToArray(), folder["copy"]);
        }
    }
}
