using System.Buffers.Binary;
using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using SharpCompress.Compressors.Xz;
using Uml.Storage.Images;

namespace Uml.Storage.Tests.Images;

/// <summary>Packages that were made to take the host's memory, time or disk, or to trip their reader.</summary>
[CancelAfter(60_000)]
public sealed class HostilePackageTests
{
    private const int Megabyte = 1 << 20;

    [TestCase('x')]
    [TestCase('g')]
    [TestCase('L')]
    [TestCase('K')]
    public void An_extended_header_takes_a_megabyte_at_most(char type)
    {
        using ScratchDirectory scratch = new();
        using DebianPackage package = Open(Package("data.tar.gz", Gzip(stream =>
        {
            WriteHeader(stream, "long", type, 900L * Megabyte);
            byte[] zeros = new byte[Megabyte];
            for (int i = 0; i < 64; i++)
            {
                stream.Write(zeros);
            }
        })));
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.That(() => package.Extract(scratch["out"]), Throws.InstanceOf<ImageContentException>().With.Message.Contains("extended headers"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(16 * Megabyte));
    }

    [Test]
    public void Many_extended_headers_before_an_entry_take_a_megabyte_together()
    {
        using ScratchDirectory scratch = new();
        byte[] pax = Encoding.ASCII.GetBytes("20 comment=123456789\n");
        using DebianPackage package = Open(Package("data.tar.gz", Gzip(stream =>
        {
            for (int i = 0; i < 4000; i++)
            {
                WriteHeader(stream, "global", 'g', pax.Length);
                stream.Write(pax);
                stream.Write(new byte[512 - pax.Length]);
            }
        })));

        Assert.That(() => package.Extract(scratch["out"]), Throws.InstanceOf<ImageContentException>());
    }

    [Test]
    public void A_long_name_and_attributes_of_a_usual_size_read_back()
    {
        using ScratchDirectory scratch = new();
        string name = $"{new string('d', 200)}/{new string('f', 200)}";
        PaxTarEntry entry = new(TarEntryType.RegularFile, name, [new("UML.note", new string('n', 100_000))])
        {
            DataStream = new MemoryStream("text"u8.ToArray()),
        };
        using DebianPackage package = Open(FakePackage.Create(".gz", entry, new GnuTarEntry(TarEntryType.Directory, new string('g', 150))));

        package.Extract(scratch["out"]);

        Assert.That(File.ReadAllText(scratch[$"out/{name}"]), Is.EqualTo("text"));
        Assert.That(Directory.Exists(scratch[$"out/{new string('g', 150)}"]));
    }

    [Test]
    public void Names_and_links_that_no_file_can_have_give_the_typed_error()
    {
        string deep = string.Concat(Enumerable.Repeat("d/", 3000));
        TarEntry[] entries =
        [
            new PaxTarEntry(TarEntryType.RegularFile, new string('n', 300)),
            new PaxTarEntry(TarEntryType.Directory, new string('ä', 150)),
            new PaxTarEntry(TarEntryType.RegularFile, deep + "file"),
            new PaxTarEntry(TarEntryType.SymbolicLink, new string('n', 300)) { LinkName = "target" },
            new PaxTarEntry(TarEntryType.SymbolicLink, "long") { LinkName = new string('t', 5000) },
            new PaxTarEntry(TarEntryType.HardLink, new string('n', 300)) { LinkName = "file" },
            new PaxTarEntry(TarEntryType.HardLink, "hard") { LinkName = new string('t', 300) },
            new PaxTarEntry(TarEntryType.HardLink, "file") { LinkName = "file" },
            new PaxTarEntry(TarEntryType.HardLink, "hard") { LinkName = "." },
        ];
        foreach (TarEntry entry in entries)
        {
            using ScratchDirectory scratch = new();
            using DebianPackage package = Open(FakePackage.Create("", FakePackage.File("file", "x"), entry));
            Assert.That(() => package.Extract(scratch["out"]), Throws.InstanceOf<ImageContentException>(), $"{entry.EntryType} {entry.Name.Length}");
        }
    }

    [Test]
    public void An_empty_link_target_gives_the_typed_error()
    {
        using ScratchDirectory scratch = new();
        using DebianPackage package = Open(Package("data.tar.gz", Gzip(stream => WriteHeader(stream, "empty", '2', 0))));

        Assert.That(() => package.Extract(scratch["out"]), Throws.InstanceOf<ImageContentException>());
    }

    [Test]
    public void Hard_links_do_not_multiply_a_file_beyond_the_limit()
    {
        using ScratchDirectory scratch = new();
        TarEntry[] entries =
        [
            FakePackage.File("file", new string('x', 50_000)),
            .. Enumerable.Range(0, 10).Select(i => FakePackage.Link(TarEntryType.HardLink, $"copy{i}", "file")),
        ];
        using DebianPackage package = Open(FakePackage.Create(".gz", entries));
        package.MaximumUnpackedBytes = 200_000;

        Assert.That(() => package.Extract(scratch["out"]), Throws.InstanceOf<ImageContentException>().With.Message.Contains("200000"));
        Assert.That(Directory.GetFiles(scratch["out"]), Has.Length.LessThan(6));
    }

    [Test]
    public void An_xz_dictionary_beyond_that_of_the_largest_preset_is_refused()
    {
        byte[] xz = Convert.FromBase64String(FakePackage.XzTar);
        xz[16] = 37; // the LZMA2 filter's only property, in the block header from 12 to 24: 1.5 GiB
        BinaryPrimitives.WriteUInt32LittleEndian(xz.AsSpan(20), Crc32.Compute(xz.AsSpan(12, 8).ToArray()));
        using DebianPackage package = Open(Package("data.tar.xz", xz));
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.That(() => package.ReadFile("hello"), Throws.InstanceOf<ImageContentException>().With.Message.Contains("1610612736"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(Megabyte));
    }

    [Test]
    public void A_file_that_is_not_there_takes_no_memory()
    {
        using DebianPackage package = Open(Package("data.tar.gz", Gzip(stream => WriteHeader(stream, "big", '0', 200L * Megabyte))));
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.That(() => package.ReadFile("big"), Throws.InstanceOf<ImageContentException>());
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(Megabyte));
    }

    [Test]
    public void A_control_file_of_continuation_lines_takes_little_more_than_itself()
    {
        string control = "Package: test\nVersion: 1\nDescription: x\n" + string.Concat(Enumerable.Repeat(" \n", 400_000));
        using MemoryStream ar = new();
        ar.Write("!<arch>\n"u8);
        FakePackage.AddMember(ar, "debian-binary", "2.0\n"u8);
        FakePackage.AddMember(ar, "control.tar", FakePackage.Tar(FakePackage.File("control", control)));
        FakePackage.AddMember(ar, "data.tar", FakePackage.Tar());
        using DebianPackage package = Open(ar.ToArray());
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.That(package.ReadControl()["Description"], Has.Length.EqualTo(400_001));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(64 * Megabyte));
    }

    [Test]
    public void Extraction_ends_when_it_is_cancelled_within_a_file()
    {
        using ScratchDirectory scratch = new();
        using DebianPackage package = Open(Package("data.tar.gz", Gzip(stream =>
        {
            WriteHeader(stream, "big", '0', 200L * Megabyte);
            byte[] zeros = new byte[Megabyte];
            for (int i = 0; i < 200; i++)
            {
                stream.Write(zeros);
            }
        })));
        using CancellationTokenSource cancel = new();

        Assert.That(
            () => package.Extract(scratch["out"], _ => Cancel(cancel), cancel.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(new FileInfo(scratch["out/big"]).Length, Is.LessThan(100 * Megabyte));
    }

    [Test]
    [Platform("Linux")]
    public void Links_in_a_module_tree_are_not_followed()
    {
        using ScratchDirectory scratch = new();
        string tree = scratch["6.1.0-test"];
        Directory.CreateDirectory(tree);
        Directory.CreateDirectory(scratch["elsewhere"]);
        File.WriteAllBytes(scratch["elsewhere/stranger.ko"], FakeModule.Create("depends="));
        File.WriteAllBytes(Path.Combine(tree, "own.ko"), FakeModule.Create("depends="));
        File.CreateSymbolicLink(Path.Combine(tree, "a"), ".");
        File.CreateSymbolicLink(Path.Combine(tree, "b"), ".");
        File.CreateSymbolicLink(Path.Combine(tree, "out"), "../elsewhere");
        File.CreateSymbolicLink(Path.Combine(tree, "link.ko"), "../elsewhere/stranger.ko");

        Task<IReadOnlyList<string>> modules = Task.Run(() => new InitramfsBuilder().AddModules(tree, ["own"]));

        Assert.That(modules.Wait(TimeSpan.FromSeconds(20)), "the tree is walked for ever");
        Assert.That(modules.Result, Has.Count.EqualTo(1));
        foreach (string name in (string[])["stranger", "link"])
        {
            Assert.That(() => new InitramfsBuilder().AddModules(tree, [name]), Throws.InstanceOf<ImageContentException>());
        }
    }

    [TestCase("modules.builtin")]
    [TestCase("modules.builtin.modinfo")]
    [Platform("Linux")]
    public void A_list_beside_the_modules_that_is_a_link_or_endless_is_refused(string list)
    {
        using ScratchDirectory scratch = new();
        string tree = scratch["6.1.0-test"];
        Directory.CreateDirectory(tree);
        File.WriteAllBytes(Path.Combine(tree, "fs.ko"), FakeModule.Create("softdep=pre: ghost"));
        File.CreateSymbolicLink(Path.Combine(tree, list), "/dev/zero");
        Assert.That(() => new InitramfsBuilder().AddModules(tree, ["fs"]), Throws.InstanceOf<ImageContentException>());

        File.Delete(Path.Combine(tree, list));
        using (FileStream large = File.Create(Path.Combine(tree, list)))
        {
            large.SetLength(1L << 30);
        }

        Assert.That(() => new InitramfsBuilder().AddModules(tree, ["fs"]), Throws.InstanceOf<ImageContentException>());
    }

    [Test]
    public void A_module_that_says_too_much_about_itself_is_refused()
    {
        using ScratchDirectory scratch = new();
        Directory.CreateDirectory(scratch["6.1.0-test"]);
        File.WriteAllBytes(scratch["6.1.0-test/chatty.ko"], FakeModule.Create(new string('\0', 32 * Megabyte)));
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.That(
            () => new InitramfsBuilder().AddModules(scratch["6.1.0-test"], ["chatty"]), Throws.InstanceOf<ImageContentException>().With.Message.Contains("chatty"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(176 * Megabyte));
    }

    private static bool Cancel(CancellationTokenSource cancel)
    {
        cancel.CancelAfter(1);
        return true;
    }

    private static byte[] Package(string name, byte[] data)
    {
        using MemoryStream ar = new();
        ar.Write("!<arch>\n"u8);
        FakePackage.AddMember(ar, "debian-binary", "2.0\n"u8);
        FakePackage.AddMember(ar, "control.tar", FakePackage.Tar());
        FakePackage.AddMember(ar, name, data);
        return ar.ToArray();
    }

    private static byte[] Gzip(Action<Stream> write)
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest))
        {
            write(gzip);
        }

        return packed.ToArray();
    }

    // POSIX.1-2017, pax, "ustar Interchange Format".
    private static void WriteHeader(Stream stream, string name, char type, long size)
    {
        byte[] header = new byte[512];
        Put(0, name);
        Put(100, "0000644\0");
        Put(108, "0000000\0");
        Put(116, "0000000\0");
        Put(124, Convert.ToString(size, 8).PadLeft(11, '0'));
        Put(136, "00000000000");
        Put(148, "        ");
        header[156] = (byte)type;
        Put(257, "ustar\0" + "00");
        Put(148, Convert.ToString(header.Sum(value => value), 8).PadLeft(6, '0') + "\0 ");
        stream.Write(header);

        void Put(int offset, string text) => Encoding.ASCII.GetBytes(text).CopyTo(header, offset);
    }

    private static DebianPackage Open(byte[] bytes) => DebianPackage.Open(new MemoryStream(bytes), "test.deb");
}
