using Uml.Storage.Blocks;
using Uml.Storage.Decorators;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tools;

namespace Uml.Storage.Tests.Tools;

/// <summary>Copies of devices and images, and where they have data.</summary>
public sealed class ConvertTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task A_copy_of_a_sparse_image_is_the_same_to_qemu_and_as_sparse()
    {
        TestImages.MakeRaw(_folder["image"], 16 << 20, 1);
        await DiskImage.ConvertAsync(_folder["image"], DiskImageFormat.Raw, _folder["copy"], DiskImageFormat.Raw);

        PeerTool.Run("qemu-utils", "qemu-img", "compare", "-f", "raw", "-F", "raw", _folder["image"], _folder["copy"]);
        Assert.That(
            DiskImage.GetInfo(_folder["copy"], DiskImageFormat.Raw).SizeOnDisk,
            Is.LessThanOrEqualTo(DiskImage.GetInfo(_folder["image"], DiskImageFormat.Raw).SizeOnDisk));
    }

    [Test]
    public async Task Zeroes_that_are_stored_become_holes_unless_that_is_not_wanted()
    {
        await File.WriteAllBytesAsync(_folder["zeroes"], new byte[4 << 20]);
        await DiskImage.ConvertAsync(_folder["zeroes"], DiskImageFormat.Raw, _folder["sparse"], DiskImageFormat.Raw);
        await DiskImage.ConvertAsync(
            _folder["zeroes"], DiskImageFormat.Raw, _folder["full"], DiskImageFormat.Raw, new DiskCopyOptions { FindsZeroes = false });

        Assert.That(DiskImage.GetInfo(_folder["sparse"], DiskImageFormat.Raw).SizeOnDisk, Is.Zero);
        Assert.That(DiskImage.GetInfo(_folder["full"], DiskImageFormat.Raw).SizeOnDisk, Is.EqualTo(4 << 20));
    }

    [Test]
    public async Task A_destination_with_other_contents_gets_the_zeroes_too()
    {
        MemoryBlockDevice source = new(8 << 20), destination = new(9 << 20);
        byte[] noise = new byte[9 << 20];
        new Random(1).NextBytes(noise);
        await destination.WriteAsync(0, noise);
        await source.WriteAsync(3 << 20, noise.AsMemory(0, 100 * 512));

        await BlockCopy.CopyAsync(source, destination, new BlockCopyOptions { ParallelRequests = 3, RequestSize = 65536 });

        byte[] copied = await TestImages.ReadAsync(destination), original = await TestImages.ReadAsync(source);
        Assert.That(copied.AsSpan(0, 8 << 20).SequenceEqual(original));
        Assert.That(copied.AsSpan(8 << 20).SequenceEqual(noise.AsSpan(8 << 20)), "what is behind the source stays");
    }

    [Test]
    public async Task A_disk_that_is_full_ends_the_copy_with_its_error()
    {
        MemoryBlockDevice source = new(8 << 20);
        await source.WriteAsync(0, Enumerable.Repeat((byte)1, 8 << 20).ToArray());
        await using FaultyBlockDevice full = new MemoryBlockDevice(8 << 20).WithFaults(
            new BlockFault { Kinds = BlockRequestKind.Write, Nth = 3, Error = BlockError.NoSpace, Repeat = BlockFaultRepeat.Sticky });

        BlockIOException error = await Failure.OfAsync(() => new ValueTask(BlockCopy.CopyAsync(source, full)));
        Assert.That(error.Error, Is.EqualTo(BlockError.NoSpace));
    }

    [Test]
    public async Task A_source_that_cannot_be_read_ends_the_copy_with_its_error()
    {
        await using FaultyBlockDevice source = new MemoryBlockDevice(8 << 20).WithFaults(new BlockFault { Offset = 5 << 20, Length = 512 });
        MemoryBlockDevice written = new(8 << 20);
        await source.Inner.WriteAsync(5 << 20, new byte[512]);
        await Failure.OfAsync(() => new ValueTask(BlockCopy.CopyAsync(source, written)));
    }

    [Test]
    public async Task An_image_that_is_there_is_replaced_only_if_that_is_asked_for()
    {
        byte[] image = TestImages.MakeRaw(_folder["image"], 1 << 20, 2);
        await File.WriteAllTextAsync(_folder["there"], "kept");
        await Assert.ThatAsync(
            () => DiskImage.ConvertAsync(_folder["image"], DiskImageFormat.Raw, _folder["there"], DiskImageFormat.Raw),
            Throws.TypeOf<DiskImageException>().With.Message.Contains("overwritten"));
        Assert.That(await File.ReadAllTextAsync(_folder["there"]), Is.EqualTo("kept"));

        await DiskImage.ConvertAsync(
            _folder["image"], DiskImageFormat.Raw, _folder["there"], DiskImageFormat.Raw, new DiskCopyOptions { Overwrites = true });
        Assert.That((await File.ReadAllBytesAsync(_folder["there"])).AsSpan().SequenceEqual(image));
    }

    [Test]
    public async Task An_image_in_use_is_not_replaced()
    {
        DiskCopyOptions options = new() { Overwrites = true };
        TestImages.MakeRaw(_folder["image"], 1 << 20, 2);
        TestImages.MakeRaw(_folder["base"], 1 << 20, 3);
        DiskImage.CreateOverlay(_folder["overlay"], DiskImageFormat.Qcow2, _folder["base"]);
        File.CreateSymbolicLink(_folder["link"], _folder["base"]);
        await using (DiskImage.Open(_folder["overlay"], DiskImageFormat.Qcow2))
        {
            await RefuseAsync("image", DiskImageFormat.Raw, "overlay");
            await RefuseAsync("image", DiskImageFormat.Raw, "base");
        }

        await RefuseAsync("overlay", DiskImageFormat.Qcow2, "base");
        await RefuseAsync("overlay", DiskImageFormat.Qcow2, "link");
        Assert.That(Directory.GetFiles(Path.GetDirectoryName(_folder["base"])!), Has.Length.EqualTo(4));

        async Task RefuseAsync(string source, DiskImageFormat format, string destination) => await Assert.ThatAsync(
            () => DiskImage.ConvertAsync(_folder[source], format, _folder[destination], DiskImageFormat.Raw, options),
            Throws.TypeOf<DiskImageException>().With.Message.Contains("in use"));
    }

    /// <summary>As a device's node would be, by a program of root's.</summary>
    [Test]
    public async Task What_is_no_file_is_not_replaced()
    {
        TestImages.MakeRaw(_folder["image"], 1 << 20, 2);
        PeerTool.Run("coreutils", "mkfifo", _folder["pipe"]);
        foreach (string path in (string[])["/", _folder["."], _folder["pipe"]])
        {
            await Assert.ThatAsync(
                () => DiskImage.ConvertAsync(_folder["image"], DiskImageFormat.Raw, path, DiskImageFormat.Raw, new DiskCopyOptions { Overwrites = true }),
                Throws.TypeOf<DiskImageException>().With.Message.Contains("name the image itself"));
        }
    }

    [Test]
    public async Task A_new_image_may_have_the_longest_name()
    {
        byte[] image = TestImages.MakeRaw(_folder["image"], 1 << 20, 2);
        string name = new('n', 255);
        await DiskImage.ConvertAsync(_folder["image"], DiskImageFormat.Raw, _folder[name], DiskImageFormat.Raw);
        Assert.That((await File.ReadAllBytesAsync(_folder[name])).AsSpan().SequenceEqual(image));
    }

    [Test]
    public async Task A_copy_on_write_file_is_no_format_to_convert_to()
    {
        TestImages.MakeRaw(_folder["image"], 1 << 20, 2);
        await Assert.ThatAsync(
            () => DiskImage.ConvertAsync(_folder["image"], DiskImageFormat.Raw, _folder["cow"], DiskImageFormat.UmlCow),
            Throws.TypeOf<DiskImageException>());
    }

    [Test]
    public async Task A_map_says_what_is_data_and_what_comes_from_the_image_below()
    {
        using (FileStream file = File.Create(_folder["base"]))
        {
            file.SetLength(1 << 20);
            file.Position = 256 << 10;
            file.Write(Enumerable.Repeat((byte)1, 64 << 10).ToArray());
        }

        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        await using UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]);
        await device.WriteAsync(512 << 10, Enumerable.Repeat((byte)2, 4096).ToArray());
        await device.WriteZeroesAsync(256 << 10, 4096, mayDiscard: true);

        Assert.That(await ReadMapAsync(device), Is.EqualTo(new[]
        {
            (0, new BlockExtent(256 << 10, IsZero: true, IsBelow: true)),
            (256 << 10, new BlockExtent(4096, IsZero: true)),
            ((256 << 10) + 4096, new BlockExtent((64 << 10) - 4096, IsBelow: true)),
            (320 << 10, new BlockExtent(192 << 10, IsZero: true, IsBelow: true)),
            (512 << 10, new BlockExtent(4096)),
            ((512 << 10) + 4096, new BlockExtent((512 << 10) - 4096, IsZero: true, IsBelow: true)),
        }));
    }

    [Test]
    public async Task An_image_that_ends_within_a_sector_is_mapped_to_its_end()
    {
        await File.WriteAllBytesAsync(_folder["image"], Enumerable.Repeat((byte)1, 5000).ToArray());
        await using RawBlockDevice device = RawBlockDevice.Open(_folder["image"]);
        Assert.That(await ReadMapAsync(device), Is.EqualTo(new[] { (0, new BlockExtent(5120)) }));
    }

    [Test]
    public void Numbers_out_of_range_are_refused()
    {
        MemoryBlockDevice small = new(512), large = new(1024);
        Assert.That(async () => await BlockCopy.CopyAsync(large, small), Throws.ArgumentException);
        Assert.That(async () => await BlockCopy.CopyAsync(small, large, new BlockCopyOptions { ParallelRequests = 0 }), Throws.ArgumentException);
        Assert.That(async () => await BlockCopy.CopyAsync(small, large, new BlockCopyOptions { RequestSize = 1000 }), Throws.ArgumentException);
    }

    private static async Task<List<(long Offset, BlockExtent Extent)>> ReadMapAsync(IBlockDevice device)
    {
        List<(long, BlockExtent)> map = [];
        await foreach ((long offset, BlockExtent extent) in DiskImage.MapAsync(device))
        {
            map.Add((offset, extent));
        }

        return map;
    }
}
