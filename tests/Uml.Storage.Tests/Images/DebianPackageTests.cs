using System.Formats.Tar;
using Uml.Storage.Images;

namespace Uml.Storage.Tests.Images;

public sealed class DebianPackageTests
{
    [TestCase("")]
    [TestCase(".gz")]
    [TestCase(".zst")]
    public void Files_read_back_whatever_the_compression(string compression)
    {
        using DebianPackage package = Open(FakePackage.Create(compression, FakePackage.Folder("./bin/"), FakePackage.File("./bin/tool", "contents")));

        Assert.That(package.ReadFile("/bin/tool"), Is.EqualTo("contents"u8.ToArray()));
        Assert.That(package.ReadControl()["Version"], Is.EqualTo("1:2.3-4"));
        Assert.That(package.ReadControl()["description"], Is.EqualTo("short\nlong text"));
    }

    [Test]
    public void An_xz_package_reads_back()
    {
        using MemoryStream ar = new();
        ar.Write("!<arch>\n"u8);
        FakePackage.AddMember(ar, "debian-binary", "2.0\n"u8);
        FakePackage.AddMember(ar, "control.tar", FakePackage.Tar());
        FakePackage.AddMember(ar, "data.tar.xz", Convert.FromBase64String(FakePackage.XzTar));
        using DebianPackage package = Open(ar.ToArray());

        Assert.That(package.ReadFile("hello"), Is.EqualTo("hello\n"u8.ToArray()));
    }

    [Test]
    public void A_defect_of_a_filter_is_not_taken_for_a_damaged_package()
    {
        using ScratchDirectory scratch = new();
        using DebianPackage package = Open(FakePackage.Create("", FakePackage.File("./tool", "contents")));

        Assert.That(
            () => package.Extract(scratch.Path, _ => throw new InvalidOperationException("a defect")), Throws.InvalidOperationException.With.Message.EqualTo("a defect"));
    }

    [Test]
    public void Unpacking_makes_files_links_and_modes()
    {
        using ScratchDirectory scratch = new();
        using DebianPackage package = Open(FakePackage.Create(
            ".gz",
            FakePackage.Folder("./usr/"),
            FakePackage.File("./usr/tool", "tool", 0x9ed),
            FakePackage.Link(TarEntryType.HardLink, "./usr/same", "./usr/tool"),
            FakePackage.Link(TarEntryType.SymbolicLink, "./usr/link", "tool"),
            FakePackage.File("./skipped", "no")));

        package.Extract(scratch["out"], path => path.StartsWith("usr", StringComparison.Ordinal));

        Assert.Multiple(() =>
        {
            Assert.That(File.ReadAllText(scratch["out/usr/tool"]), Is.EqualTo("tool"));
            Assert.That(File.ReadAllText(scratch["out/usr/same"]), Is.EqualTo("tool"));
            Assert.That(new FileInfo(scratch["out/usr/link"]).LinkTarget, Is.EqualTo("tool"));
            Assert.That(File.Exists(scratch["out/skipped"]), Is.False);
        });
        if (!OperatingSystem.IsWindows())
        {
            Assert.That((int)File.GetUnixFileMode(scratch["out/usr/tool"]), Is.EqualTo(0x1ed), "set-user-ID is dropped");
        }
    }

    [Test]
    public void An_entry_cannot_be_written_outside_the_directory()
    {
        using ScratchDirectory scratch = new();
        using DebianPackage dots = Open(FakePackage.Create("", FakePackage.File("../evil", "x")));
        using DebianPackage absolute = Open(FakePackage.Create("", FakePackage.File("/evil", "x")));

        Assert.That(() => dots.Extract(scratch["out"]), Throws.InstanceOf<ImageContentException>());
        absolute.Extract(scratch["out"]);
        Assert.That(File.Exists(scratch["out/evil"]), Is.True);
        Assert.That(File.Exists(scratch["evil"]), Is.False);
    }

    [Test]
    public void A_link_is_not_followed_out_of_the_directory()
    {
        using ScratchDirectory scratch = new();
        Directory.CreateDirectory(scratch["victim"]);
        File.WriteAllText(scratch["victim/file"], "intact");
        using DebianPackage throughDirectory = Open(FakePackage.Create(
            "",
            FakePackage.Link(TarEntryType.SymbolicLink, "dir", scratch["victim"]),
            FakePackage.File("dir/file", "overwritten")));
        using DebianPackage throughFile = Open(FakePackage.Create(
            "",
            FakePackage.Link(TarEntryType.SymbolicLink, "link", scratch["victim/file"]),
            FakePackage.File("link", "overwritten")));
        using DebianPackage hardLink = Open(FakePackage.Create("", FakePackage.Link(TarEntryType.HardLink, "copy", "../victim/file")));

        Assert.That(() => throughDirectory.Extract(scratch["one"]), Throws.InstanceOf<ImageContentException>());
        throughFile.Extract(scratch["two"]);
        throughFile.Extract(scratch["two"]);
        Assert.That(() => throughDirectory.Extract(scratch["one"]), Throws.InstanceOf<ImageContentException>());
        Assert.That(() => hardLink.Extract(scratch["three"]), Throws.InstanceOf<ImageContentException>());
        Assert.That(File.ReadAllText(scratch["victim/file"]), Is.EqualTo("intact"));
        Assert.That(Directory.GetFiles(scratch["victim"]), Has.Length.EqualTo(1));
    }

    [Test]
    public void A_package_that_unpacks_to_too_much_is_refused()
    {
        using ScratchDirectory scratch = new();
        byte[] bytes = FakePackage.Create(".gz", FakePackage.File("big", new string('x', 1_000_000)));
        using DebianPackage package = Open(bytes);
        package.MaximumUnpackedBytes = 100_000;

        Assert.That(() => package.Extract(scratch["out"]), Throws.InstanceOf<ImageContentException>().With.Message.Contains("100000"));
    }

    [Test]
    public void A_missing_entry_and_a_file_that_is_no_package_are_named()
    {
        using DebianPackage package = Open(FakePackage.Create(".gz", FakePackage.File("a", "x")));

        Assert.That(() => package.ReadFile("b"), Throws.InstanceOf<ImageContentException>().With.Message.Contains("'b'"));
        Assert.That(() => Open("MZ no package"u8.ToArray()), Throws.InstanceOf<ImageContentException>().With.Message.Contains("not a Debian package"));
    }

    [TestCase(".gz")]
    [TestCase(".zst")]
    [TestCase("")]
    [CancelAfter(60_000)]
    public void Truncated_and_mutated_packages_give_the_typed_error_only(string compression)
    {
        byte[] good = FakePackage.Create(compression, FakePackage.File("a", new string('y', 3000)), FakePackage.Link(TarEntryType.SymbolicLink, "b", "a"));
        Random random = new(42);
        for (int round = 0; round < 400; round++)
        {
            byte[] bad = good.AsSpan(0, round % 3 == 0 ? random.Next(good.Length) : good.Length).ToArray();
            for (int i = random.Next(4); i > 0 && bad.Length > 0; i--)
            {
                bad[random.Next(bad.Length)] = (byte)random.Next(256);
            }

            using ScratchDirectory scratch = new();
            try
            {
                using DebianPackage package = Open(bad);
                package.ReadControl();
                package.Extract(scratch["out"]);
            }
            catch (ImageContentException)
            {
                continue;
            }
        }
    }

    private static DebianPackage Open(byte[] bytes) => DebianPackage.Open(new MemoryStream(bytes), "test.deb");
}
