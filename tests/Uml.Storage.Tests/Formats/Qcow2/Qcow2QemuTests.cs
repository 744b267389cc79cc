using Uml.Storage.Blocks;
using Uml.Storage.Formats.Qcow2;

namespace Uml.Storage.Tests.Formats.Qcow2;

/// <summary>Images that are made by QEMU's tools and used by us, and the other way.</summary>
public sealed class Qcow2QemuTests
{
    private const int Length = 2 << 20;

    private TemporaryFolder _folder = null!;

    private string Disk => _folder["disk"];

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("compat=0.10")]
    [TestCase("compat=0.10,cluster_size=512")]
    [TestCase("compat=1.1,cluster_size=512,refcount_bits=1")]
    [TestCase("compat=1.1,cluster_size=2M,refcount_bits=2")]
    [TestCase("compat=1.1,cluster_size=4k,refcount_bits=64")]
    [TestCase("compat=1.1,lazy_refcounts=on")]
    [TestCase("compat=1.1,preallocation=metadata")]
    [TestCase("compat=1.1,preallocation=falloc,cluster_size=1M")]
    public async Task An_image_of_qemu_is_read_and_written(string options)
    {
        byte[] contents = MakeRaw("raw");
        QemuImage.Run("convert", "-f", "raw", "-O", "qcow2", "-o", options, _folder["raw"], Disk);
        await UseAsync(contents, options.Length);
    }

    [TestCase("compat=0.10")]
    [TestCase("compat=1.1,cluster_size=512")]
    [TestCase("compat=1.1,cluster_size=2M")]
    [TestCase("compat=1.1,compression_type=zstd")]
    [TestCase("compat=1.1,compression_type=zstd,cluster_size=4k")]
    [TestCase("compat=1.1,cluster_size=16k,refcount_bits=8")]
    public async Task A_compressed_image_is_read_and_written_over(string options)
    {
        byte[] contents = MakeRaw("raw");
        QemuImage.Run("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, _folder["raw"], Disk);
        await UseAsync(contents, options.Length);
    }

    [TestCase("compat=0.10", 65536)]
    [TestCase("compat=1.1", 65536)]
    [TestCase("compat=1.1,cluster_size=512", 512)]
    [TestCase("compat=1.1,cluster_size=4k,refcount_bits=4", 4096)]
    public async Task Snapshots_keep_what_they_have_and_can_be_read(string options, int seed)
    {
        byte[] first = MakeRaw("raw");
        QemuImage.Run("convert", "-f", "raw", "-O", "qcow2", "-o", options, _folder["raw"], Disk);
        QemuImage.Run("snapshot", "-c", "first", Disk);
        byte[] second = await UseAsync([.. first], seed);
        QemuImage.Run("snapshot", "-c", "second", Disk);
        byte[] third = await UseAsync([.. second], seed + 1);

        await AssertSnapshotAsync("1", first);
        await AssertSnapshotAsync("second", second);
        Assert.That(Qcow2BlockDevice.GetInfo(Disk).Snapshots.Select(one => one.Name), Is.EqualTo(new[] { "first", "second" }));
        Assert.That(() => Qcow2BlockDevice.Open(Disk, new Qcow2Options { Snapshot = "none" }), Throws.InstanceOf<DiskImageException>().With.Message.Contains("2 (second)"));

        QemuImage.Run("snapshot", "-a", "first", Disk);
        QemuImage.AssertClean(Disk);
        QemuImage.AssertContents(Disk, first, _folder["copy"]);
        Assert.That(third, Is.Not.EqualTo(second));
    }

    [TestCase("compat=0.10")]
    [TestCase("compat=1.1")]
    [TestCase("compat=1.1,cluster_size=512")]
    public async Task A_chain_of_qemu_is_read_and_written(string options)
    {
        byte[] contents = MakeRaw("base");
        Directory.CreateDirectory(_folder["sub"]);
        QemuImage.Run("create", "-f", "qcow2", "-o", options, "-b", "../base", "-F", "raw", _folder["sub/middle"], "1M");
        QemuImage.Io(_folder["sub/middle"], "write -P 7 64k 100k", "write -z 300k 200k");
        contents.AsSpan(64 << 10, 100 << 10).Fill(7);
        contents.AsSpan(300 << 10, 200 << 10).Clear();
        contents.AsSpan(1 << 20).Clear();
        QemuImage.Run("create", "-f", "qcow2", "-o", options, "-b", "sub/middle", "-F", "qcow2", Disk, "2M");
        await UseAsync(contents, 5);
    }

    [Test]
    public async Task What_is_made_by_us_is_described_by_qemu_img_as_it_was_asked_for()
    {
        await File.WriteAllBytesAsync(_folder["base"], new byte[4096]);
        Qcow2BlockDevice.Create(Disk, Length, new Qcow2CreateOptions
        {
            BackingPath = "base",
            ClusterSize = 4096,
            RefcountBits = 8,
            HasLazyRefcounts = true,
        });
        string info = QemuImage.Run("info", Disk);
        Assert.That(info, Does.Contain("lazy refcounts: true").And.Contain("refcount bits: 8").And.Contain("cluster_size: 4096").And.Contain("backing file format: raw"));
        QemuImage.AssertClean(Disk);

        Qcow2Info ours = Qcow2BlockDevice.GetInfo(Disk);
        Assert.That((ours.BackingPath, ours.BackingFormat, ours.RefcountBits, ours.HasLazyRefcounts, ours.Length), Is.EqualTo(("base", "raw", 8, true, (long)Length)));
    }

    [Test]
    public async Task What_is_written_by_us_is_read_by_qemu_io()
    {
        Qcow2BlockDevice.Create(Disk, Length);
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            await device.WriteAsync(70_144, Enumerable.Repeat((byte)9, 1024).ToArray());
        }

        Assert.That(QemuImage.Io(Disk, "read -P 9 70144 1024", "read -P 0 0 70144"), Does.Not.Contain("failed"));
        QemuImage.Io(Disk, "write -P 3 0 64k");
        await using Qcow2BlockDevice again = Qcow2BlockDevice.Open(Disk, new Qcow2Options { IsReadOnly = true });
        byte[] read = new byte[64 << 10];
        await again.ReadAsync(0, read);
        Assert.That(read, Has.All.EqualTo(3));
    }

    [Test]
    public async Task An_image_that_was_not_closed_is_put_right_when_it_is_opened()
    {
        QemuImage.Run("create", "-f", "qcow2", "-o", "lazy_refcounts=on", Disk, "2M");
        PeerTool.TryRun("qemu-utils", "qemu-io", "-c", "write -P 5 0 1M", "-c", "flush", "-c", "abort", "-f", "qcow2", Disk);
        Assert.That(Qcow2BlockDevice.GetInfo(Disk).IsDirty);
        Assert.That(Qcow2Check.Run(Disk).Corruptions, Is.GreaterThan(0));

        byte[] contents = new byte[Length];
        contents.AsSpan(0, 1 << 20).Fill(5);
        await UseAsync(contents, 3);
        Assert.That(Qcow2BlockDevice.GetInfo(Disk).IsDirty, Is.False);
    }

    [Test]
    public async Task Bitmaps_of_changes_are_marked_as_not_kept_up_when_the_image_is_opened_to_be_written()
    {
        QemuImage.Run("create", "-f", "qcow2", Disk, "2M");
        QemuImage.Run("bitmap", "--add", Disk, "changes");
        Assert.That(Qcow2Check.Run(Disk).Messages, Is.Empty);
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            await device.WriteAsync(0, new byte[512]);
        }

        QemuImage.AssertUsable(Disk);
        Assert.That(QemuImage.Run("info", Disk), Does.Not.Contain("changes"));
    }

    [TestCase("extended_l2=on", "subclusters")]
    [TestCase("data_file=data,data_file_raw=on", "external data file")]
    public void What_is_not_supported_is_refused_by_name(string options, string name)
    {
        string path = _folder["data"];
        QemuImage.Run("create", "-f", "qcow2", "-o", options.Replace("=data,", $"={path},", StringComparison.Ordinal), Disk, "2M");
        Assert.That(() => Qcow2BlockDevice.Open(Disk), Throws.InstanceOf<DiskImageException>().With.Message.Contains(name).And.Message.Contains("qemu-img convert"));
    }

    /// <summary>Compares an image with what it has to have, changes it, and has QEMU check it.</summary>
    private async Task<byte[]> UseAsync(byte[] contents, int seed)
    {
        BlockModel model;
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            model = new(device, contents, seed);
            await model.CheckAsync();
            await model.RunAsync(150);
            await model.CheckAsync();
        }

        Assert.That(Qcow2Check.Run(Disk).Messages, Is.Empty);
        QemuImage.AssertClean(Disk);
        QemuImage.AssertContents(Disk, model.Contents, _folder["copy"]);
        return model.Contents;
    }

    private async Task AssertSnapshotAsync(string name, byte[] contents)
    {
        await using Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk, new Qcow2Options { Snapshot = name });
        byte[] all = new byte[device.Length];
        await device.ReadAsync(0, all);
        Assert.That(all.AsSpan().SequenceEqual(contents));
        Assert.That(async () => await device.WriteAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>());
    }

    /// <summary>Text that compresses, noise, and zeroes.</summary>
    private byte[] MakeRaw(string name)
    {
        byte[] raw = new byte[Length];
        new Random(1).NextBytes(raw.AsSpan(0, 600 << 10));
        for (int i = 800 << 10; i < 1500 << 10; i++)
        {
            raw[i] = (byte)(i / 999);
        }

        File.WriteAllBytes(_folder[name], raw);
        return raw;
    }
}
