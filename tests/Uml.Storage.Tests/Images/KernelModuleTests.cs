using System.IO.Compression;
using Uml.Storage.Images;

namespace Uml.Storage.Tests.Images;

public sealed class KernelModuleTests
{
    private static readonly string[] _loadOrder =
    [
        "/lib/modules/6.1.0-test/kernel/lib/crc32c_generic.ko",
        "/lib/modules/6.1.0-test/kernel/lib/libcrc32c.ko",
        "/lib/modules/6.1.0-test/kernel/fs/jbd2.ko",
        "/lib/modules/6.1.0-test/kernel/fs/ext4-fs.ko",
    ];

    [Test]
    public void Modules_come_behind_what_they_need_and_built_in_ones_are_left_out()
    {
        using ScratchDirectory scratch = CreateTree();
        InitramfsBuilder builder = new();

        IReadOnlyList<string> order = builder.AddModules(scratch["6.1.0-test"], ["ext4_fs", "crc16", "ext4-fs"]);

        Dictionary<string, CpioEntry> entries = CpioReader.Read(builder.Build()).ToDictionary(entry => entry.Name);
        Assert.Multiple(() =>
        {
            Assert.That(order, Is.EqualTo(_loadOrder));
            Assert.That(entries["etc/modules.load"].Text, Is.EqualTo(string.Join('\n', _loadOrder) + "\n"));
            Assert.That(entries["lib/modules/6.1.0-test/kernel/fs/jbd2.ko"].Data.AsSpan(0, 4).ToArray(), Is.EqualTo("\u007fELF"u8.ToArray()));
        });
    }

    [Test]
    public void A_soft_dependency_that_the_kernel_has_built_in_brings_no_module()
    {
        using ScratchDirectory scratch = new();
        Write(scratch, "fs.ko", FakeModule.Create("softdep=pre: crc32c"));
        Write(scratch, "crc32c-intel.ko", FakeModule.Create("alias=crc32c"));
        Write(scratch, "modules.builtin.modinfo", "crc32c_generic.alias=crc32c\0"u8.ToArray());

        Assert.That(new InitramfsBuilder().AddModules(scratch["6.1.0-test"], ["fs"]), Has.Count.EqualTo(1));
    }

    [Test]
    public void A_circle_of_dependencies_ends()
    {
        using ScratchDirectory scratch = new();
        Write(scratch, "a.ko", FakeModule.Create("depends=b"));
        Write(scratch, "b.ko", FakeModule.Create("depends=a"));

        Assert.That(new InitramfsBuilder().AddModules(scratch["6.1.0-test"], ["a"]), Has.Count.EqualTo(2));
    }

    [Test]
    public void A_missing_module_a_missing_dependency_and_a_missing_directory_are_named()
    {
        using ScratchDirectory scratch = new();
        Write(scratch, "a.ko", FakeModule.Create("depends=ghost"));

        Assert.Multiple(() =>
        {
            Assert.That(() => new InitramfsBuilder().AddModules(scratch["6.1.0-test"], ["nosuch"]), Throws.InstanceOf<ImageContentException>().With.Message.Contains("nosuch"));
            Assert.That(() => new InitramfsBuilder().AddModules(scratch["6.1.0-test"], ["a"]), Throws.InstanceOf<ImageContentException>().With.Message.Contains("ghost"));
            Assert.That(() => new InitramfsBuilder().AddModules(scratch["nowhere"], ["a"]), Throws.InstanceOf<ImageContentException>().With.Message.Contains("nowhere"));
        });
    }

    [Test]
    public void A_damaged_module_gives_the_typed_error_only()
    {
        using ScratchDirectory scratch = new();
        byte[] good = FakeModule.Create("depends=", "license=GPL");
        Random random = new(1);
        for (int round = 0; round < 500; round++)
        {
            byte[] bad = good.AsSpan(0, round % 2 == 0 ? random.Next(good.Length) : good.Length).ToArray();
            for (int i = 0; i < 3 && bad.Length > 0; i++)
            {
                bad[random.Next(bad.Length)] = (byte)random.Next(256);
            }

            Write(scratch, "a.ko", bad);
            try
            {
                new InitramfsBuilder().AddModules(scratch["6.1.0-test"], ["a"]);
            }
            catch (ImageContentException)
            {
                continue;
            }
        }
    }

    private static ScratchDirectory CreateTree()
    {
        ScratchDirectory scratch = new();
        Write(scratch, "kernel/fs/ext4-fs.ko", FakeModule.Create("depends=jbd2,crc16", "softdep=pre: crc32c"));
        WriteGzip(scratch, "kernel/fs/jbd2.ko.gz", FakeModule.Create("license=GPL", "depends=libcrc32c"));
        Write(scratch, "kernel/lib/libcrc32c.ko", FakeModule.Create("softdep=pre: crc32c", "depends="));
        Write(scratch, "kernel/lib/crc32c_generic.ko", FakeModule.Create("alias=crypto-crc32c", "alias=crc32c"));
        Write(scratch, "modules.builtin", "kernel/lib/crc16.ko\n"u8.ToArray());
        return scratch;
    }

    private static void Write(ScratchDirectory scratch, string name, byte[] contents)
    {
        string path = scratch["6.1.0-test/" + name];
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, contents);
    }

    private static void WriteGzip(ScratchDirectory scratch, string name, byte[] contents)
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest))
        {
            gzip.Write(contents);
        }

        Write(scratch, name, packed.ToArray());
    }
}
