using System.Runtime.Versioning;
using Uml.Hosting.Assets;
using Uml.Hosting.Interop;

namespace Uml.Hosting.Tests.Assets;

[Platform("Linux")]
[SupportedOSPlatform("linux")]
public sealed class CacheDirectoryTests
{
    private string _temporary = "";

    private string Own => Path.Combine(_temporary, $"uml-{Stat.GetEffectiveUser()}");

    [SetUp]
    public void SetUp() => _temporary = Directory.CreateTempSubdirectory("uml-home-").FullName;

    [TearDown]
    public void TearDown() => Directory.Delete(_temporary, recursive: true);

    [TestCase("/var/cache/me", "/home/me", "/var/cache/me/uml")]
    [TestCase("relative", "/home/me", "/home/me/.cache/uml")]
    [TestCase("", "/home/me", "/home/me/.cache/uml")]
    [TestCase(null, "/home/me", "/home/me/.cache/uml")]
    [TestCase("/var/cache/me", "", "/var/cache/me/uml")]
    public void The_cache_is_where_the_specification_has_it(string? cacheHome, string home, string expected) =>
        Assert.That(CacheDirectory.Choose(cacheHome, home, _temporary), Is.EqualTo(expected));

    [TestCase("")]
    [TestCase("relative")]
    [TestCase("/", Description = "what the runtime says of a user that the host does not know, and containers set")]
    public void Without_a_home_it_is_a_directory_that_only_this_user_may_enter(string home)
    {
        string directory = CacheDirectory.Choose(null, home, _temporary);

        Assert.That(directory, Is.EqualTo(Own));
        Assert.That(Stat.Read(directory), Is.EqualTo(new FileStatus(Stat.DirectoryType | 0x1C0, Stat.GetEffectiveUser())));
        Assert.That(CacheDirectory.Choose(null, home, _temporary), Is.EqualTo(directory), "the next process finds it again");
    }

    [Test]
    public void A_link_that_lies_there_is_refused()
    {
        string elsewhere = Directory.CreateDirectory(Path.Combine(_temporary, "elsewhere")).FullName;
        File.SetUnixFileMode(elsewhere, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.CreateSymbolicLink(Own, elsewhere);

        AssertRefused();
    }

    [Test]
    public void A_link_to_nowhere_that_lies_there_is_refused()
    {
        Directory.CreateSymbolicLink(Own, Path.Combine(_temporary, "nowhere"));

        AssertRefused();
        Assert.That(Directory.Exists(Path.Combine(_temporary, "nowhere")), Is.False);
    }

    [Test]
    public void A_file_that_lies_there_is_refused()
    {
        File.WriteAllText(Own, "");

        AssertRefused();
    }

    [TestCase(UnixFileMode.OtherWrite)]
    [TestCase(UnixFileMode.GroupWrite)]
    [TestCase(UnixFileMode.OtherRead)]
    public void A_directory_that_others_may_use_is_refused(UnixFileMode more)
    {
        Directory.CreateDirectory(Own);
        File.SetUnixFileMode(Own, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | more);

        AssertRefused();
    }

    [Test]
    public void A_directory_of_another_user_is_refused()
    {
        if (Stat.GetEffectiveUser() != 0)
        {
            Assert.Ignore("Only root can make a directory that is another user's.");
        }

        Directory.CreateDirectory(Own, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using System.Diagnostics.Process chown = System.Diagnostics.Process.Start("chown", ["65534", Own]);
        chown.WaitForExit();

        AssertRefused();
    }

    [Test]
    public void A_place_where_others_may_exchange_it_is_refused()
    {
        File.SetUnixFileMode(_temporary, (UnixFileMode)0x1FF);
        AssertRefused();

        File.SetUnixFileMode(_temporary, (UnixFileMode)0x1FF | UnixFileMode.StickyBit);
        Assert.That(CacheDirectory.Choose(null, "", _temporary), Is.EqualTo(Own));
    }

    private void AssertRefused() => Assert.That(
        () => CacheDirectory.Choose(null, "", _temporary), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("XDG_CACHE_HOME"));
}
