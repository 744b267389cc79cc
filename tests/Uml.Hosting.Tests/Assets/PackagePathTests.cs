using Uml.Hosting.Assets;

namespace Uml.Hosting.Tests.Assets;

[Platform("Linux")]
public sealed class PackagePathTests
{
    private string _directory = "";

    private string Package => Path.Combine(_directory, "package");

    [SetUp]
    public void SetUp()
    {
        _directory = Directory.CreateTempSubdirectory("uml-package-").FullName;
        Directory.CreateDirectory(Path.Combine(Package, "boot"));
        File.WriteAllText(Path.Combine(_directory, "secret"), "of the host");
        File.WriteAllText(Path.Combine(Package, "boot/vmlinux-1"), "kernel");
    }

    [TearDown]
    public void TearDown() => Directory.Delete(_directory, recursive: true);

    [TestCase("/etc/passwd")]
    [TestCase("../../secret")]
    [TestCase("../../../secret")]
    [TestCase("../boot/../../secret")]
    [TestCase("vmlinuz-1")]
    public void A_link_out_of_the_package_or_in_a_circle_is_refused(string target)
    {
        File.CreateSymbolicLink(Path.Combine(Package, "boot/vmlinuz-1"), target);

        Assert.That(() => PackagePath.Resolve(Package, "boot/vmlinuz-1"), Throws.InstanceOf<GuestAssetException>());
    }

    [TestCase("/")]
    [TestCase("../..")]
    public void A_directory_that_is_a_link_out_of_the_package_is_refused(string target)
    {
        Directory.CreateDirectory(Path.Combine(Package, "lib"));
        File.CreateSymbolicLink(Path.Combine(Package, "lib/modules"), target);

        Assert.That(() => PackagePath.Resolve(Package, "lib/modules/1"), Throws.InstanceOf<GuestAssetException>());
    }

    [Test]
    public void Links_within_the_package_are_followed()
    {
        File.CreateSymbolicLink(Path.Combine(Package, "boot/vmlinuz-1"), "../kernels/./vmlinux-1");
        File.CreateSymbolicLink(Path.Combine(Package, "kernels"), "boot");

        Assert.That(PackagePath.Resolve(Package, "boot/vmlinuz-1"), Is.EqualTo(Path.Combine(Package, "boot/vmlinux-1")));
        Assert.That(PackagePath.Resolve(Package, "boot/config-1"), Is.Null);
    }
}
