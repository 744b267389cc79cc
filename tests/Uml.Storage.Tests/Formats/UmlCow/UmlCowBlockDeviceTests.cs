using Uml.Storage.Blocks;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tests.Files;

namespace Uml.Storage.Tests.Formats.UmlCow;

public sealed class UmlCowBlockDeviceTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task Requests_of_parts_of_a_sector_at_once_keep_each_other_s()
    {
        MakeImage(64 << 10);
        await File.WriteAllBytesAsync(_folder["cow"], MakeFile(3, sectorSize: 65536));
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]);
        await Task.WhenAll(Enumerable.Range(0, 128).Select(i => Task.Run(async () =>
            await device.WriteAsync(i * 512, Enumerable.Repeat((byte)i, 512).ToArray()))));

        byte[] all = new byte[64 << 10];
        await device.ReadAsync(0, all);
        Assert.That(all, Is.EqualTo(Enumerable.Range(0, 64 << 10).Select(i => (byte)(i / 512)).ToArray()));
    }

    [Test]
    public async Task The_bitmap_is_written_with_the_flush_and_not_before()
    {
        MakeImage(1 << 20);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]);
        await device.WriteAsync(512 * 9, new byte[512 * 3]);
        Assert.That(ReadBitmap(), Has.All.Zero);

        await device.FlushAsync();
        byte[] bitmap = ReadBitmap();
        Assert.That(bitmap[1], Is.EqualTo(0b1110));
        Assert.That(bitmap.Count(b => b != 0), Is.EqualTo(1));
    }

    [Test]
    public async Task A_synchronous_write_is_in_the_file_when_it_has_ended()
    {
        MakeImage(1 << 20);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"], new UmlCowOptions { IsSynchronous = true });
        await device.WriteAsync(0, new byte[512]);
        await device.WriteZeroesAsync(1024, 512, mayDiscard: true);

        Assert.That(ReadBitmap()[0], Is.EqualTo(0b101));
    }

    [Test]
    public async Task Many_files_share_an_image()
    {
        byte[] image = MakeImage(1 << 20);
        BlockModel[] models = new BlockModel[8];
        UmlCowBlockDevice[] devices = new UmlCowBlockDevice[8];
        for (int i = 0; i < devices.Length; i++)
        {
            UmlCowBlockDevice.Create(_folder[$"cow{i}"], _folder["image"]);
            devices[i] = UmlCowBlockDevice.Open(_folder[$"cow{i}"]);
            models[i] = new(devices[i], [.. image], i);
        }

        await Task.WhenAll(models.Select(model => Task.Run(() => model.RunAsync(100))));
        for (int i = 0; i < devices.Length; i++)
        {
            await models[i].CheckAsync();
            await devices[i].DisposeAsync();
        }
    }

    [Test]
    public void An_image_that_has_changed_is_refused_with_both_values()
    {
        MakeImage(4096);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        File.SetLastWriteTimeUtc(_folder["image"], new DateTime(2020, 1, 2, 3, 4, 5, DateTimeKind.Utc));
        Assert.That(() => UmlCowBlockDevice.Open(_folder["cow"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("2020-01-02 03:04:05 UTC").And.Message.Contains("2021-06-01 00:00:00 UTC"));

        File.WriteAllBytes(_folder["image"], new byte[8192]);
        Assert.That(() => UmlCowBlockDevice.Open(_folder["cow"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("8192 bytes").And.Message.Contains("4096"));

        File.Delete(_folder["image"]);
        Assert.That(() => UmlCowBlockDevice.Open(_folder["cow"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("There is no file"));
    }

    [Test]
    public async Task A_fraction_of_a_second_of_the_image_s_time_does_not_count()
    {
        MakeImage(4096);
        File.SetLastWriteTimeUtc(_folder["image"], new DateTime(2021, 6, 1, 0, 0, 0, 900, DateTimeKind.Utc));
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        File.SetLastWriteTimeUtc(_folder["image"], new DateTime(2021, 6, 1, 0, 0, 0, 100, DateTimeKind.Utc));
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]);
    }

    [Test]
    public async Task An_image_that_has_moved_is_named_and_remembered()
    {
        MakeImage(4096);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        File.Move(_folder["image"], _folder["moved"]);
        await (UmlCowBlockDevice.Open(_folder["cow"], new UmlCowOptions { BackingPath = _folder["moved"] })).DisposeAsync();
        await using UmlCowBlockDevice again = UmlCowBlockDevice.Open(_folder["cow"]);

        Assert.That(again.BackingPath, Is.EqualTo(_folder["moved"]));
    }

    [Test]
    public void A_file_that_cannot_be_written_when_it_is_opened_is_no_usable_image()
    {
        MakeImage(4096);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        File.Move(_folder["image"], _folder["moved"]);
        using PowerCutFile file = new(File.ReadAllBytes(_folder["cow"]), _folder["cow"]) { Before = _ => throw new BlockIOException("The storage is gone.") };

        Assert.That(
            () => UmlCowBlockDevice.Open(file, new UmlCowOptions { BackingPath = _folder["moved"] }, writesBacking: false),
            Throws.InstanceOf<DiskImageException>().With.Message.Contains("cannot be opened: The storage is gone."));
    }

    [Test]
    public async Task Opened_to_be_read_only_the_file_stays_as_it_is()
    {
        MakeImage(4096);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        byte[] before = await File.ReadAllBytesAsync(_folder["cow"]);
        File.Copy(_folder["image"], _folder["copy"]);
        File.SetLastWriteTimeUtc(_folder["copy"], File.GetLastWriteTimeUtc(_folder["image"]));
        await using (UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"], new UmlCowOptions { IsReadOnly = true, BackingPath = _folder["copy"] }))
        {
            Assert.That(async () => await device.WriteAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>());
        }

        Assert.That(await File.ReadAllBytesAsync(_folder["cow"]), Is.EqualTo(before));
    }

    [Test]
    public async Task A_second_writer_is_refused_and_the_image_may_not_be_written()
    {
        MakeImage(4096);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]);

        Assert.That(() => UmlCowBlockDevice.Open(_folder["cow"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("in use"));
        Assert.That(() => Uml.Storage.Formats.Raw.RawBlockDevice.Open(_folder["image"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("in use"));
    }

    [Test]
    public async Task A_bitmap_that_lacks_the_last_sectors_is_for_reading()
    {
        byte[] image = MakeImage(13 * 512);
        await File.WriteAllBytesAsync(_folder["cow"], MakeFile(2));
        Assert.That(() => UmlCowBlockDevice.Open(_folder["cow"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("lacks the last 5 sectors"));

        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"], new UmlCowOptions { IsReadOnly = true });
        byte[] read = new byte[image.Length];
        await device.ReadAsync(0, read);
        Assert.That(read, Is.EqualTo(image));
    }

    [Test]
    public async Task A_header_with_a_time_of_64_bits_is_read()
    {
        byte[] image = MakeImage(8192);
        byte[] file = new byte[16384 + 8192];
        MakeFile(3).AsSpan(0, 8).CopyTo(file);
        MakeFile(3).AsSpan(8, 4).CopyTo(file.AsSpan(8));
        MakeFile(3).AsSpan(12, 16).CopyTo(file.AsSpan(16));
        MakeFile(3).AsSpan(32, 4096).CopyTo(file.AsSpan(36));
        await File.WriteAllBytesAsync(_folder["cow"], file);
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]);
        byte[] read = new byte[image.Length];
        await device.ReadAsync(0, read);

        Assert.That(read, Is.EqualTo(image));
    }

    [TestCase(0, new byte[] { 1 }, "no magic number")]
    [TestCase(4, new byte[] { 0, 0, 0, 4 }, "its version is 4")]
    [TestCase(4, new byte[] { 0, 0, 0, 0 }, "its version is 0")]
    [TestCase(24, new byte[] { 0, 0, 0, 0 }, "its alignment is 0")]
    [TestCase(24, new byte[] { 0, 0, 0, 3 }, "its alignment is 3")]
    [TestCase(24, new byte[] { 0x80, 0, 0, 0 }, "its alignment is")]
    [TestCase(20, new byte[] { 0, 0, 0, 0 }, "its sector size is 0")]
    [TestCase(20, new byte[] { 0, 0, 3, 0 }, "its sector size is 768")]
    [TestCase(20, new byte[] { 0, 0, 1, 0 }, "its sector size is 256")]
    [TestCase(20, new byte[] { 0, 2, 0, 0 }, "its sector size is 131072")]
    [TestCase(28, new byte[] { 0, 0, 0, 1 }, "its format is 1")]
    [TestCase(12, new byte[] { 0xFF }, "more than there can be")]
    [TestCase(12, new byte[] { 0, 0xFF }, "beyond 2 GiB")]
    [TestCase(-1, new byte[0], "does not end")]
    public void A_damaged_header_is_refused(int at, byte[] bytes, string because)
    {
        MakeImage(8192);
        byte[] file = MakeFile(3);
        if (at < 0)
        {
            file.AsSpan(32, 4096).Fill((byte)'a');
        }
        else
        {
            bytes.CopyTo(file, at);
        }

        File.WriteAllBytes(_folder["cow"], file);
        Assert.That(() => UmlCowBlockDevice.Open(_folder["cow"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains(because));
    }

    [TestCase(0)]
    [TestCase(3)]
    [TestCase(7)]
    [TestCase(100)]
    [TestCase(4127)]
    [TestCase(4200)]
    public void A_file_that_is_cut_off_is_refused(int length)
    {
        MakeImage(8192);
        File.WriteAllBytes(_folder["cow"], MakeFile(3)[..length]);
        Assert.That(() => UmlCowBlockDevice.Open(_folder["cow"]), Throws.InstanceOf<DiskImageException>());
    }

    [Test]
    public void An_existing_file_is_not_overwritten_and_a_missing_image_leaves_none()
    {
        MakeImage(4096);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]);
        Assert.That(() => UmlCowBlockDevice.Create(_folder["cow"], _folder["image"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("there already"));
        Assert.That(() => UmlCowBlockDevice.Create(_folder["other"], _folder["none"]), Throws.InstanceOf<DiskImageException>());
        Assert.That(File.Exists(_folder["other"]), Is.False);
    }

    private byte[] ReadBitmap() => File.ReadAllBytes(_folder["cow"])[8192..12288];

    private byte[] MakeImage(int length)
    {
        byte[] image = new byte[length];
        new Random(length).NextBytes(image);
        File.WriteAllBytes(_folder["image"], image);
        File.SetLastWriteTimeUtc(_folder["image"], new DateTime(2021, 6, 1, 0, 0, 0, DateTimeKind.Utc));
        return image;
    }

    private byte[] MakeFile(int version, int sectorSize = 512) => UmlCowFile.Make(_folder["image"], version, sectorSize);
}
