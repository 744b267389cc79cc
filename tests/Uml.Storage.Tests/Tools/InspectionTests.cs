using Uml.Storage.Blocks;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tools;

namespace Uml.Storage.Tests.Tools;

/// <summary>Images that are looked at, checked and resized.</summary>
public sealed class InspectionTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Of_a_raw_image_the_sizes_are_known()
    {
        DiskImage.Create(_folder["image"], DiskImageFormat.Raw, 1 << 20);
        DiskImageInfo info = DiskImage.GetInfo(_folder["image"], DiskImageFormat.Raw);
        Assert.That((info.VirtualSize, info.FileLength, info.SizeOnDisk, info.BackingPath), Is.EqualTo((1L << 20, 1L << 20, 0L, (string?)null)));
        Assert.That(info.Notes, Is.Empty);
    }

    [Test]
    public async Task Of_a_copy_on_write_file_the_header_the_sectors_and_the_image_below_are_known()
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], (1 << 20) + 100, 1);
        DiskImage.CreateOverlay(_folder["cow"], DiskImageFormat.UmlCow, _folder["base"]);
        Assert.That(DiskImage.GetInfo(_folder["cow"], DiskImageFormat.UmlCow).OwnBytes, Is.Zero);
        await using (UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]))
        {
            await device.WriteAsync(4096, new byte[1024]);
        }

        DiskImageInfo info = DiskImage.GetInfo(_folder["cow"], DiskImageFormat.UmlCow);
        Assert.That(
            (info.Version, info.ClusterSize, info.OwnBytes, info.VirtualSize, info.BackingPath),
            Is.EqualTo(((int?)3, (int?)512, (long?)1024, (1L << 20) + 512, _folder["base"])));
        Assert.That(info.Backing!.FileLength, Is.EqualTo(image.Length));
        Assert.That(info.Notes, Is.Empty);
    }

    [Test]
    public void An_image_below_that_does_not_fit_is_a_note_and_a_problem()
    {
        TestImages.MakeRaw(_folder["base"], 1 << 20, 1);
        DiskImage.CreateOverlay(_folder["cow"], DiskImageFormat.UmlCow, _folder["base"]);
        File.Delete(_folder["base"]);
        DiskImageInfo info = DiskImage.GetInfo(_folder["cow"], DiskImageFormat.UmlCow);
        Assert.That(info.Backing, Is.Null);
        Assert.That(info.Notes, Has.One.Contains("There is no file"));
        Assert.That(async () => (await DiskImage.CheckAsync(_folder["cow"], DiskImageFormat.UmlCow)).IsSound, Is.False);
    }

    [Test]
    public void A_raw_image_that_looks_like_another_format_is_said_to()
    {
        File.WriteAllBytes(_folder["image"], [0x51, 0x46, 0x49, 0xFB, .. new byte[1020]]);
        Assert.That(DiskImage.GetInfo(_folder["image"], DiskImageFormat.Raw).Notes, Has.One.Contains("qcow2"));
    }

    [Test]
    public async Task Bits_behind_the_last_sector_are_found_and_cleared()
    {
        TestImages.MakeRaw(_folder["base"], 100 * 512, 1);
        DiskImage.CreateOverlay(_folder["cow"], DiskImageFormat.UmlCow, _folder["base"]);
        Assert.That((await DiskImage.CheckAsync(_folder["cow"], DiskImageFormat.UmlCow)).Problems, Is.Empty);
        Poke(8192 + 12, 0xF5);

        DiskImageCheckResult found = await DiskImage.CheckAsync(_folder["cow"], DiskImageFormat.UmlCow);
        Assert.That(found.Problems, Has.One.Matches<DiskImageProblem>(problem => problem!.CanRepair && problem.Message.StartsWith("4 bits", StringComparison.Ordinal)));
        Assert.That(found.IsSound, Is.False);
        Assert.That((await DiskImage.CheckAsync(_folder["cow"], DiskImageFormat.UmlCow, repairs: true)).IsSound);
        Assert.That((await DiskImage.CheckAsync(_folder["cow"], DiskImageFormat.UmlCow)).Problems, Is.Empty);
        Assert.That(DiskImage.GetInfo(_folder["cow"], DiskImageFormat.UmlCow).OwnBytes, Is.EqualTo(1024));
    }

    [Test]
    public async Task Data_beyond_the_end_of_the_file_is_found_and_made_to_read_as_zeroes()
    {
        TestImages.MakeRaw(_folder["base"], 100 * 512, 1);
        DiskImage.CreateOverlay(_folder["cow"], DiskImageFormat.UmlCow, _folder["base"]);
        Poke(8192 + 12, 0x08);
        using (FileStream file = File.OpenWrite(_folder["cow"]))
        {
            file.SetLength(12288 + (50 * 512));
        }

        DiskImageCheckResult found = await DiskImage.CheckAsync(_folder["cow"], DiskImageFormat.UmlCow, repairs: true);
        Assert.That(found.Problems, Has.One.Matches<DiskImageProblem>(problem => problem!.IsRepaired && problem.Message.Contains("sector 99", StringComparison.Ordinal)));
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]);
        byte[] last = new byte[512];
        await device.ReadAsync(99 * 512, last);
        Assert.That(last, Is.All.Zero);
    }

    [Test]
    public async Task A_raw_image_grows_and_shrinks_only_if_it_may()
    {
        DiskImage.Create(_folder["image"], DiskImageFormat.Raw, 1 << 20);
        await DiskImage.ResizeAsync(_folder["image"], DiskImageFormat.Raw, 2 << 20);
        Assert.That(new FileInfo(_folder["image"]).Length, Is.EqualTo(2 << 20));
        await Assert.ThatAsync(
            () => DiskImage.ResizeAsync(_folder["image"], DiskImageFormat.Raw, 512), Throws.TypeOf<DiskImageException>().With.Message.Contains("would be lost"));
        await DiskImage.ResizeAsync(_folder["image"], DiskImageFormat.Raw, 512, mayShrink: true);
        Assert.That(new FileInfo(_folder["image"]).Length, Is.EqualTo(512));
    }

    [Test]
    public async Task A_copy_on_write_file_cannot_be_resized_nor_be_without_an_image_below()
    {
        await Assert.ThatAsync(
            () => DiskImage.ResizeAsync("cow", DiskImageFormat.UmlCow, 512), Throws.TypeOf<DiskImageException>().With.Message.Contains("Merge it"));
        Assert.That(() => DiskImage.Create("cow", DiskImageFormat.UmlCow, 512), Throws.TypeOf<DiskImageException>());
        Assert.That(() => DiskImage.CreateOverlay("raw", DiskImageFormat.Raw, "base"), Throws.TypeOf<DiskImageException>());
        Assert.That(
            () => DiskImage.CreateOverlay("cow", DiskImageFormat.UmlCow, "base", DiskImageFormat.UmlCow), Throws.TypeOf<DiskImageException>());
    }

    [Test]
    public async Task An_image_in_use_names_who_uses_it_and_can_be_opened_without_locks()
    {
        DiskImage.Create(_folder["image"], DiskImageFormat.Raw, 1 << 20);
        await using RawBlockDevice first = RawBlockDevice.Open(_folder["image"]);
        Assert.That(
            () => DiskImage.Open(_folder["image"], DiskImageFormat.Raw),
            Throws.TypeOf<DiskImageException>().With.Message.Contains("another disk of this process"));
        await using IBlockDevice second = DiskImage.Open(_folder["image"], DiskImageFormat.Raw, new DiskImageOptions { Locks = false });
    }

    [Test]
    public async Task The_image_below_is_locked_against_writers_and_shared_with_readers()
    {
        TestImages.MakeRaw(_folder["base"], 1 << 20, 1);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        UmlCowBlockDevice.Create(_folder["other"], _folder["base"]);
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]);
        await using UmlCowBlockDevice other = UmlCowBlockDevice.Open(_folder["other"]);
        Assert.That(() => RawBlockDevice.Open(_folder["base"]), Throws.TypeOf<DiskImageException>().With.Message.Contains("in use"));
    }

    private void Poke(long offset, byte value)
    {
        using FileStream file = File.OpenWrite(_folder["cow"]);
        file.Position = offset;
        file.WriteByte(value);
    }
}
