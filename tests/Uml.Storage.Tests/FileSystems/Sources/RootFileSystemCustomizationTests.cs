using System.Text;
using Uml.Storage.FileSystems.Sources;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.Tests.FileSystems.Sources;

[TestFixture]
public sealed class RootFileSystemCustomizationTests
{
    private FileTree _tree = null!;

    [SetUp]
    public void SetUp()
    {
        _tree = new FileTree();
        Put("etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\n");
        Put("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    }

    [TearDown]
    public void TearDown() => _tree.Dispose();

    [Test]
    public void Systemd_gets_a_login_on_each_console()
    {
        Put("usr/lib/systemd/systemd", "");
        Put("usr/lib/systemd/systemd-udevd", "");
        _tree.Set("etc/shadow", FileNode.CreateFile(new FileMetadata(0x1A0) { GroupId = 42 }, FileContent.FromMemory("root:*:19000:0:99999:7:::\nbin:*:1::::::\n"u8.ToArray())));
        Customize(new RootFileSystemOptions { HostName = "guest", Consoles = ["ttyS0", "hvc0"], Files = new Dictionary<string, string> { ["/etc/motd"] = "hello\n" } });
        Assert.Multiple(() =>
        {
            Assert.That(_tree.Text("etc/hostname"), Is.EqualTo("guest\n"));
            Assert.That(_tree.Text("etc/hosts"), Does.Contain("127.0.1.1 guest\n"));
            Assert.That(_tree.Text("etc/fstab"), Is.EqualTo("/dev/vda / ext4 errors=remount-ro 0 1\n"));
            Assert.That(_tree.Text("etc/machine-id"), Is.Empty);
            Assert.That(_tree.Text("etc/shadow"), Is.EqualTo("root::19000:0:99999:7:::\nbin:*:1::::::\n"));
            Assert.That(_tree.Find("etc/shadow")!.Metadata.Mode, Is.EqualTo(0x1A0));
            Assert.That(_tree.Find("etc/shadow")!.Metadata.GroupId, Is.EqualTo(42));
            Assert.That(_tree.Text("etc/passwd"), Does.StartWith("root:x:"));
            Assert.That(_tree.Text("etc/motd"), Is.EqualTo("hello\n"));
            Assert.That(_tree.Names("etc/systemd/system/getty.target.wants"), Is.EqualTo(new[] { "serial-getty@hvc0.service", "serial-getty@ttyS0.service" }));
            Assert.That(Encoding.UTF8.GetString(_tree.Find("etc/systemd/system/getty.target.wants/serial-getty@hvc0.service", follow: false)!.Target.Span),
                Is.EqualTo("/lib/systemd/system/serial-getty@.service"));
        });
    }

    [Test]
    public void Systemd_without_udev_gets_a_login_that_waits_for_no_device()
    {
        Put("lib/systemd/systemd", "");
        Customize(new RootFileSystemOptions());
        Assert.That(_tree.Names("etc/systemd/system/getty.target.wants"), Is.EqualTo(new[] { "console-getty.service" }));
    }

    [Test]
    public void Sysvinit_gets_a_line_for_each_console_that_has_none()
    {
        Put("etc/inittab", "id:2:initdefault:\n1:2345:respawn:/sbin/getty 38400 tty1\nS0:2345:respawn:/sbin/getty -L ttyS0 9600 vt100\n");
        Put("etc/securetty", "tty1\n");
        Customize(new RootFileSystemOptions { Consoles = ["ttyS0", "hvc0"] });
        Assert.That(_tree.Text("etc/inittab"), Does.EndWith("vt100\nhvc0:2345:respawn:/sbin/getty -L hvc0 115200 vt100\n"));
        Assert.That(_tree.Text("etc/securetty"), Is.EqualTo("tty1\nttyS0\nhvc0\n"));
    }

    [Test]
    public void Busybox_gets_lines_of_its_own_kind()
    {
        Put("etc/inittab", "tty1::respawn:/sbin/getty 38400 tty1\n");
        _tree.Set("sbin/init", FileNode.CreateSymbolicLink(new FileMetadata(0x1FF), "/bin/busybox"u8));
        Customize(new RootFileSystemOptions());
        Assert.That(_tree.Text("etc/inittab"), Does.EndWith("\nttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n"));
    }

    [TestCase("", "root::0:")]
    [TestCase("*", "root:*:0:")]
    [TestCase("$6$salt$hash", "root:$6$salt$hash:0:")]
    public void A_password_without_shadow_is_in_passwd(string password, string line)
    {
        Customize(new RootFileSystemOptions { RootPassword = password });
        Assert.That(_tree.Text("etc/passwd"), Does.StartWith(line));
    }

    [Test]
    public void What_is_null_stays_as_it_is()
    {
        Put("etc/hostname", "own\n");
        Put("etc/fstab", "own\n");
        Customize(new RootFileSystemOptions { HostName = null, FileSystems = null, RootPassword = null, EmptiesMachineId = false, Consoles = [] });
        Assert.That((_tree.Text("etc/hostname"), _tree.Text("etc/fstab"), _tree.Text("etc/machine-id")!.Length), Is.EqualTo(("own\n", "own\n", 33)));
    }

    [Test]
    public void Values_that_would_leave_their_line_are_refused()
    {
        foreach (RootFileSystemOptions options in new RootFileSystemOptions[]
        {
            new() { HostName = "a\nb" }, new() { HostName = "" }, new() { RootPassword = "a:b" }, new() { RootPassword = "a\n" }, new() { Consoles = ["../x"] }, new() { FileSystems = ["a\nb"] },
        })
        {
            Assert.That(() => new RootFileSystemCustomization(options), Throws.ArgumentException);
        }
    }

    private void Put(string path, string text) =>
        _tree.Set(path, FileNode.CreateFile(new FileMetadata(FileMetadata.DefaultFileMode), FileContent.FromMemory(Encoding.UTF8.GetBytes(text))));

    private void Customize(RootFileSystemOptions options) => _tree.Add(new RootFileSystemCustomization(options));
}
