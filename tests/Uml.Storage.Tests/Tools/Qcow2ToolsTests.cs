using Uml.Storage.Blocks;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tools;

namespace Uml.Storage.Tests.Tools;

/// <summary>The tools with qcow2 images, and qemu-img as the judge.</summary>
public sealed class Qcow2ToolsTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task A_raw_image_goes_to_qcow2_and_back_and_is_the_same_to_qemu()
    {
        TestImages.MakeRaw(_folder["image"], 16 << 20, 1);
        await DiskImage.ConvertAsync(_folder["image"], DiskImageFormat.Raw, _folder["qcow2"], DiskImageFormat.Qcow2);
        await DiskImage.ConvertAsync(_folder["qcow2"], DiskImageFormat.Qcow2, _folder["back"], DiskImageFormat.Raw);

        Qemu("check", "-f", "qcow2", _folder["qcow2"]);
        Qemu("compare", "-f", "raw", "-F", "qcow2", _folder["image"], _folder["qcow2"]);
        Qemu("compare", "-f", "raw", "-F", "raw", _folder["image"], _folder["back"]);
        Assert.That(DiskImage.GetInfo(_folder["qcow2"], DiskImageFormat.Qcow2).FileLength, Is.LessThan(16 << 20));
    }

    [TestCase("compat=v2")]
    [TestCase("compression_type=zstd")]
    public async Task A_compressed_image_of_qemu_is_converted(string option)
    {
        TestImages.MakeRaw(_folder["image"], 4 << 20, 2);
        Qemu("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", option, _folder["image"], _folder["qcow2"]);
        await DiskImage.ConvertAsync(_folder["qcow2"], DiskImageFormat.Qcow2, _folder["back"], DiskImageFormat.Raw);
        Qemu("compare", "-f", "raw", "-F", "raw", _folder["image"], _folder["back"]);
    }

    [TestCase(DiskImageFormat.Raw)]
    [TestCase(DiskImageFormat.Qcow2)]
    public async Task An_overlay_is_merged_into_a_new_image_and_into_the_one_below(DiskImageFormat below)
    {
        byte[] contents = TestImages.MakeRaw(_folder["raw"], 8 << 20, 3);
        await DiskImage.ConvertAsync(_folder["raw"], DiskImageFormat.Raw, _folder["base"], below);
        DiskImage.CreateOverlay(_folder["top"], DiskImageFormat.Qcow2, _folder["base"], below);
        await using (IBlockDevice device = DiskImage.Open(_folder["top"], DiskImageFormat.Qcow2))
        {
            await new BlockModel(device, contents, 4).RunAsync(60);
        }

        await DiskImage.ConvertAsync(_folder["top"], DiskImageFormat.Qcow2, _folder["merged"], DiskImageFormat.Raw);
        Assert.That((await File.ReadAllBytesAsync(_folder["merged"])).AsSpan().SequenceEqual(contents));

        Assert.That(await DiskImage.CommitAsync(_folder["top"], DiskImageFormat.Qcow2), Is.EqualTo(_folder["base"]));
        Qemu("compare", "-f", "raw", "-F", DiskImageFormatName.Get(below), _folder["merged"], _folder["base"]);
        Qemu("compare", "-f", "raw", "-F", "qcow2", _folder["merged"], _folder["top"]);
        Qemu("check", "-f", "qcow2", _folder["top"]);
    }

    [Test]
    public void An_overlay_over_what_begins_like_qcow2_needs_its_format_stated()
    {
        DiskImage.Create(_folder["base"], DiskImageFormat.Qcow2, 1 << 20);
        Assert.That(
            () => DiskImage.CreateOverlay(_folder["top"], DiskImageFormat.Qcow2, _folder["base"]),
            Throws.TypeOf<DiskImageException>().With.Message.Contains("backing-format=qcow2").And.Message.Contains("raw"));
        Assert.That(File.Exists(_folder["top"]), Is.False);

        DiskImage.CreateOverlay(_folder["top"], DiskImageFormat.Qcow2, _folder["base"], DiskImageFormat.Raw);
        DiskImage.CreateOverlay(_folder["other"], DiskImageFormat.Qcow2, _folder["base"], DiskImageFormat.Qcow2);
        Assert.That(DiskImage.GetInfo(_folder["other"], DiskImageFormat.Qcow2).VirtualSize, Is.EqualTo(1 << 20));
        Assert.That(DiskImage.GetInfo(_folder["top"], DiskImageFormat.Qcow2).VirtualSize, Is.Not.EqualTo(1 << 20));
    }

    [Test]
    public async Task A_larger_overlay_makes_the_image_below_larger()
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], 1 << 20, 5);
        DiskImage.CreateOverlay(_folder["top"], DiskImageFormat.Qcow2, _folder["base"]);
        await DiskImage.ResizeAsync(_folder["top"], DiskImageFormat.Qcow2, 2 << 20);
        await DiskImage.CommitAsync(_folder["top"], DiskImageFormat.Qcow2);
        byte[] merged = await File.ReadAllBytesAsync(_folder["base"]);
        Assert.That(merged, Has.Length.EqualTo(2 << 20));
        Assert.That(merged.AsSpan(0, 1 << 20).SequenceEqual(image));
        Assert.That(merged.AsSpan(1 << 20).IndexOfAnyExcept((byte)0), Is.EqualTo(-1));
    }

    [Test]
    public async Task A_merge_into_an_image_in_use_is_refused()
    {
        TestImages.MakeRaw(_folder["base"], 1 << 20, 5);
        DiskImage.CreateOverlay(_folder["top"], DiskImageFormat.Qcow2, _folder["base"]);
        DiskImage.CreateOverlay(_folder["other"], DiskImageFormat.Qcow2, _folder["base"]);
        await using IBlockDevice other = DiskImage.Open(_folder["other"], DiskImageFormat.Qcow2);
        await Assert.ThatAsync(
            () => DiskImage.CommitAsync(_folder["top"], DiskImageFormat.Qcow2), Throws.TypeOf<DiskImageException>().With.Message.Contains("in use"));
    }

    [Test]
    public async Task A_copy_on_write_file_of_uml_becomes_qcow2()
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], 2 << 20, 6);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        byte[] contents = await TestImages.WriteAsync(_folder["cow"], image, 7);
        await DiskImage.ConvertAsync(_folder["cow"], DiskImageFormat.UmlCow, _folder["qcow2"], DiskImageFormat.Qcow2);
        await File.WriteAllBytesAsync(_folder["expected"], contents);
        Qemu("compare", "-f", "raw", "-F", "qcow2", _folder["expected"], _folder["qcow2"]);
    }

    [Test]
    public async Task The_map_of_an_overlay_is_that_of_qemu()
    {
        await File.WriteAllBytesAsync(_folder["base"], Enumerable.Repeat((byte)1, 1 << 20).ToArray());
        DiskImage.CreateOverlay(_folder["top"], DiskImageFormat.Qcow2, _folder["base"]);
        await using IBlockDevice device = DiskImage.Open(_folder["top"], DiskImageFormat.Qcow2);
        await device.WriteAsync(128 << 10, Enumerable.Repeat((byte)2, 64 << 10).ToArray());
        await device.GetCapability<IZeroable>()!.WriteZeroesAsync(512 << 10, 128 << 10, mayDiscard: true);
        List<(long, BlockExtent)> map = [];
        await foreach ((long offset, BlockExtent extent) in DiskImage.MapAsync(device))
        {
            map.Add((offset, extent));
        }

        Assert.That(map, Is.EqualTo(new[]
        {
            (0, new BlockExtent(128 << 10, IsBelow: true)),
            (128 << 10, new BlockExtent(64 << 10)),
            (192 << 10, new BlockExtent(320 << 10, IsBelow: true)),
            (512 << 10, new BlockExtent(128 << 10, IsZero: true)),
            (640 << 10, new BlockExtent(384 << 10, IsBelow: true)),
        }));
    }

    [Test]
    public void Information_has_the_header_the_snapshots_and_the_chain()
    {
        TestImages.MakeRaw(_folder["base"], 1 << 20, 8);
        DiskImage.CreateOverlay(_folder["middle"], DiskImageFormat.Qcow2, _folder["base"]);
        DiskImage.CreateOverlay(_folder["top"], DiskImageFormat.Qcow2, _folder["middle"], DiskImageFormat.Qcow2);
        Qemu("snapshot", "-c", "before", _folder["top"]);
        DiskImageInfo info = DiskImage.GetInfo(_folder["top"], DiskImageFormat.Qcow2);
        Assert.That((info.Version, info.ClusterSize, info.VirtualSize, info.IsDirty), Is.EqualTo(((int?)3, (int?)65536, 1L << 20, false)));
        Assert.That(info.Snapshots, Is.EqualTo(new[] { "1 before" }));
        Assert.That(info.Backing!.Backing!.Format, Is.EqualTo(DiskImageFormat.Raw));
    }

    [Test]
    public void Images_that_are_below_one_another_in_a_circle_end_with_a_note()
    {
        DiskImage.Create(_folder["a"], DiskImageFormat.Qcow2, 1 << 20);
        DiskImage.CreateOverlay(_folder["b"], DiskImageFormat.Qcow2, _folder["a"], DiskImageFormat.Qcow2);
        Qemu("rebase", "-u", "-f", "qcow2", "-b", _folder["b"], "-F", "qcow2", _folder["a"]);
        DiskImageInfo? last = DiskImage.GetInfo(_folder["a"], DiskImageFormat.Qcow2);
        for (; last.Backing is not null; last = last.Backing)
        {
            Assert.That(last.Notes, Is.Empty);
        }

        Assert.That(last.Notes, Has.One.Contains("circle"));
    }

    [Test]
    public async Task A_check_finds_what_qemu_finds_and_a_repair_leaves_nothing()
    {
        DiskImage.Create(_folder["image"], DiskImageFormat.Qcow2, 1 << 20);
        Assert.That((await DiskImage.CheckAsync(_folder["image"], DiskImageFormat.Qcow2)).Problems, Is.Empty);
        using (FileStream file = File.Open(_folder["image"], FileMode.Open))
        {
            // The refcount block, which the table at the second cluster names: a cluster that is counted and not used.
            byte[] entry = new byte[8];
            file.Position = 65536;
            file.ReadExactly(entry);
            file.Position = (long)System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(entry) + 21;
            file.WriteByte(1);
        }

        Assert.That((await DiskImage.CheckAsync(_folder["image"], DiskImageFormat.Qcow2)).IsSound, Is.False);
        Assert.That((await DiskImage.CheckAsync(_folder["image"], DiskImageFormat.Qcow2, repairs: true)).IsSound);
        Qemu("check", "-f", "qcow2", _folder["image"]);
    }

    [Test]
    public async Task A_synchronous_image_is_durable_behind_each_write()
    {
        DiskImage.Create(_folder["image"], DiskImageFormat.Qcow2, 1 << 20);
        await using IBlockDevice device = DiskImage.Open(_folder["image"], DiskImageFormat.Qcow2, new DiskImageOptions { IsSynchronous = true });
        await device.WriteAsync(0, new byte[512]);
        Assert.That(await ReadFirstEntryAsync(), Is.Not.Zero, "the table is in the file");

        async Task<ulong> ReadFirstEntryAsync()
        {
            await using Qcow2BlockDevice other = Qcow2BlockDevice.Open(_folder["image"], new Qcow2Options { IsReadOnly = true, Locks = false });
            return (await other.FindExtentAsync(0, 65536)).IsZero ? 0UL : 1UL;
        }
    }

    [Test]
    public void A_format_below_that_cannot_be_is_refused()
    {
        Assert.That(
            () => DiskImage.CreateOverlay(_folder["top"], DiskImageFormat.Qcow2, _folder["cow"], DiskImageFormat.UmlCow), Throws.TypeOf<DiskImageException>());
        DiskImage.Create(_folder["image"], DiskImageFormat.Qcow2, 512);
        Assert.That(() => DiskImage.CommitAsync(_folder["image"], DiskImageFormat.Qcow2), Throws.TypeOf<DiskImageException>().With.Message.Contains("no image below"));
    }

    private static void Qemu(params string[] arguments) => PeerTool.Run("qemu-utils", "qemu-img", arguments);
}
