using System.Runtime.Versioning;
using System.Text;
using Uml.Storage.FileSystems;
using Uml.Storage.FileSystems.Ext4;
using Uml.Storage.FileSystems.Sources;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.Tests.FileSystems.Sources;

[TestFixture]
[SupportedOSPlatform("linux")]
public sealed class DirectorySourceTests
{
    private TemporaryFolder _folder = null!;
    private FileTree _tree = null!;

    [SetUp]
    public void SetUp()
    {
        (_folder, _tree) = (new TemporaryFolder(), new FileTree());
        Directory.CreateDirectory(_folder["root/sub"]);
    }

    [TearDown]
    public void TearDown()
    {
        _tree.Dispose();
        _folder.Dispose();
    }

    [Test]
    public void Files_come_with_modes_times_links_and_holes()
    {
        File.WriteAllText(_folder["root/sub/file"], "text");
        File.SetUnixFileMode(_folder["root/sub/file"], (UnixFileMode)0xFED);
        File.SetLastWriteTimeUtc(_folder["root/sub/file"], DateTime.UnixEpoch.AddSeconds(1234.5));
        PeerTool.Run("coreutils", "ln", _folder["root/sub/file"], _folder["root/hard"]);
        File.CreateSymbolicLink(_folder["root/link"], "sub/nowhere");
        PeerTool.Run("coreutils", "mkfifo", _folder["root/pipe"]);
        using (FileStream sparse = File.Create(_folder["root/sparse"]))
        {
            sparse.SetLength(1L << 32);
            sparse.Position = 1 << 30;
            sparse.WriteByte(1);
        }

        _tree.Add(new DirectorySource(_folder["root"]));
        FileNode file = _tree.Find("sub/file")!, holes = _tree.Find("sparse")!;
        Assert.Multiple(() =>
        {
            Assert.That(_tree.Text("sub/file"), Is.EqualTo("text"));
            Assert.That(file.Metadata.Mode, Is.EqualTo(0xFED));
            Assert.That(file.Metadata.ModificationTime, Is.EqualTo(new FileTime(1234, 500_000_000)));
            Assert.That(_tree.Find("hard"), Is.SameAs(file));
            Assert.That(Encoding.UTF8.GetString(_tree.Find("link", follow: false)!.Target.Span), Is.EqualTo("sub/nowhere"));
            Assert.That(_tree.Find("pipe")!.Kind, Is.EqualTo(FileKind.Fifo));
            Assert.That(holes.Content!.Length, Is.EqualTo(1L << 32));
            Assert.That(holes.Content.Data.Sum(range => range.Length), Is.LessThan(1 << 20));
        });
    }

    [Test]
    public void Owners_are_those_of_the_host_or_root()
    {
        File.WriteAllText(_folder["root/file"], "");
        if (PeerTool.TryRun("coreutils", "chown", "70000:80000", _folder["root/file"]).Code != 0)
        {
            Assert.Ignore("Only root can give files away.");
        }

        _tree.Add(new DirectorySource(_folder["root"]));
        Assert.That((_tree.Find("file")!.Metadata.UserId, _tree.Find("file")!.Metadata.GroupId), Is.EqualTo((70_000u, 80_000u)));
        _tree.Add(new DirectorySource(_folder["root"], new DirectorySourceOptions { IsOwnedByRoot = true }));
        Assert.That((_tree.Find("file")!.Metadata.UserId, _tree.Find("file")!.Metadata.GroupId), Is.EqualTo((0u, 0u)));
    }

    [Test]
    public void A_file_that_changes_meanwhile_is_reported()
    {
        File.WriteAllText(_folder["root/file"], new string('x', 100_000));
        _tree.Add(new DirectorySource(_folder["root"]));
        File.WriteAllText(_folder["root/file"], "short");
        Assert.That(() => Ext4Writer.CreateAsync(_tree, _folder["disk"]), Throws.TypeOf<ImageContentException>().With.Message.Contain("100000"));
        File.Delete(_folder["root/file"]);
        Assert.That(() => Ext4Writer.CreateAsync(_tree, _folder["disk"]), Throws.TypeOf<IOException>().With.Message.Contain("root/file"));
    }

    [Test]
    public void What_is_no_directory_is_refused()
    {
        File.WriteAllText(_folder["root/file"], "");
        Assert.That(() => new DirectorySource(_folder["root/file"]).AddTo(_tree), Throws.TypeOf<ImageContentException>());
        Assert.That(() => new DirectorySource(_folder["root/nothing"]).AddTo(_tree), Throws.TypeOf<IOException>().With.Message.Contain("errno 2"));
    }

    /// <summary>Trees of random shape, names, sizes and modes come back out of the image as they went in.</summary>
    [Test]
    public async Task Random_trees_come_back([Range(1, 6)] int seed)
    {
        Random random = new(seed);
        List<string> directories = [_folder["root"]];
        for (int i = random.Next(50, 400); i > 0; i--)
        {
            string path = Path.Combine(directories[random.Next(directories.Count)], Name(random, i));
            switch (random.Next(5))
            {
                case 0:
                    Directory.CreateDirectory(path);
                    directories.Add(path);
                    break;
                case 1:
                    File.CreateSymbolicLink(path, new string('t', random.Next(1, 300)));
                    break;
                default:
                    byte[] bytes = new byte[random.Next(4) == 0 ? random.Next(3_000_000) : random.Next(9000)];
                    random.NextBytes(bytes);
                    File.WriteAllBytes(path, bytes);
                    File.SetUnixFileMode(path, (UnixFileMode)(random.Next(0x1000) | 0x180));
                    break;
            }
        }

        await new DiskImageBuilder().AddDirectory(_folder["root"]).BuildAsync(_folder["disk"]);
        Ext4Image image = new(_folder["disk"]);
        image.Check();
        Directory.CreateDirectory(_folder["copy"]);
        image.Ask($"rdump / {_folder["copy"]}");
        Directory.Delete(_folder["copy/lost+found"]);
        PeerTool.Run("diffutils", "diff", "-r", "--no-dereference", _folder["root"], _folder["copy"]);
        foreach (string path in Directory.EnumerateFiles(_folder["root"], "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(_folder["copy"], Path.GetRelativePath(_folder["root"], path));
            if (new FileInfo(path).LinkTarget is null)
            {
                // debugfs gives a file its mode before its owner, which takes the other bits away.
                const UnixFileMode Permissions = (UnixFileMode)0x1FF;
                Assert.That(File.GetUnixFileMode(copy), Is.EqualTo(File.GetUnixFileMode(path) & Permissions), path);
                Assert.That(new DateTimeOffset(File.GetLastWriteTimeUtc(copy)).ToUnixTimeSeconds(), Is.EqualTo(new DateTimeOffset(File.GetLastWriteTimeUtc(path)).ToUnixTimeSeconds()));
            }
        }
    }

    private static string Name(Random random, int number)
    {
        const string Letters = "abcXYZ019._-+~#äß€";
        return number + new string([.. Enumerable.Range(0, random.Next(0, 60)).Select(_ => Letters[random.Next(Letters.Length)])]);
    }
}
