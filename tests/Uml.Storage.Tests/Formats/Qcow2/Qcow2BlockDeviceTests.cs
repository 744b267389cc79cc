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
