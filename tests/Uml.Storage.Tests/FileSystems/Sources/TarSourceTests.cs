using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Uml.Storage.FileSystems.Sources;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.Tests.FileSystems.Sources;

[TestFixture]
public sealed class TarSourceTests
{
    private TemporaryFolder _folder = null!;
    private FileTree _tree = null!;

    [SetUp]
    public void SetUp() => (_folder, _tree) = (new TemporaryFolder(), new FileTree());

    [TearDown]
    public void TearDown()
    {
        _tree.Dispose();
        _folder.Dispose();
    }

    [Test]
    public void Entries_keep_what_they_are()
    {
        Read(new TarBuilder()
            .Directory("./")
            .Directory("./etc/")
            .Add(new PaxTarEntry(TarEntryType.RegularFile, "./etc/" + new string('n', 200)) { Uid = 70_000, Gid = 5, Mode = (UnixFileMode)0xFFF })
            .File("etc/name", "content")
            .Link("etc/link", "/somewhere")
            .HardLink("etc/hard", "./etc/name")
            .Add(new PaxTarEntry(TarEntryType.CharacterDevice, "dev/null") { DeviceMajor = 1, DeviceMinor = 3 })
            .Add(new PaxTarEntry(TarEntryType.Fifo, "pipe")));
        FileNode name = _tree.Find("etc/name")!, odd = _tree.Find("etc/" + new string('n', 200))!;
        Assert.Multiple(() =>
        {
            Assert.That(_tree.Text("etc/name"), Is.EqualTo("content"));
            Assert.That(_tree.Find("etc/hard"), Is.SameAs(name));
            Assert.That(name.Metadata.ModificationTime, Is.EqualTo(new FileTime(1_600_000_000)));
            Assert.That((odd.Metadata.UserId, odd.Metadata.GroupId, odd.Metadata.Mode), Is.EqualTo((70_000u, 5u, 0xFFF)));
            Assert.That(Encoding.UTF8.GetString(_tree.Find("etc/link", follow: false)!.Target.Span), Is.EqualTo("/somewhere"));
            Assert.That((_tree.Find("dev/null")!.Kind, _tree.Find("dev/null")!.Minor), Is.EqualTo((FileKind.CharacterDevice, 3u)));
            Assert.That(_tree.Find("pipe")!.Kind, Is.EqualTo(FileKind.Fifo));
        });
    }

    [Test]
    public void Names_and_attributes_are_bytes()
    {
        byte[] value = [1, 0, 0, 2, 0x80, 0, 0xFF, 10];
        byte[] record = [.. "SCHILY.xattr.security.capability="u8, .. value, (byte)'\n'];
        byte[] pax = [.. Encoding.ASCII.GetBytes($"{record.Length + 3} "), .. record];
        Read(new TarBuilder().Raw('x', "x"u8, pax).Raw('0', [(byte)'a', 0xFF, 0xFE], "data"u8).Raw('L', "L"u8, [.. Enumerable.Repeat((byte)0xE9, 150), 0]).Raw('0', "b"u8, []));
        FileNode node = _tree.Find([(byte)'a', 0xFF, 0xFE])!;
        Assert.That(node.Metadata.ExtendedAttributes["security.capability"].ToArray(), Is.EqualTo(value));
        Assert.That(_tree.Find([.. Enumerable.Repeat((byte)0xE9, 150)]), Is.Not.Null);
    }

    [Test]
    public void Packed_archives_are_unpacked_whatever_they_are_called()
    {
        byte[] tar = new TarBuilder().File("a", "text").Build();
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(tar);
        }

        File.WriteAllBytes(_folder["image"], packed.ToArray());
        Assert.That(_tree.Add(new TarSource(_folder["image"])).Text("a"), Is.EqualTo("text"));
        Assert.That(() => new TarSource(_folder["image"], new TarSourceOptions { MaximumBytes = 1000 }).AddTo(_tree), Throws.TypeOf<ImageContentException>().With.Message.Contain("1000"));
        File.WriteAllBytes(_folder["image"], packed.ToArray()[..^20]);
        Assert.That(() => new TarSource(_folder["image"]).AddTo(_tree), Throws.TypeOf<ImageContentException>());
    }

    [TestCase("posix")]
    [TestCase("gnu")]
    public void Sparse_files_of_GNU_tar_keep_their_holes(string format)
    {
        using (FileStream sparse = File.Create(_folder["sparse"]))
        {
            for (int i = 1; i <= 40; i++)
            {
                sparse.Position = i * 1_000_000L;
                sparse.WriteByte((byte)i);
            }

            sparse.SetLength(1L << 33);
        }

        File.WriteAllText(_folder["behind"], "text");
        PeerTool.Run("tar", "tar", "--sparse", $"--format={format}", "-C", Path.GetDirectoryName(_folder["sparse"])!, "-cf", _folder["tar"], "sparse", "behind");
        Assert.That(new FileInfo(_folder["tar"]).Length, Is.LessThan(1 << 20));
        _tree.Add(new TarSource(_folder["tar"]));
        FileContent content = _tree.Find("sparse")!.Content!;
        byte[] around = new byte[3];
        content.Read(39_999_999, around);
        Assert.That(content.Length, Is.EqualTo(1L << 33));
        Assert.That(content.Data.Sum(range => range.Length), Is.LessThan(1 << 20));
        Assert.That(around, Is.EqualTo(new byte[] { 0, 40, 0 }));
        Assert.That(_tree.Text("behind"), Is.EqualTo("text"));
    }

    [Test]
    public void Nothing_leads_out_of_the_tree()
    {
        Read(new TarBuilder().Link("up", "../../..").Link("root", "/").File("up/a", "1").File("root/b", "2").File("/c", "3"));
        Assert.That(_tree.Names("/"), Is.EqualTo(new[] { "a", "b", "c", "root", "up" }));
    }

    [TestCase("../a")]
    [TestCase("a/../../b")]
    [TestCase("..")]
    public void Paths_that_lead_up_are_refused(string path) => Refuse(new TarBuilder().File(path, "x"), "leads outside");

    [Test]
    public void Links_to_what_is_not_there_are_refused()
    {
        Refuse(new TarBuilder().HardLink("a", "b"), "hard link");
        Refuse(new TarBuilder().HardLink("a", "../../etc/shadow"), "leads outside");
        Refuse(new TarBuilder().Directory("d").HardLink("a", "d"), "hard link");
        Refuse(new TarBuilder().Link("loop", "loop").File("loop/x", ""), "symbolic links");
        Refuse(new TarBuilder().File("f", "").File("f/x", ""), "not a directory");
    }

    [Test]
    public void Damage_is_found()
    {
        Refuse(new TarBuilder().Raw('0', "a"u8, [], size: "77777777777"), "ends at");
        Refuse(new TarBuilder().Raw('x', "a"u8, [], size: "77777777777"), "extended header");
        Refuse(new TarBuilder().Raw('x', "a"u8, "99 path=x\n"u8), "length is wrong");
        Refuse(new TarBuilder().Raw('x', "a"u8, "9 uid=-1\n"u8).Raw('0', "a"u8, []), "uid");
        Refuse(new TarBuilder().Raw('?', "a"u8, []), "unknown type");
        Refuse(new TarBuilder().Raw('0', "a"u8, [], size: "8"), "octal");
        byte[] tar = new TarBuilder().File("a", "x").Build();
        tar[3] ^= 1;
        File.WriteAllBytes(_folder["tar"], tar);
        Assert.That(() => new TarSource(_folder["tar"]).AddTo(_tree), Throws.TypeOf<ImageContentException>().With.Message.Contain("checksum"));
    }

    /// <summary>Whatever bytes change, there is a tree or a typed error.</summary>
    [Test]
    public void Damaged_archives_are_read_or_refused()
    {
        byte[] tar = new TarBuilder().Directory("d").File("d/a", "x").Link("l", "d").HardLink("h", "d/a").Build();
        Random random = new(7);
        for (int i = 0; i < 2000; i++)
        {
            byte[] damaged = [.. tar];
            int at = random.Next(damaged.Length - 1024) & ~511;
            damaged[at + random.Next(512)] = (byte)random.Next(256);
            Array.Fill(damaged, (byte)' ', at + 148, 8);
            int sum = damaged.AsSpan(at, 512).ToArray().Sum(value => value);
            Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(damaged, at + 148);
            File.WriteAllBytes(_folder["tar"], damaged);
            using FileTree tree = new();
            try
            {
                new TarSource(_folder["tar"]).AddTo(tree);
            }
            catch (ImageContentException)
            {
            }
        }
    }

    private void Read(TarBuilder tar)
    {
        File.WriteAllBytes(_folder["tar"], tar.Build());
        new TarSource(_folder["tar"]).AddTo(_tree);
    }

    private void Refuse(TarBuilder tar, string message)
    {
        File.WriteAllBytes(_folder["tar"], tar.Build());
        Assert.That(() => new TarSource(_folder["tar"]).AddTo(_tree), Throws.TypeOf<ImageContentException>().With.Message.Contain(message));
    }
}
