using System.Formats.Tar;
using Uml.Storage.FileSystems.Sources;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;
using Uml.Storage.Tests.Images;

namespace Uml.Storage.Tests.FileSystems.Sources;

[TestFixture]
public sealed class DebianPackagesSourceTests
{
    private const string Control = "Package: tool\nVersion: 1.0\nArchitecture: amd64\nDescription: a tool\n that works\n";

    [Test]
    public void Files_have_their_owners_and_modes_and_directories_of_the_root_lead_to_usr()
    {
        using TemporaryFolder folder = new();
        TarEntry program = FakePackage.File("./bin/tool", "program", 0x9ED);
        program.Uid = 3;
        program.Gid = 4;
        using FileTree tree = new FileTree().Add(new DebianPackagesSource(
            [Write(folder, "tool.deb", [("control", Control)], FakePackage.Folder("./"), FakePackage.Folder("./bin"), program)]));

        Assert.That(tree.Find("bin", follow: false)!.Kind, Is.EqualTo(FileKind.SymbolicLink));
        FileMetadata metadata = tree.Find("usr/bin/tool")!.Metadata;
        Assert.That((metadata.Mode, metadata.UserId, metadata.GroupId), Is.EqualTo((0x9ED, 3u, 4u)));
        Assert.That(tree.Text("bin/tool"), Is.EqualTo("program"));
    }

    [Test]
    public void The_database_says_that_packages_are_unpacked()
    {
        using TemporaryFolder folder = new();
        using FileTree tree = new FileTree().Add(new DebianPackagesSource(
        [
            Write(
                folder,
                "tool.deb",
                [("control", Control), ("postinst", "#!/bin/sh\n"), ("conffiles", "/etc/tool\nremove-on-upgrade /etc/old\n"), ("triggers", "interest /usr/lib\ninterest-noawait cache # x\n")],
                FakePackage.Folder("./"),
                FakePackage.Folder("./etc/"),
                FakePackage.File("./etc/tool", "hello")),
        ]));

        Assert.That(tree.Text("var/lib/dpkg/status"), Is.EqualTo(
            Control + "Status: install ok unpacked\nConffiles:\n /etc/tool 5d41402abc4b2a76b9719d911017c592\n\n"));
        Assert.That(tree.Text("var/lib/dpkg/info/tool.list"), Is.EqualTo("/.\n/etc\n/etc/tool\n"));
        Assert.That(tree.Find("var/lib/dpkg/info/tool.postinst")!.Metadata.Mode, Is.EqualTo(0x1ED));
        Assert.That(tree.Text("var/lib/dpkg/triggers/File"), Is.EqualTo("/usr/lib tool\n"));
        Assert.That(tree.Text("var/lib/dpkg/triggers/cache"), Is.EqualTo("tool/noawait\n"));
        Assert.That(tree.Find("var/lib/dpkg/info/tool.control"), Is.Null);
    }

    [Test]
    public void A_package_that_may_be_installed_for_several_architectures_has_the_architecture_in_its_name()
    {
        using TemporaryFolder folder = new();
        using FileTree tree = new FileTree().Add(new DebianPackagesSource(
            [Write(folder, "lib.deb", [("control", "Package: lib\nMulti-Arch: same\nArchitecture: amd64\n"), ("postinst", "")], FakePackage.Folder("./"))]));
        Assert.That(tree.Names("var/lib/dpkg/info"), Is.EqualTo(new[] { "format", "lib:amd64.list", "lib:amd64.postinst" }));
    }

    [TestCase("Version: 1\n", "does not say its name")]
    [TestCase("Package: ../../x\n", "which is no name")]
    public void A_package_without_a_proper_name_is_refused(string control, string message)
    {
        using TemporaryFolder folder = new();
        string package = Write(folder, "bad.deb", [("control", control)], FakePackage.Folder("./"));
        using FileTree tree = new();
        Assert.That(
            () => new DebianPackagesSource([package]).AddTo(tree), Throws.TypeOf<ImageContentException>().With.Message.Contains(message));
    }

    [Test]
    public void Progress_counts_packages()
    {
        using TemporaryFolder folder = new();
        string package = Write(folder, "tool.deb", [("control", Control)], FakePackage.Folder("./"));
        Counts counts = new();
        using FileTree tree = new FileTree().Add(new DebianPackagesSource([package, package], counts));
        Assert.That(counts.Values, Is.EqualTo(new[] { 1, 2 }));
    }

    private static string Write(TemporaryFolder folder, string name, (string Name, string Text)[] control, params TarEntry[] files)
    {
        using MemoryStream ar = new();
        ar.Write("!<arch>\n"u8);
        FakePackage.AddMember(ar, "debian-binary", "2.0\n"u8.ToArray());
        FakePackage.AddMember(ar, "control.tar", FakePackage.Tar([.. control.Select(file => FakePackage.File("./" + file.Name, file.Text))]));
        FakePackage.AddMember(ar, "data.tar.gz", FakePackage.Compress(".gz", FakePackage.Tar(files)));
        string path = folder[name];
        File.WriteAllBytes(path, ar.ToArray());
        return path;
    }

    private sealed class Counts : IProgress<int>
    {
        public List<int> Values { get; } = [];

        public void Report(int value) => Values.Add(value);
    }
}
