using Uml.Hosting.CommandLine;
using Uml.Storage.Blocks;
using Uml.Storage.Tools;

namespace Uml.Hosting.Tests.CommandLine;

public sealed class DiskOptionTests
{
    [Test]
    public void A_file_alone_is_a_raw_image_that_is_locked_and_written()
    {
        Assert.That(DiskOption.TryParse("disk.img", out DiskOption? disk, out _));
        Assert.That(disk, Is.EqualTo(new DiskOption("disk.img", DiskImageFormat.Raw, Locks: true)));
    }

    [TestCase("f,format=cow,backing=b,ro", DiskImageFormat.UmlCow)]
    [TestCase("f,format=qcow2,backing=b,ro", DiskImageFormat.Qcow2)]
    public void Words_behind_commas_set_options(string text, DiskImageFormat format)
    {
        Assert.That(DiskOption.TryParse(text, out DiskOption? disk, out _));
        Assert.That(disk, Is.EqualTo(new DiskOption("f", format, "b", IsReadOnly: true)));
    }

    [Test]
    public void The_format_of_an_image_below_qcow2_can_be_stated()
    {
        Assert.That(DiskOption.TryParse("f,format=qcow2,backing=b,backing-format=qcow2,sync,nolock", out DiskOption? disk, out _));
        Assert.That(disk, Is.EqualTo(new DiskOption("f", DiskImageFormat.Qcow2, "b", false, true, false, DiskImageFormat.Qcow2)));
    }

    [TestCase("", "names no file")]
    [TestCase("f,format=vmdk", "write raw or cow or qcow2")]
    [TestCase("f,backing=b", "write format=cow or format=qcow2")]
    [TestCase("f,format=cow,backing=b,backing-format=raw", "only qcow2")]
    [TestCase("f,format=qcow2,backing-format=cow", "backing-format=raw|qcow2")]
    [TestCase("f,rw", "no option of a disk")]
    public void What_is_wrong_is_said_with_what_to_write(string text, string part)
    {
        Assert.That(DiskOption.TryParse(text, out DiskOption? disk, out string? problem), Is.False);
        Assert.That(disk, Is.Null);
        Assert.That(problem, Does.Contain(part));
    }

    [TestCase("cow", DiskImageFormat.Raw)]
    [TestCase("qcow2", DiskImageFormat.Raw)]
    [TestCase("qcow2,backing-format=qcow2", DiskImageFormat.Qcow2)]
    public async Task An_image_over_another_is_made_when_it_is_not_there(string format, DiskImageFormat below)
    {
        string folder = Directory.CreateTempSubdirectory("uml-hosting-").FullName;
        try
        {
            string backing = Path.Combine(folder, "base"), top = Path.Combine(folder, "top");
            DiskImage.Create(backing, below, 1 << 20);
            Assert.That(DiskOption.TryParse($"{top},format={format},backing={backing}", out DiskOption? disk, out _));
            for (int i = 0; i < 2; i++)
            {
                await using IBlockDevice device = disk!.Open();
                Assert.That(device.Length, Is.EqualTo(1 << 20));
                await device.WriteAsync(0, new byte[512]);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
