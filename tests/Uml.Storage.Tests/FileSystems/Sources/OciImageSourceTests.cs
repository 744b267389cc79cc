using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using Uml.Storage.FileSystems.Sources;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.Tests.FileSystems.Sources;

[TestFixture]
public sealed class OciImageSourceTests
{
    private TemporaryFolder _folder = null!;
    private FileTree _tree = null!;

    [SetUp]
    public void SetUp()
    {
        (_folder, _tree) = (new TemporaryFolder(), new FileTree());
        Directory.CreateDirectory(_folder["image/blobs/sha256"]);
        File.WriteAllText(_folder["image/oci-layout"], """{"imageLayoutVersion":"1.0.0"}""");
    }

    [TearDown]
    public void TearDown()
    {
        _tree.Dispose();
        _folder.Dispose();
    }

    [Test]
    public void Layers_lie_over_each_other_and_remove_what_is_below()
    {
        WriteImage(
            new TarBuilder().Directory("etc").File("etc/keep", "1").File("etc/gone", "1").File("etc/changed", "1").File("dir/old/x", "1").File("opaque/a", "1").File("opaque/b", "1"),
            new TarBuilder().File("etc/.wh.gone", "").File("etc/changed", "2").File(".wh.dir", "").File("opaque/c", "2").File("opaque/.wh..wh..opq", "").HardLink("etc/link", "etc/keep"),
            new TarBuilder().File("dir/new", "3"));
        Read();
        Assert.Multiple(() =>
        {
            Assert.That(_tree.Names("etc"), Is.EqualTo(new[] { "changed", "keep", "link" }));
            Assert.That(_tree.Text("etc/changed"), Is.EqualTo("2"));
            Assert.That(_tree.Names("opaque"), Is.EqualTo(new[] { "c" }));
            Assert.That(_tree.Names("dir"), Is.EqualTo(new[] { "new" }));
            Assert.That(_tree.Find("etc/link"), Is.SameAs(_tree.Find("etc/keep")));
        });
    }

    [Test]
    public void The_image_for_the_platform_is_taken()
    {
        object arm = Manifest([new TarBuilder().File("arm", "")], "arm64"), amd = Manifest([new TarBuilder().File("amd", "")], "amd64");
        object index = Blob(JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, manifests = new[] { arm, amd } }));
        WriteIndex(index);
        Read();
        Assert.That(_tree.Names("/"), Is.EqualTo(new[] { "amd" }));
        Assert.That(() => new OciImageSource(_folder["image"], new OciImageOptions { Platform = "linux/s390x" }).AddTo(_tree),
            Throws.TypeOf<ImageContentException>().With.Message.Contain("s390x").And.Message.Contain("linux/arm64"));
    }

    [Test]
    public void What_does_not_have_its_digest_is_refused()
    {
        WriteImage(new TarBuilder().File("a", ""));
        string largest = Directory.GetFiles(_folder["image/blobs/sha256"]).MaxBy(file => new FileInfo(file).Length)!;
        byte[] bytes = File.ReadAllBytes(largest);
        bytes[^1] ^= 1;
        File.WriteAllBytes(largest, bytes);
        Assert.That(Read, Throws.TypeOf<ImageContentException>().With.Message.Contain("SHA-256"));
    }

    [TestCase("""{"manifests":[{"digest":"sha256:../../../../etc/passwd","size":1}]}""", "none of SHA-256")]
    [TestCase("""{"manifests":[{"digest":"md5:00","size":1}]}""", "none of SHA-256")]
    [TestCase("""{"manifests":[]}""", "no image")]
    [TestCase("""{"manifests":{}}""", "damaged")]
    [TestCase("""{"manifests":[{"size":1}]}""", "damaged")]
    [TestCase("""[]""", "damaged")]
    [TestCase("""{""", "damaged")]
    public void A_hostile_index_is_refused(string index, string message)
    {
        File.WriteAllText(_folder["image/index.json"], index);
        Assert.That(Read, Throws.TypeOf<ImageContentException>().With.Message.Contain(message));
    }

    [Test]
    public void Entries_of_all_layers_count_together()
    {
        WriteImage(new TarBuilder().File("a", "").File("b", ""), new TarBuilder().File("c/d", "").File(".wh.a", ""));
        Refuse(new TarSourceOptions { MaximumEntries = 4 }, "layer 2 of 2' there are more than 4 entries");
        Read(new TarSourceOptions { MaximumEntries = 5 });
    }

    [Test]
    public void Bytes_of_all_layers_count_together()
    {
        TarBuilder lower = new TarBuilder().File("a", new string('a', 100_000)), upper = new TarBuilder().File("b", new string('b', 100_000));
        long bytes = lower.Build().Length + upper.Build().Length;
        WriteImage(lower, upper);
        Refuse(new TarSourceOptions { MaximumBytes = bytes - 1 }, "layer 2 of 2' unpacks to more than");
        Read(new TarSourceOptions { MaximumBytes = bytes });
    }

    [Test]
    public void A_layer_that_is_named_again_and_again_is_not_read_without_end()
    {
        byte[] noise = new byte[10_000];
        new Random(1).NextBytes(noise);
        WriteImage([.. Enumerable.Repeat(new TarBuilder().File("a", Convert.ToHexString(noise)), 100)]);
        Refuse(new TarSourceOptions { MaximumBytes = 50_000 }, "50000 for all");
    }

    [Test]
    public void An_archive_of_docker_save_is_read()
    {
        byte[] layer = new TarBuilder().File("a", "1").Build(), upper = new TarBuilder().File(".wh.a", "").File("b", "2").Build();
        byte[] archive = new TarBuilder()
            .Raw('0', "x/layer.tar"u8, layer)
            .Raw('0', "y/layer.tar"u8, upper)
            .File("manifest.json", """[{"Config":"c.json","RepoTags":["test:1"],"Layers":["x/layer.tar","y/layer.tar"]}]""").Build();
        File.WriteAllBytes(_folder["save.tar"], archive);
        _tree.Add(new OciImageSource(_folder["save.tar"], new OciImageOptions { Name = "test:1" }));
        Assert.That(_tree.Names("/"), Is.EqualTo(new[] { "b" }));
        Assert.That(() => new OciImageSource(_folder["save.tar"], new OciImageOptions { Name = "test:2" }).AddTo(_tree), Throws.TypeOf<ImageContentException>());
    }

    [TestCase("oci-archive")]
    [TestCase("docker-archive")]
    public void Skopeo_packs_what_is_read(string format)
    {
        WriteImage(new TarBuilder().File("a", "1").File("c", "1"), new TarBuilder().File(".wh.a", "").File("b", "2"));
        PeerTool.Run("skopeo", "skopeo", "--insecure-policy", "copy", $"oci:{_folder["image"]}:latest", $"{format}:{_folder["packed.tar"]}:test/image:latest");
        _tree.Add(new OciImageSource(_folder["packed.tar"]));
        Assert.That(_tree.Names("/"), Is.EqualTo(new[] { "b", "c" }));
    }

    [Test]
    public void Umoci_makes_what_is_read()
    {
        string layout = _folder["umoci"];
        PeerTool.Run("umoci", "umoci", "init", "--layout", layout);
        PeerTool.Run("umoci", "umoci", "new", "--image", layout + ":one");
        File.WriteAllText(_folder["file"], "inserted");
        PeerTool.Run("umoci", "umoci", "insert", "--rootless", "--image", layout + ":one", _folder["file"], "/etc/file");
        PeerTool.Run("umoci", "umoci", "insert", "--rootless", "--image", layout + ":one", _folder["file"], "/etc/other");
        PeerTool.Run("umoci", "umoci", "insert", "--rootless", "--whiteout", "--image", layout + ":one", "/etc/other");
        _tree.Add(new OciImageSource(layout, new OciImageOptions { Name = "one" }));
        Assert.That(_tree.Text("etc/file"), Is.EqualTo("inserted"));
        Assert.That(_tree.Names("etc"), Is.EqualTo(new[] { "file" }));
    }

    private void Read() => new OciImageSource(_folder["image"]).AddTo(_tree);

    private void Read(TarSourceOptions layers) => new OciImageSource(_folder["image"], new OciImageOptions { Layers = layers }).AddTo(_tree);

    private void Refuse(TarSourceOptions layers, string message) =>
        Assert.That(() => Read(layers), Throws.TypeOf<ImageContentException>().With.Message.Contain(message));

    private void WriteImage(params TarBuilder[] layers) => WriteIndex(Manifest(layers, "amd64"));

    private void WriteIndex(object manifest)
    {
        Dictionary<string, object> entry = JsonSerializer.Deserialize<Dictionary<string, object>>(JsonSerializer.Serialize(manifest))!;
        entry["annotations"] = new Dictionary<string, string> { ["org.opencontainers.image.ref.name"] = "latest" };
        File.WriteAllText(_folder["image/index.json"], JsonSerializer.Serialize(new { schemaVersion = 2, manifests = new[] { entry } }));
    }

    private object Manifest(TarBuilder[] layers, string architecture)
    {
        List<object> descriptors = [];
        List<string> contents = [];
        foreach (byte[] tar in layers.Select(layer => layer.Build()))
        {
            using MemoryStream packed = new();
            using (GZipStream gzip = new(packed, CompressionLevel.Fastest, leaveOpen: true))
            {
                gzip.Write(tar);
            }

            descriptors.Add(Blob(packed.ToArray(), "application/vnd.oci.image.layer.v1.tar+gzip"));
            contents.Add("sha256:" + Convert.ToHexStringLower(SHA256.HashData(tar)));
        }

        object config = Blob(
            JsonSerializer.SerializeToUtf8Bytes(new { architecture, os = "linux", config = new { }, rootfs = new { type = "layers", diff_ids = contents } }),
            "application/vnd.oci.image.config.v1+json");
        const string Type = "application/vnd.oci.image.manifest.v1+json";
        return Blob(JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, mediaType = Type, config, layers = descriptors }), Type, architecture);
    }

    private object Blob(byte[] bytes, string mediaType = "application/vnd.oci.image.index.v1+json", string? architecture = null)
    {
        string hash = Convert.ToHexStringLower(SHA256.HashData(bytes));
        File.WriteAllBytes(_folder["image/blobs/sha256/" + hash], bytes);
        return architecture is null
            ? new { mediaType, digest = "sha256:" + hash, size = bytes.Length }
            : new { mediaType, digest = "sha256:" + hash, size = bytes.Length, platform = new { os = "linux", architecture } };
    }
}
