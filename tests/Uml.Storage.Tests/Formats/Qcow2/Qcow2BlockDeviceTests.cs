using Uml.Storage.Formats.Qcow2;

namespace Uml.Storage.Tests.Formats.Qcow2;

public sealed class Qcow2BlockDeviceTests
{
    private TemporaryFolder _folder = null!;

    private string Disk => _folder["disk"];

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase(2, 512, 16, 1)]
    [TestCase(2, 4096, 16, 2)]
    [TestCase(2, 65536, 16, 3)]
    [TestCase(3, 512, 1, 4)]
    [TestCase(3, 512, 64, 5)]
    [TestCase(3, 1024, 8, 6)]
    [TestCase(3, 4096, 2, 7)]
    [TestCase(3, 16384, 4, 8)]
    [TestCase(3, 65536, 16, 9)]
    [TestCase(3, 65536, 32, 10)]
    [TestCase(3, 2097152, 16, 11)]
    public async Task Random_requests_read_what_was_written_and_qemu_agrees(int version, int clusterSize, int refcountBits, int seed)
    {
        const int length = (3 << 20) + 512;
        Qcow2BlockDevice.Create(Disk, length, new Qcow2CreateOptions { Version = version, ClusterSize = clusterSize, RefcountBits = refcountBits });
        BlockModel model;
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            model = new(device, new byte[length], seed);
            await model.RunAsync(1000);
        }

        await using (Qcow2BlockDevice again = Qcow2BlockDevice.Open(Disk))
        {
            await model.CheckAsync(again);
        }

        Assert.That(Qcow2Check.Run(Disk).Messages, Is.Empty);
        QemuImage.AssertClean(Disk);
        QemuImage.AssertContents(Disk, model.Contents, _folder["raw"]);
    }

    [TestCase(2, 512)]
    [TestCase(2, 65536)]
    [TestCase(3, 4096)]
    [TestCase(3, 65536)]
    public async Task Random_requests_over_an_image_leave_that_as_it_is(int version, int clusterSize)
    {
        byte[] below = MakeImage((1 << 20) + 1536);
        await File.WriteAllBytesAsync(_folder["below"], below);
        Qcow2BlockDevice.Create(Disk, 2 << 20, new Qcow2CreateOptions { Version = version, ClusterSize = clusterSize, BackingPath = "below" });
        BlockModel model;
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            byte[] contents = new byte[2 << 20];
            below.CopyTo(contents, 0);
            model = new(device, contents, clusterSize);
            await model.CheckAsync();
            await model.RunAsync(600);
        }

        Assert.That(await File.ReadAllBytesAsync(_folder["below"]), Is.EqualTo(below));
        QemuImage.AssertClean(Disk);
        QemuImage.AssertContents(Disk, model.Contents, _folder["raw"]);
    }

    [Test]
    public async Task A_preallocated_image_is_written_in_place()
    {
        const int length = 4 << 20;
        Qcow2BlockDevice.Create(Disk, length, new Qcow2CreateOptions { Preallocation = Qcow2Preallocation.Metadata });
        QemuImage.AssertClean(Disk);
        long size = new FileInfo(Disk).Length;
        byte[] contents = MakeImage(length);
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            await device.WriteAsync(0, contents);
        }

        Assert.That(new FileInfo(Disk).Length, Is.EqualTo(size));
        QemuImage.AssertClean(Disk);
        QemuImage.AssertContents(Disk, contents, _folder["raw"]);
    }

    private static byte[] MakeImage(int length)
    {
        byte[] image = new byte[length];
        new Random(length).NextBytes(image);
        return image;
    }
}
