using Uml.Devices.Virtio;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Guest.Tests;

/// <summary>Copy-on-write files that our guests, User Mode Linux and its tools write in turn.</summary>
[TestFixture]
[Category("Guest")]
public sealed class UmlInterchangeTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task User_Mode_Linux_boots_from_what_our_guest_wrote_and_our_guest_reads_what_it_wrote()
    {
        await UserModeLinux.MakeRootAsync(_folder, "cat /ours; echo from User Mode Linux >/theirs; rm /unwanted");
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        Assert.That(await RunInOursAsync("echo from our guest >/mnt/ours; echo >/mnt/unwanted; dd if=/dev/zero of=/mnt/large bs=1M count=4 2>/dev/null"), Is.Empty);

        Assert.That(UserModeLinux.Run(_folder, "cow"), Does.Contain("from our guest"));

        Assert.That(await RunInOursAsync("cat /mnt/ours /mnt/theirs; ls /mnt/unwanted 2>&1"), Does.StartWith("from our guest\nfrom User Mode Linux\n").And.Contains("No such file"));
        Merge("cow");
        Assert.That(PeerTool.Run("e2fsprogs", "debugfs", "-R", "cat /theirs", _folder["merged"]), Does.Contain("from User Mode Linux"));
    }

    [Test]
    public async Task Our_guest_reads_a_file_that_User_Mode_Linux_made()
    {
        await UserModeLinux.MakeRootAsync(_folder, "dd if=/dev/urandom of=/data bs=64k count=20 2>/dev/null; echo the file is $(sha256sum </data)");
        string output = UserModeLinux.Run(_folder, "cow");
        string sum = output.Split("the file is ")[1].Split(' ')[0];

        Assert.That(await RunInOursAsync("sha256sum </mnt/data"), Does.StartWith(sum));
        Merge("cow");
    }

    [Test]
    public async Task What_our_guest_writes_over_a_file_of_uml_mkcow_is_merged_by_uml_moo()
    {
        await UserModeLinux.MakeRootAsync(_folder, "");
        PeerTool.Run("uml-utilities", "uml_mkcow", _folder["cow"], _folder["base"]);
        await RunInOursAsync("for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/mnt/$i bs=70k count=$i conv=fsync 2>/dev/null; done; rm /mnt/3; echo merged >/mnt/text");

        Merge("cow");
        Assert.That(PeerTool.Run("e2fsprogs", "debugfs", "-R", "cat /text", _folder["merged"]), Does.Contain("merged"));
    }

    /// <summary>Merges a file into a new image, whose file system has to be clean.</summary>
    private void Merge(string cow)
    {
        PeerTool.Run("uml-utilities", "uml_moo", _folder[cow], _folder["merged"]);
        PeerTool.Run("e2fsprogs", "e2fsck", "-fn", _folder["merged"]);
    }

    /// <summary>Runs a command in a guest of ours that has the file system at /mnt.</summary>
    private async Task<string> RunInOursAsync(string command)
    {
        await using GuestMachine guest = await GuestMachine.BootToShellAsync(
            builder => builder.AddBlockDevice(_ => UmlCowBlockDevice.Open(_folder["cow"])), modules: ["virtio_pci", "virtio_blk", "ext4"]);
        return (await guest.Shell.RunAsync($"mkdir -p /mnt && mount -t ext4 /dev/vda /mnt && {{ {command}; }}; umount /mnt || echo not unmounted", GuestMachine.Patience)).Output;
    }
}
