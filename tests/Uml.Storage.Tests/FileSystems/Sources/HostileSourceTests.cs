using System.Diagnostics;
using System.Globalization;
using System.Text;
using Uml.Storage.FileSystems.Sources;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.Tests.FileSystems.Sources;

/// <summary>Archives that would take memory or time without end, and directories that change while they are read.</summary>
[TestFixture]
public sealed class HostileSourceTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

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
    public void Times_are_the_same_in_every_culture()
    {
        CultureInfo former = CultureInfo.CurrentCulture, other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        other.NumberFormat.NumberDecimalSeparator = ",";
        try
        {
            CultureInfo.CurrentCulture = other;
            Read(new TarBuilder().Raw('x', "x"u8, Record("mtime", "1.5")).Raw('0', "a"u8, []));
        }
        finally
        {
            CultureInfo.CurrentCulture = former;
        }

        Assert.That(_tree.Find("a")!.Metadata.ModificationTime, Is.EqualTo(new FileTime(1, 500_000_000)));
    }

    [TestCase('x')]
    [TestCase('g')]
    public void Extended_headers_are_limited_together(char type)
    {
        TarBuilder tar = new();
        for (int i = 0; i < 3; i++)
        {
            tar.Raw(type, "x"u8, Record($"key{i}", new string('v', 500_000)));
        }

        Refuse(tar.Raw('0', "a"u8, []), new TarSourceOptions(), "extended headers");
    }

    [Test]
    public void Directories_that_are_only_implied_count_as_entries()
    {
        TarBuilder tar = new TarBuilder().File(string.Concat(Enumerable.Repeat("d/", 60)) + "a", "").File(string.Concat(Enumerable.Repeat("e/", 60)) + "a", "");
        Refuse(tar, new TarSourceOptions { MaximumEntries = 100 }, "100 entries");
    }

    [Test]
    public void Attributes_count_as_entries()
    {
        TarBuilder tar = new();
        for (int i = 0; i < 5; i++)
        {
            tar.Raw('x', "x"u8, Record("SCHILY.xattr.user.a", new string('v', 100_000))).Raw('0', Encoding.ASCII.GetBytes($"{i}"), []);
        }

        Refuse(tar, new TarSourceOptions { MaximumEntries = 100 }, "100 entries");
    }

    [Test]
    public void A_sparse_file_of_many_pieces_is_read_in_time()
    {
        const int Count = 200_000;
        StringBuilder map = new($"{Count}\n");
        for (int i = 0; i < Count; i++)
        {
            map.Append(CultureInfo.InvariantCulture, $"{i * 8192L}\n1\n");
        }

        byte[] data = new byte[((map.Length + 511) / 512 * 512) + Count];
        Encoding.ASCII.GetBytes(map.ToString()).CopyTo(data, 0);
        data.AsSpan(data.Length - Count).Fill(7);
        Read(new TarBuilder().Raw('x', "x"u8, Sparse(Count * 8192L)).Raw('0', "a"u8, data));
        FileContent content = _tree.Find("a")!.Content!;
        byte[] block = new byte[4096];
        Stopwatch watch = Stopwatch.StartNew();
        foreach (FileRange range in content.Data)
        {
            content.Read(range.Offset, block);
            Assert.That((block[0], block[1]), Is.EqualTo(((byte)7, (byte)0)));
            Assert.That(watch.Elapsed, Is.LessThan(Limit));
        }
    }

    [Test]
    public void A_blob_without_end_is_not_read()
    {
        const long Length = 1L << 60;
        string hash = new('a', 64);
        byte[] map = new byte[512];
        "0\n"u8.CopyTo(map);
        File.WriteAllBytes(_folder["image"], new TarBuilder()
            .File("index.json", $$"""{"manifests":[{"digest":"sha256:{{hash}}","size":{{Length}}}]}""")
            .Raw('x', "x"u8, [.. Record("path", $"blobs/sha256/{hash}"), .. Sparse(Length)]).Raw('0', "a"u8, map).Build());
        using CancellationTokenSource ending = new(Limit);
        Assert.That(() => new OciImageSource(_folder["image"]).AddTo(_tree, ending.Token),
            Throws.TypeOf<ImageContentException>().With.Message.Contain($"{Length} bytes"));
    }

    [Test]
    public async Task A_file_that_became_a_pipe_is_not_waited_for()
    {
        Directory.CreateDirectory(_folder["root"]);
        await File.WriteAllTextAsync(_folder["root/a"], "text");
        new DirectorySource(_folder["root"]).AddTo(_tree);
        File.Delete(_folder["root/a"]);
        PeerTool.Run("coreutils", "mkfifo", _folder["root/a"]);
        Task reading = Task.Run(() => _tree.Find("a")!.Content!.Read(0, new byte[4]));
        bool isDone = await Task.WhenAny(reading, Task.Delay(Limit)) == reading;
        if (!isDone)
        {
            // It waits for a writer.
            await File.WriteAllTextAsync(_folder["root/a"], "");
        }

        Assert.That(async () => await reading, Throws.InstanceOf<IOException>());
        Assert.That(isDone);
    }

    [Test]
    public void A_directory_that_became_a_link_is_not_followed()
    {
        Directory.CreateDirectory(_folder["elsewhere/secret"]);
        Directory.CreateSymbolicLink(_folder["root"], _folder["elsewhere"]);
        Assert.That(() => HostPath.List(Encoding.UTF8.GetBytes(_folder["root"])), Throws.TypeOf<IOException>());
        new DirectorySource(_folder["root"]).AddTo(_tree);
        Assert.That(_tree.Names("/"), Is.EqualTo(new[] { "secret" }), "the root may be a link");
    }

    private static byte[] Record(string key, string value)
    {
        int rest = key.Length + value.Length + 3, length = rest;
        while (length != rest + length.ToString(CultureInfo.InvariantCulture).Length)
        {
            length = rest + length.ToString(CultureInfo.InvariantCulture).Length;
        }

        return Encoding.ASCII.GetBytes($"{length} {key}={value}\n");
    }

    private static byte[] Sparse(long length) =>
        [.. Record("GNU.sparse.major", "1"), .. Record("GNU.sparse.minor", "0"), .. Record("GNU.sparse.realsize", length.ToString(CultureInfo.InvariantCulture))];

    private void Read(TarBuilder tar)
    {
        File.WriteAllBytes(_folder["tar"], tar.Build());
        new TarSource(_folder["tar"]).AddTo(_tree);
    }

    private void Refuse(TarBuilder tar, TarSourceOptions options, string message)
    {
        File.WriteAllBytes(_folder["tar"], tar.Build());
        Assert.That(() => new TarSource(_folder["tar"], options).AddTo(_tree), Throws.TypeOf<ImageContentException>().With.Message.Contain(message));
    }
}
