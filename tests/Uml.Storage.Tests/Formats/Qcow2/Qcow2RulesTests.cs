using System.Diagnostics.CodeAnalysis;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Formats.Raw;

namespace Uml.Storage.Tests.Formats.Qcow2;

/// <summary>What an image is opened with, resized, locked and checked.</summary>
public sealed class Qcow2RulesTests
{
    private TemporaryFolder _folder = null!;

    private string Disk => _folder["disk"];

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task A_second_writer_is_refused()
    {
        Qcow2BlockDevice.Create(Disk, 4096);
        await using Qcow2BlockDevice first = Qcow2BlockDevice.Open(Disk);
        Assert.That(() => Qcow2BlockDevice.Open(Disk), Throws.InstanceOf<DiskImageException>().With.Message.Contains("in use by"));
        Assert.That(() => Qcow2Check.Run(Disk), Throws.InstanceOf<DiskImageException>().With.Message.Contains("in use by"));
        await using Qcow2BlockDevice shared = Qcow2BlockDevice.Open(Disk, new Qcow2Options { Locks = false, IsReadOnly = true });
        Assert.That(async () => await shared.WriteAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>());
    }

    [Test]
    public void An_image_whose_backing_format_is_not_said_is_refused_and_not_guessed()
    {
        RawBlockDevice.Create(_folder["base"], 4096);
        QemuImage.Run("create", "-f", "qcow2", "-u", "-b", "base", "-F", "raw", Disk, "4k");
        byte[] image = File.ReadAllBytes(Disk);
        int at = image.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xE2, 0x79, 0x2A, 0xCA]);
        image.AsSpan(at, 4).Fill(0x11);
        File.WriteAllBytes(Disk, image);

        Assert.That(() => Qcow2BlockDevice.Open(Disk), Throws.InstanceOf<DiskImageException>().With.Message.Contains("BackingFormat").And.Message.Contains("qemu-img rebase"));
        Assert.That(async () => await Qcow2BlockDevice.Open(Disk, new Qcow2Options { BackingFormat = Qcow2BackingFormat.Raw }).DisposeAsync(), Throws.Nothing);
    }

    [Test]
    public void A_backing_format_that_differs_or_is_not_known_is_refused()
    {
        RawBlockDevice.Create(_folder["base"], 4096);
        Qcow2BlockDevice.Create(Disk, 4096, new Qcow2CreateOptions { BackingPath = "base" });
        Assert.That(() => Qcow2BlockDevice.Open(Disk, new Qcow2Options { BackingFormat = Qcow2BackingFormat.Qcow2 }), Throws.InstanceOf<DiskImageException>().With.Message.Contains("'raw'"));

        QemuImage.Run("create", "-f", "qcow2", "-u", "-b", "base", "-F", "vmdk", _folder["other"], "4k");
        Assert.That(() => Qcow2BlockDevice.Open(_folder["other"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("'vmdk'"));
        QemuImage.Run("create", "-f", "qcow2", "-u", "-b", "nbd://localhost/x", "-F", "raw", _folder["remote"], "4k");
        Assert.That(() => Qcow2BlockDevice.Open(_folder["remote"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("only files"));
    }

    [Test]
    public void Images_that_name_each_other_in_a_circle_are_refused()
    {
        Qcow2CreateOptions over = new() { BackingFormat = Qcow2BackingFormat.Qcow2 };
        Qcow2BlockDevice.Create(_folder["a"], 4096, over with { BackingPath = "b" });
        Qcow2BlockDevice.Create(_folder["b"], 4096, over with { BackingPath = "c" });
        Qcow2BlockDevice.Create(_folder["c"], 4096, over with { BackingPath = "a" });
        Assert.That(() => Qcow2BlockDevice.Open(_folder["a"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("circle"));

        File.CreateSymbolicLink(_folder["link"], _folder["d"]);
        Qcow2BlockDevice.Create(_folder["d"], 4096, over with { BackingPath = "link" });
        Assert.That(() => Qcow2BlockDevice.Open(_folder["d"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("circle"));
    }

    [Test]
    public async Task A_chain_may_have_64_images_and_no_more()
    {
        Qcow2BlockDevice.Create(_folder["0"], 4096, new Qcow2CreateOptions { ClusterSize = 512 });
        for (int i = 1; i <= 64; i++)
        {
            Qcow2BlockDevice.Create(_folder[$"{i}"], 4096, new Qcow2CreateOptions { ClusterSize = 512, BackingPath = $"{i - 1}", BackingFormat = Qcow2BackingFormat.Qcow2 });
        }

        await Qcow2BlockDevice.Open(_folder["63"]).DisposeAsync();
        Assert.That(() => Qcow2BlockDevice.Open(_folder["64"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("more than 64 images"));
    }

    [TestCase(512)]
    [TestCase(65536)]
    public async Task An_image_grows_and_shrinks_and_new_parts_are_zeroes(int clusterSize)
    {
        byte[] below = [.. Enumerable.Repeat((byte)7, 3 << 20)];
        await File.WriteAllBytesAsync(_folder["base"], below);
        Qcow2BlockDevice.Create(Disk, (1 << 20) + 512, new Qcow2CreateOptions { ClusterSize = clusterSize, BackingPath = "base" });
        byte[] expected = new byte[40 << 20];
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            int changes = 0;
            device.Resized += (_, _) => changes++;
            await device.ResizeAsync(40 << 20);
            expected.AsSpan(0, (1 << 20) + 512).Fill(7);
            await device.WriteAsync(39 << 20, Enumerable.Repeat((byte)8, 1 << 20).ToArray());
            expected.AsSpan(39 << 20).Fill(8);
            await new BlockModel(device, expected, 1).CheckAsync();

            await device.ResizeAsync(512 * 3);
            await device.ResizeAsync(2 << 20);
            Assert.That(changes, Is.EqualTo(3));
            Assert.That(async () => await device.ResizeAsync(100), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(async () => await device.ResizeAsync(1L << 60), Throws.InstanceOf<ArgumentOutOfRangeException>());
        }

        expected = new byte[2 << 20];
        expected.AsSpan(0, 512 * 3).Fill(7);
        QemuImage.AssertClean(Disk);
        QemuImage.AssertContents(Disk, expected, _folder["copy"]);
    }

    [Test]
    public async Task A_disk_of_the_largest_size_is_made_and_used([Values(512, 65536, 2097152)] int clusterSize)
    {
        long length = Math.Min(((32L << 20) / 8) * (clusterSize / 8) * clusterSize, 1L << 56);
        Qcow2BlockDevice.Create(Disk, length, new Qcow2CreateOptions { ClusterSize = clusterSize });
        Assert.That(() => Qcow2BlockDevice.Create(_folder["more"], length + 512, new Qcow2CreateOptions { ClusterSize = clusterSize }), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(File.Exists(_folder["more"]), Is.False);
        byte[] data = [.. Enumerable.Repeat((byte)3, 4096)];
        byte[] read = new byte[4096];
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            await device.WriteAsync(length - 4096, data);
            await device.FlushAsync();
            await device.ReadAsync(length - 4096, read);
        }

        Assert.That(read, Is.EqualTo(data));
        Assert.That(Qcow2Check.Run(Disk).Messages, Is.Empty);
    }

    [Test]
    public async Task Leaks_and_wrong_counts_are_found_and_repaired()
    {
        Qcow2BlockDevice.Create(Disk, 1 << 20);
        byte[] contents = [.. Enumerable.Range(0, 1 << 20).Select(i => (byte)(i / 4096))];
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            await device.WriteAsync(0, contents);
        }

        byte[] image = await File.ReadAllBytesAsync(Disk);
        image[(2 * 65536) + (5 * 2) + 1] = 0;
        image[(2 * 65536) + (6 * 2) + 1] = 3;
        image[(2 * 65536) + (500 * 2) + 1] = 1;
        await File.WriteAllBytesAsync(Disk, image);

        Qcow2CheckResult found = Qcow2Check.Run(Disk);
        Assert.That((found.Leaks, found.Corruptions), Is.EqualTo((2L, 1L)));
        Assert.That(found.Messages, Has.Some.EqualTo("Cluster 6 is referred to 1 times, and counted 3 times"));
        Qcow2Check.Repair(Disk);
        Assert.That(Qcow2Check.Run(Disk).IsClean);
        QemuImage.AssertClean(Disk);
        QemuImage.AssertContents(Disk, contents, _folder["copy"]);
    }

    [Test]
    public async Task A_discard_of_what_is_not_in_the_file_costs_nothing()
    {
        Qcow2BlockDevice.Create(Disk, 1L << 45);
        await using Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk);
        await device.DiscardAsync(0, 1L << 45);
        await device.WriteZeroesAsync(0, 1L << 45, mayDiscard: false);
        await device.FlushAsync();
        Assert.That(new FileInfo(Disk).Length, Is.LessThan(1 << 20));
    }

    [Test]
    public async Task A_discard_gives_room_back_to_the_host()
    {
        Qcow2BlockDevice.Create(Disk, 8 << 20);
        await using Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk);
        await device.WriteAsync(0, Enumerable.Repeat((byte)1, 4 << 20).ToArray());
        await device.FlushAsync();
        await device.DiscardAsync(0, 8 << 20);
        await device.FlushAsync();
        string blocks = PeerTool.Run("coreutils", "stat", "-c", "%b", Disk);
        Assert.That(long.Parse(blocks, System.Globalization.CultureInfo.InvariantCulture) * 512, Is.LessThan(1 << 20));
    }

    [Test]
    public async Task Requests_in_steady_state_allocate_nothing()
    {
        Qcow2BlockDevice.Create(Disk, 1 << 20);
        await using Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk);
        byte[] data = new byte[8192];
        Memory<byte>[] pieces = [data.AsMemory(0, 4096), data.AsMemory(4096, 4096)];
        Transfer(device, pieces, 100);
        long before = GC.GetAllocatedBytesForCurrentThread();
        int done = Transfer(device, pieces, 1000);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        // One that had to wait after all is not awaited here, and so not used again. The runtime allocates a little once.
        Assert.That(done, Is.GreaterThan(1900));
        Assert.That(allocated, Is.LessThan(1000 + ((2000 - done) * 1024L)), $"{done} of 2000 at once");
    }

    /// <summary>Reads and writes across two clusters.</summary>
    [SuppressMessage("Reliability", "CA2012", Justification = "A request that is not done at once is the failure that is looked for.")]
    private static int Transfer(Qcow2BlockDevice device, Memory<byte>[] pieces, int count)
    {
        int done = 0;
        for (int i = 0; i < count; i++)
        {
            ValueTask write = device.WriteAsync(61440, new BlockBuffers(pieces));
            done += write.IsCompletedSuccessfully ? 1 : 0;
            ValueTask read = device.ReadAsync(61440, new BlockBuffers(pieces));
            done += read.IsCompletedSuccessfully ? 1 : 0;
        }

        return done;
    }
}
