using System.Text;
using Uml.Storage.Blocks;
using Uml.Storage.FileSystems.Ext4;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.Tests.FileSystems.Ext4;

[TestFixture]
public sealed class Ext4WriterTests
{
    private static readonly FileMetadata Plain = new(FileMetadata.DefaultFileMode) { ModificationTime = new FileTime(1_700_000_000, 123_456_789) };

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TemporaryFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public async Task An_empty_tree_is_a_file_system()
    {
        using FileTree tree = new();
        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"], new Ext4Options { Label = "empty" });
        string header = image.Header();
        Assert.That(header, Does.Contain("has_journal ext_attr resize_inode dir_index filetype extent flex_bg sparse_super large_file huge_file dir_nlink extra_isize metadata_csum"));
        Assert.That(header, Does.Match("volume name: +empty").And.Match("Filesystem state: +clean"));
    }

    /// <summary>Around the ends of groups, of groups that are placed together, and of journals' sizes.</summary>
    [Test]
    public async Task Every_size_is_a_file_system(
        [Values(6 << 20, 8 << 20, 128L << 20, (128 << 20) + 4096, 132 << 20, 140 << 20, (384L << 20) + 512, 1L << 30, 2L << 30, (2L << 30) + (4 << 20),
            (2L << 30) + (200 << 20), 9L << 30, 100L << 30, 1L << 40)] long length)
    {
        using FileTree tree = new();
        tree.Set("etc/name", File("x"));
        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"], new Ext4Options { Length = length, BytesPerInode = 1 << 20 });
        Assert.That(new FileInfo(image.Path).Length, Is.EqualTo(length));
    }

    [TestCase(1024)]
    [TestCase(64 << 20)]
    public async Task There_are_as_many_inodes_as_asked_for(int bytesPerInode)
    {
        using FileTree tree = new();
        await Ext4Image.WriteAsync(tree, _folder["disk"], new Ext4Options { Length = 600 << 20, BytesPerInode = bytesPerInode });
    }

    [Test]
    public async Task All_kinds_of_entries_keep_what_they_are()
    {
        using FileTree tree = new();
        tree.Set("a/file", File("hello", Plain with { Mode = 0xFFF, UserId = 70_000, GroupId = 4_000_000_000 }));
        tree.Set("a/short", FileNode.CreateSymbolicLink(Plain, Encoding.UTF8.GetBytes(new string('s', 59))));
        tree.Set("a/long", FileNode.CreateSymbolicLink(Plain, Encoding.UTF8.GetBytes(new string('l', 60))));
        tree.Set("a/longest", FileNode.CreateSymbolicLink(Plain, Encoding.UTF8.GetBytes(new string('l', 4095))));
        tree.Set("a/null", FileNode.CreateDevice(FileKind.CharacterDevice, Plain, 1, 3));
        tree.Set("a/disk", FileNode.CreateDevice(FileKind.BlockDevice, Plain, 4095, 0xFFFFF));
        tree.Set("a/pipe", FileNode.CreateSpecial(FileKind.Fifo, Plain));
        tree.Set("a/socket", FileNode.CreateSpecial(FileKind.Socket, Plain));
        tree.Set("a/old", File("", Plain with { ModificationTime = new FileTime(-2_000_000_000) }));
        tree.Set("a/late", File("", Plain with { ModificationTime = new FileTime(10_000_000_000, 5) }));
        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"]);
        Assert.Multiple(() =>
        {
            // debugfs takes numbers of groups for signed ones: 4000000000.
            Assert.That(image.Ask("stat a/file"), Does.Match("Mode: +07777").And.Match("User: +70000 +Group: +-294967296").And.Contain("mtime: 0x6553f100:1d6f3454"));
            Assert.That(image.Ask("stat a/short"), Does.Contain($"Fast link dest: \"{new string('s', 59)}\""));
            Assert.That(image.Ask("stat a/long"), Does.Match("Type: symlink").And.Match("Size: 60\n"));
            Assert.That(image.Ask("stat a/longest"), Does.Match("Size: 4095\n"));
            Assert.That(image.Ask("stat a/null"), Does.Contain("character special").And.Contain("01:03"));
            Assert.That(image.Ask("stat a/disk"), Does.Contain("block special").And.Contain("4095:1048575"));
            Assert.That(image.Ask("stat a/pipe"), Does.Contain("FIFO"));
            Assert.That(image.Ask("stat a/socket"), Does.Contain("socket"));
            Assert.That(image.Ask("stat a/old"), Does.Contain("1906"));
            Assert.That(image.Ask("stat a/late"), Does.Contain("2286"));
        });
    }

    [Test]
    public async Task Files_with_hard_links_have_one_inode()
    {
        using FileTree tree = new();
        FileNode node = File("shared");
        for (int i = 0; i < 2000; i++)
        {
            tree.Set($"links/{i}", node);
        }

        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"]);
        Assert.That(image.Ask("stat links/1234"), Does.Contain("Links: 2000"));
        Assert.That(image.Dump("links/77"), Is.EqualTo("shared"u8.ToArray()));
    }

    [Test]
    public void More_links_than_can_be_counted_are_refused()
    {
        using FileTree tree = new();
        FileNode node = File("shared");
        for (int i = 0; i <= 65000; i++)
        {
            tree.Set($"{i}", node);
        }

        Assert.That(() => Ext4Writer.Measure(tree), Throws.TypeOf<ImageContentException>().With.Message.Contain("65000"));
    }

    [Test]
    public void A_directory_that_stands_in_two_places_is_refused()
    {
        using FileTree tree = new();
        FileNode node = FileNode.CreateDirectory(Plain);
        tree.Set("a", node);
        tree.Set("b", node);
        Assert.That(() => Ext4Writer.Measure(tree), Throws.TypeOf<ImageContentException>().With.Message.Contain("two places"));
    }

    /// <summary>The index has two levels from 508 blocks on.</summary>
    [TestCase(100, 200)]
    [TestCase(100_000, 16)]
    [TestCase(12_000, 250)]
    public async Task Large_directories_are_indexed(int count, int nameBytes)
    {
        using FileTree tree = new();
        FileNode empty = File("");
        for (int i = 0; i < count; i++)
        {
            tree.Set($"big/{i.ToString().PadLeft(nameBytes, 'n')}", count > 60_000 ? File("") : empty);
        }

        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"], new Ext4Options { FreeBytes = 1 << 20 });
        Assert.That(image.Ask("stat big"), Does.Contain("Flags: 0x81000"));
        Assert.That(image.Ask("htree_dump big"), Does.Match($"Indirect levels: {(count > 1000 ? 1 : 0)}"));
        Assert.That(image.Ask("ls -p big").Split('\n').Count(line => line.Contains('n', StringComparison.Ordinal)), Is.EqualTo(count).Or.EqualTo(count + 1));
    }

    [Test]
    public async Task A_directory_of_more_directories_than_links_can_count_has_a_count_of_one()
    {
        using FileTree tree = new();
        for (int i = 0; i < 65_000; i++)
        {
            tree.Set($"many/{i}", FileNode.CreateDirectory(Plain));
        }

        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"], new Ext4Options { FreeBytes = 1 << 20 });
        Assert.That(image.Ask("stat many"), Does.Contain("Links: 1 "));
    }

    [Test]
    public async Task Names_may_have_255_bytes_of_any_value()
    {
        using FileTree tree = new();
        for (int i = 0; i < 400; i++)
        {
            byte[] name = [.. "dir/"u8, .. Enumerable.Range(0, 255).Select(at => (byte)(((at * i) % 200) + 48))];
            tree.Set(name, File(""));
        }

        await Ext4Image.WriteAsync(tree, _folder["disk"]);
    }

    [Test]
    public async Task Attributes_are_in_the_inode_or_in_a_block()
    {
        byte[] capability = [1, 0, 0, 2, 0x80, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        using FileTree tree = new();
        tree.Set("small", File("", With(("security.capability", capability))));
        tree.Set("large", File("", With(("security.capability", capability), ("user.text", new byte[3000]), ("user.empty", []), ("trusted.x", [1]), ("user.more", new byte[200]))));
        byte[] list = [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xE8, 3, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255];
        tree.Set("list", File("", With(("system.posix_acl_access", list))));
        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"]);
        Assert.Multiple(() =>
        {
            Assert.That(image.Ask("stat small"), Does.Contain("security.capability (20)").And.Contain("File ACL: 0"));
            Assert.That(image.Ask("ea_get -x small security.capability"), Does.Contain("01 00 00 02 80 20 00 00"));
            Assert.That(image.Ask("ea_list large"), Does.Contain("user.text (3000)").And.Contain("trusted.x (1)").And.Contain("user.empty (0)"));
            Assert.That(image.Ask("stat large"), Does.Not.Contain("File ACL: 0\n"));
            Assert.That(image.Ask("ea_list list"), Does.Contain("system.posix_acl_access").And.Not.Contain("Invalid"));
        });
    }

    [TestCase("user.text", 5000, "bytes more")]
    [TestCase("odd.text", 5, "does not know")]
    [TestCase("system.posix_acl_access", 5, "access control list")]
    public void Attributes_that_cannot_be_are_refused(string name, int length, string message)
    {
        using FileTree tree = new();
        tree.Set("file", File("", With((name, new byte[length]))));
        Assert.That(() => Ext4Writer.Measure(tree), Throws.TypeOf<ImageContentException>().With.Message.Contain(message).And.Message.Contain("'file'"));
    }

    [Test]
    public async Task Holes_stay_holes_and_many_pieces_make_a_deep_tree()
    {
        List<FileRange> data = [.. Enumerable.Range(0, 3000).Select(i => new FileRange((long)i * 300_000_000, 5000)), new FileRange((1L << 40) - 1, 1)];
        using FileTree tree = new();
        tree.Set("sparse", FileNode.CreateFile(Plain, new PatternContent(1L << 40, data)));
        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"]);
        string status = image.Ask("stat sparse");
        Assert.That(status, Does.Match("Size: 1099511627776\n").And.Contain("ETB1"));
        Assert.That(Ext4Writer.Measure(tree), Is.LessThan(400 << 20));
    }

    [Test]
    public async Task Contents_are_where_they_belong()
    {
        using FileTree tree = new();
        int[] lengths = [0, 1, 4095, 4096, 4097, (1 << 20) - 1, (1 << 20) + 1, 150 << 20];
        foreach (int length in lengths)
        {
            tree.Set($"{length}", FileNode.CreateFile(Plain, new PatternContent(length)));
        }

        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"]);
        foreach (int length in lengths)
        {
            byte[] expected = new byte[length];
            new PatternContent(length).Read(0, expected);
            Assert.That(image.Dump($"{length}").AsSpan().SequenceEqual(expected), $"{length} bytes");
        }
    }

    [Test]
    public async Task The_same_files_make_the_same_bytes_in_whatever_order_they_came()
    {
        string[] names = [.. Enumerable.Range(0, 300).Select(i => $"d{i % 7}/n{i}")];
        string first = await BuildAsync(names, "first"), second = await BuildAsync(names.Reverse(), "second");
        Assert.That(System.IO.File.ReadAllBytes(second).AsSpan().SequenceEqual(System.IO.File.ReadAllBytes(first)));

        async Task<string> BuildAsync(IEnumerable<string> order, string name)
        {
            using FileTree tree = new();
            foreach (string path in order)
            {
                tree.Set(path, File(path));
            }

            await Ext4Writer.CreateAsync(tree, _folder[name], new Ext4Options { FreeBytes = 10 << 20 });
            return _folder[name];
        }
    }

    [Test]
    public async Task A_device_that_was_used_before_is_as_good_as_a_new_one()
    {
        using FileTree tree = new();
        tree.Set("file", FileNode.CreateFile(Plain, new PatternContent(10_000_000)));
        await using MemoryBlockDevice device = new(64 << 20);
        byte[] noise = new byte[1 << 20];
        new Random(1).NextBytes(noise);
        for (long place = 0; place < device.Length; place += noise.Length)
        {
            await device.WriteAsync(place, noise);
        }

        await Ext4Writer.WriteAsync(tree, new PlainDevice(device));
        byte[] image = new byte[device.Length];
        await device.ReadAsync(0, image);
        await System.IO.File.WriteAllBytesAsync(_folder["disk"], image);
        new Ext4Image(_folder["disk"]).Check();
    }

    [Test]
    public async Task A_device_that_is_too_small_says_what_is_needed()
    {
        using FileTree tree = new();
        tree.Set("file", FileNode.CreateFile(Plain, new PatternContent(20_000_000)));
        await using MemoryBlockDevice device = new(16 << 20);
        DiskImageException error = (await Assert.ThrowsAsync<DiskImageException>(() => Ext4Writer.WriteAsync(tree, device)))!;
        long needed = long.Parse(System.Text.RegularExpressions.Regex.Match(error.Message, "needs ([0-9]+) bytes").Groups[1].Value);
        Assert.That(needed, Is.InRange(20_000_000, 32_000_000));
        await Ext4Image.WriteAsync(tree, _folder["disk"], new Ext4Options { Length = needed });
    }

    [Test]
    public void Nothing_is_left_of_an_image_that_was_cancelled_or_failed()
    {
        using FileTree tree = new();
        tree.Set("file", FileNode.CreateFile(Plain, new PatternContent(50_000_000)));
        using CancellationTokenSource source = new();
        Cancel progress = new(source);
        Assert.That(() => Ext4Writer.CreateAsync(tree, _folder["disk"], null, progress, source.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(System.IO.File.Exists(_folder["disk"]), Is.False);
        tree.Set("file", FileNode.CreateFile(Plain, new FailingContent()));
        Assert.That(() => Ext4Writer.CreateAsync(tree, _folder["disk"]), Throws.TypeOf<IOException>().With.Message.Contain("broken"));
        Assert.That(System.IO.File.Exists(_folder["disk"]), Is.False);
    }

    [Test]
    public void Options_that_cannot_be_are_refused()
    {
        using FileTree tree = new();
        foreach (Ext4Options options in new Ext4Options[]
        {
            new() { Label = new string('x', 17) }, new() { Length = 0 }, new() { FreeBytes = -1 }, new() { BytesPerInode = 1 }, new() { FreeInodes = -1 }, new() { ReservedPercent = 51 },
        })
        {
            Assert.That(() => Ext4Writer.Measure(tree, options), Throws.ArgumentException);
        }
    }

    [Test]
    public async Task An_image_can_grow()
    {
        using FileTree tree = new();
        tree.Set("file", FileNode.CreateFile(Plain, new PatternContent(1_000_000)));
        Ext4Image image = await Ext4Image.WriteAsync(tree, _folder["disk"], new Ext4Options { Length = 200 << 20 });
        using (FileStream file = new(image.Path, FileMode.Open))
        {
            file.SetLength(5L << 30);
        }

        PeerTool.Run("e2fsprogs", "resize2fs", image.Path);
        image.Check();
        Assert.That(image.Header(), Does.Match("Block count: +1310720"));
    }

    private static FileNode File(string text, FileMetadata? metadata = null) =>
        FileNode.CreateFile(metadata ?? Plain, FileContent.FromMemory(Encoding.UTF8.GetBytes(text)));

    private static FileMetadata With(params (string Name, byte[] Value)[] attributes) => Plain with
    {
        ExtendedAttributes = Plain.ExtendedAttributes.AddRange(
            attributes.Select(item => KeyValuePair.Create(item.Name, (ReadOnlyMemory<byte>)item.Value))),
    };

    private sealed class FailingContent() : FileContent(5_000_000)
    {
        public override void Read(long offset, Span<byte> buffer) => throw new IOException("broken");
    }

    private sealed class Cancel(CancellationTokenSource source) : IProgress<Ext4Progress>
    {
        public void Report(Ext4Progress value) => source.Cancel();
    }
}
