using System.IO.Compression;
using Uml.Storage.Images;
using ZstdSharp;

namespace Uml.Storage.Tests.Images;

public sealed class InitramfsBuilderTests
{
    private static readonly string[] _nestedPaths = ["a", "a/b", "a/b/c.txt"];

    [TestCase("/TRAILER!!!")]
    [TestCase("TRAILER!!!/below")]
    public void A_name_that_the_archive_cannot_tell_is_refused(string path) =>
        Assert.That(() => new InitramfsBuilder().AddText(path, "x"), Throws.ArgumentException);

    // Not a test case's argument: attributes are UTF-8 themselves.
    [Test]
    public void Half_of_a_surrogate_pair_is_refused() =>
        Assert.That(() => new InitramfsBuilder().AddText("a/\ud800", "x"), Throws.ArgumentException);

    [Test]
    public void Every_kind_of_entry_reads_back_with_its_attributes()
    {
        byte[] archive = new InitramfsBuilder { ModificationTime = 7 }
            .AddText("/init", "#!/bin/sh\n", new InitramfsAttributes(0x1ed))
            .AddDirectory("tmp", new InitramfsAttributes(0x3ff, 1, 2))
            .AddSymbolicLink("/bin/sh", "busybox")
            .AddDeviceNode("/dev/console", DeviceNodeType.Character, 5, 1)
            .AddDeviceNode("/dev/vda", DeviceNodeType.Block, 254, 0, new InitramfsAttributes(0x1b0, 0, 6))
            .AddFile("data", new byte[] { 1, 2, 3 })
            .Build();

        Dictionary<string, CpioEntry> entries = CpioReader.Read(archive).ToDictionary(entry => entry.Name);
        Assert.Multiple(() =>
        {
            Assert.That(entries["init"].Mode, Is.EqualTo(0x81ed));
            Assert.That(entries["init"].Text, Is.EqualTo("#!/bin/sh\n"));
            Assert.That(entries["init"].ModificationTime, Is.EqualTo(7));
            Assert.That((entries["tmp"].Mode, entries["tmp"].UserId, entries["tmp"].GroupId), Is.EqualTo((0x43ffu, 1u, 2u)));
            Assert.That((entries["bin/sh"].Mode, entries["bin/sh"].Text), Is.EqualTo((0xa1ffu, "busybox")));
            Assert.That((entries["dev/console"].Mode, entries["dev/console"].Major, entries["dev/console"].Minor), Is.EqualTo((0x2180u, 5u, 1u)));
            Assert.That((entries["dev/vda"].Mode, entries["dev/vda"].Major, entries["dev/vda"].GroupId), Is.EqualTo((0x61b0u, 254u, 6u)));
            Assert.That(entries["data"].Data, Is.EqualTo(new byte[] { 1, 2, 3 }));
            Assert.That(entries.Values.Select(entry => entry.Inode), Is.Unique);
        });
    }

    [Test]
    public void Missing_parent_directories_come_before_their_contents()
    {
        byte[] archive = new InitramfsBuilder().AddText("a/b/c.txt", "x").Build();

        Assert.That(CpioReader.Read(archive).Select(entry => entry.Name), Is.EqualTo(_nestedPaths));
    }

    [Test]
    public void The_order_of_the_calls_does_not_change_the_bytes()
    {
        byte[] one = new InitramfsBuilder().AddText("a/x", "1").AddText("b", "2").AddDirectory("a").Build();
        byte[] other = new InitramfsBuilder().AddText("b", "2").AddDirectory("a").AddText("a/x", "1").Build();

        Assert.That(one, Is.EqualTo(other));
    }

    [Test]
    public void Packed_archives_unpack_to_the_plain_one()
    {
        InitramfsBuilder builder = new InitramfsBuilder().AddFile("zeros", new byte[100_000]);
        byte[] plain = builder.Build();

        using MemoryStream gzip = new();
        using (GZipStream unpack = new(new MemoryStream(builder.Build(InitramfsCompression.Gzip)), CompressionMode.Decompress))
        {
            unpack.CopyTo(gzip);
        }

        using Decompressor zstd = new();
        using MemoryStream zstdPlain = new();
        using (DecompressionStream unpack = new(new MemoryStream(builder.Build(InitramfsCompression.Zstd))))
        {
            unpack.CopyTo(zstdPlain);
        }

        Assert.That(gzip.ToArray(), Is.EqualTo(plain));
        Assert.That(zstdPlain.ToArray(), Is.EqualTo(plain));
    }

    [Test]
    public void A_host_directory_comes_with_links_and_modes()
    {
        using ScratchDirectory scratch = new();
        Directory.CreateDirectory(scratch["tree/sub"]);
        File.WriteAllText(scratch["tree/sub/run"], "hello");
        File.CreateSymbolicLink(scratch["tree/link"], "sub/run");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(scratch["tree/sub/run"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        byte[] archive = new InitramfsBuilder().AddHostDirectory("/opt", scratch["tree"]).Build();

        Dictionary<string, CpioEntry> entries = CpioReader.Read(archive).ToDictionary(entry => entry.Name);
        Assert.Multiple(() =>
        {
            Assert.That((entries["opt/sub/run"].Mode, entries["opt/sub/run"].Text), Is.EqualTo((0x8140u, "hello")));
            Assert.That(entries["opt/link"].Text, Is.EqualTo("sub/run"));
            Assert.That(entries["opt/sub"].Mode & 0xf000, Is.EqualTo(0x4000));
        });
    }

    [TestCase("")]
    [TestCase("/")]
    [TestCase("../etc/passwd")]
    [TestCase("a/./b")]
    [TestCase("a\0b")]
    public void A_path_that_is_no_plain_path_is_refused(string path) =>
        Assert.That(() => new InitramfsBuilder().AddText(path, ""), Throws.ArgumentException);

    [Test]
    public void A_file_cannot_be_a_directory_too()
    {
        Assert.That(() => new InitramfsBuilder().AddText("a", "").AddText("a/b", ""), Throws.ArgumentException.With.Message.Contains("/a"));
        Assert.That(() => new InitramfsBuilder().AddText("a/b", "").AddText("a", ""), Throws.ArgumentException);
        Assert.That(() => new InitramfsBuilder().AddText("a", "").AddDirectory("a"), Throws.ArgumentException);
    }

    [Test]
    public void A_mode_with_type_bits_and_a_device_number_that_is_too_large_are_refused()
    {
        Assert.That(() => new InitramfsBuilder().AddText("a", "", new InitramfsAttributes(0x81ed)), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => new InitramfsBuilder().AddDeviceNode("a", DeviceNodeType.Block, 4096, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_missing_host_file_is_named() =>
        Assert.That(() => new InitramfsBuilder().AddHostFile("a", "/nonexistent/x"), Throws.InstanceOf<FileNotFoundException>().With.Message.Contains("/nonexistent/x"));
}
