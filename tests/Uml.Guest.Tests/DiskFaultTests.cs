using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Uml.Core.Machine;
using Uml.Devices.Virtio;
using Uml.Storage.Blocks;
using Uml.Storage.Decorators;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Formats.UmlCow;

namespace Uml.Guest.Tests;

/// <summary>
/// Disks that fail under a real guest, all of one machine: it gets the error that the disk has, and goes on. The disks are apart, so that tests may come
/// in any order.
/// </summary>
[TestFixture]
[Category("Guest")]
public sealed class DiskFaultTests
{
    private const int RequestFailed = 1002;
    private const long DiskLength = 16 << 20;

    private readonly LoggedEvents _events = new();
    private TemporaryFolder _folder = null!;
    private GuestMachine _guest = null!;
    private RawBlockDevice _sparse = null!;

    [OneTimeSetUp]
    public async Task BootAsync()
    {
        _folder = new TemporaryFolder();
        foreach (string name in new[] { "cut", "base-cut", "base-gone", "sparse", "read-only" })
        {
            await File.WriteAllBytesAsync(_folder[name], [.. Enumerable.Repeat((byte)'x', (int)DiskLength)]);
        }

        UmlCowBlockDevice.Create(_folder["over-cut"], _folder["base-cut"]);
        UmlCowBlockDevice.Create(_folder["over-gone"], _folder["base-gone"]);
        _sparse = RawBlockDevice.Open(_folder["sparse"]);
        _guest = await GuestMachine.BootToShellAsync(Compose, modules: ["virtio_pci", "virtio_blk", "ext4", "loop"]);
    }

    [OneTimeTearDown]
    public async Task EndAsync()
    {
        await _guest.DisposeAsync();
        await _sparse.DisposeAsync();
        _folder.Dispose();
    }

    [Test]
    public async Task An_error_of_the_host_reaches_the_guest_and_the_log_and_the_disk_goes_on()
    {
        string disk = await FindAsync("bad");
        Assert.That(await RunAsync($"dd if={disk} of=/dev/null bs=512 skip=2048 count=1 iflag=direct 2>&1 | head -n 1"), Does.Contain("Input/output error"));
        Assert.That(await RunAsync($"dd if=/dev/zero of={disk} bs=512 seek=2048 count=1 oflag=direct 2>&1 | head -n 1"), Does.Contain("Input/output error"));
        Assert.That(await RunAsync("dmesg"), Does.Contain($"I/O error, dev {disk["/dev/".Length..]}, sector 2048"));
        Assert.That(await RunAsync($"dd if={disk} of=/dev/null bs=1M count=1 iflag=direct 2>/dev/null && echo fine"), Is.EqualTo("fine\n"));

        IReadOnlyList<string> logged = _events.Get(RequestFailed);
        Assert.That(logged, Has.Some.EqualTo("bad could not carry out a request of type 0 at byte 1048576: the guest gets an I/O error"));
        await RunAsync($"for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do dd if={disk} of=/dev/null bs=512 skip=2048 count=1 iflag=direct 2>/dev/null; done");
        Assert.That(_events.Get(RequestFailed).Count(message => message.StartsWith("bad ", StringComparison.Ordinal)), Is.LessThanOrEqualTo(8), "a guest cannot fill the log");
    }

    [Test]
    public async Task A_host_without_room_is_an_error_of_the_write()
    {
        string disk = await FindAsync("full");
        Assert.That(await RunAsync($"dd if=/dev/zero of={disk} bs=4096 count=1 oflag=direct 2>&1 | head -n 1"), Does.Contain("error").IgnoreCase.Or.Contain("No space"));
        Assert.That(await RunAsync($"dd if={disk} of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null && echo fine"), Is.EqualTo("fine\n"));
    }

    [Test]
    public async Task A_flush_that_fails_is_an_error_of_fsync()
    {
        string disk = await FindAsync("unflushed");
        Assert.That(await RunAsync($"dd if=/dev/zero of={disk} bs=4096 count=1 conv=fsync 2>&1 | head -n 1"), Does.Contain("Input/output error"));
        Assert.That(await RunAsync($"dd if=/dev/zero of={disk} bs=4096 count=1 oflag=direct 2>/dev/null && echo written"), Is.EqualTo("written\n"));
    }

    [Test]
    public async Task A_discard_that_fails_is_an_error_of_the_guest_and_logged_once()
    {
        string disk = await FindAsync("undiscarded");
        Assert.That(await RunAsync($"blkdiscard -o 0 -l 65536 {disk} 2>&1 || echo failed"), Does.Contain("Input/output error").And.EndWith("failed\n"));
        Assert.That(await RunAsync($"dd if={disk} of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null && echo fine"), Is.EqualTo("fine\n"));
        Assert.That(_events.Get(RequestFailed).Count(message => message.StartsWith("undiscarded ", StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [Test]
    public async Task Zeroes_that_cannot_be_written_are_an_error_of_the_guest_and_logged_once()
    {
        // Linux writes the zeroes itself when a request for them fails, except for holes: those of a loop device over the disk are such requests.
        string disk = await FindAsync("unzeroed");
        Assert.That(await RunAsync($"losetup /dev/loop0 {disk} && blkdiscard -o 0 -l 65536 /dev/loop0 2>&1 || echo failed"), Does.Contain("Input/output error").And.EndWith("failed\n"));
        Assert.That(await RunAsync($"losetup -d /dev/loop0; dd if={disk} of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null && echo fine"), Is.EqualTo("fine\n"));
        Assert.That(
            _events.Get(RequestFailed).Where(message => message.StartsWith("unzeroed ", StringComparison.Ordinal)),
            Is.EqualTo(new[] { "unzeroed could not carry out a request of type 13 at byte 0: the guest gets an I/O error" }));
    }

    [Test]
    public async Task A_file_that_is_cut_off_has_errors_behind_its_end()
    {
        string disk = await FindAsync("cut");
        await using (FileStream file = new(_folder["cut"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.SetLength(1 << 20);
        }

        Assert.That(await RunAsync($"dd if={disk} of=/dev/null bs=4096 skip=1024 count=1 iflag=direct 2>&1 | head -n 1"), Does.Contain("Input/output error"));
        Assert.That(await RunAsync($"dd if={disk} bs=4096 count=1 iflag=direct 2>/dev/null | tr -d x | wc -c"), Is.EqualTo("0\n"));
        Assert.That(await RunAsync($"echo anew | dd of={disk} bs=4096 seek=1024 conv=sync oflag=direct 2>/dev/null; dd if={disk} bs=4096 skip=1024 count=1 iflag=direct 2>/dev/null | head -n 1"), Is.EqualTo("anew\n"));
    }

    [Test]
    public async Task An_image_below_that_is_cut_off_fails_where_it_is_missed()
    {
        string disk = await FindAsync("over-cut");
        await RunAsync($"echo kept | dd of={disk} bs=4096 seek=2000 conv=sync,fsync 2>/dev/null");
        await using (FileStream file = new(_folder["base-cut"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.SetLength(0);
        }

        Assert.That(await RunAsync($"dd if={disk} of=/dev/null bs=4096 skip=1000 count=1 iflag=direct 2>&1 | head -n 1"), Does.Contain("Input/output error"));
        Assert.That(await RunAsync($"dd if={disk} bs=4096 skip=2000 count=1 iflag=direct 2>/dev/null | head -n 1"), Is.EqualTo("kept\n"));
    }

    [Test]
    public async Task An_image_below_that_is_replaced_stays_what_it_was_for_the_machine_and_is_refused_by_the_next()
    {
        string disk = await FindAsync("over-gone");
        File.Delete(_folder["base-gone"]);
        await File.WriteAllBytesAsync(_folder["base-gone"], new byte[DiskLength]);
        File.SetLastWriteTimeUtc(_folder["base-gone"], DateTime.UtcNow.AddHours(1));

        Assert.That(await RunAsync($"dd if={disk} bs=4096 skip=1000 count=1 iflag=direct 2>/dev/null | tr -d x | wc -c"), Is.EqualTo("0\n"));
        Assert.That(
            () => UmlCowBlockDevice.Open(_folder["over-gone"], new UmlCowOptions { IsReadOnly = true, Locks = false }),
            Throws.InstanceOf<DiskImageException>().With.Message.Contains("was changed at"));
    }

    [Test]
    public async Task A_disk_that_is_read_only_refuses_writes_and_mounts_so()
    {
        string disk = await FindAsync("read-only");
        Assert.That(await RunAsync($"dd if=/dev/zero of={disk} bs=512 count=1 2>&1 | head -n 1"), Does.Contain("not permitted").IgnoreCase);
        Assert.That(await RunAsync($"blkdiscard -l 4096 {disk} 2>&1; dd if={disk} bs=4096 count=1 2>/dev/null | tr -d x | wc -c"), Does.EndWith("0\n"));
    }

    [Test]
    public async Task Discards_give_the_host_its_room_back_and_a_new_size_is_seen()
    {
        string disk = await FindAsync("sparse"), name = disk["/dev/".Length..];
        long before = Blocks();
        Assert.That(await RunAsync($"blkdiscard -o 0 -l {DiskLength / 2} {disk} && echo done"), Is.EqualTo("done\n"));
        Assert.That(Blocks(), Is.LessThan((before / 2) + 100), "holes in the file");
        Assert.That(await RunAsync($"dd if={disk} bs=1M count=9 iflag=direct 2>/dev/null | tr -d '\\0' | wc -c"), Is.EqualTo("1048576\n"));

        Assert.That(await RunAsync($"mke2fs -F {disk} >/dev/null 2>&1; mkdir -p /trim; mount -t ext4 -o nodiscard {disk} /trim && dd if=/dev/zero of=/trim/file bs=1M count=6 conv=fsync 2>/dev/null; echo $?"), Is.EqualTo("0\n"));
        long full = Blocks();
        Assert.That(await RunAsync("rm /trim/file; sync; fstrim /trim && umount /trim && echo done"), Is.EqualTo("done\n"));
        Assert.That(Blocks(), Is.LessThan(full - (4 << 11)), "trimmed");

        await _sparse.ResizeAsync(2 * DiskLength);
        Assert.That(await RunAsync($"for i in 1 2 3 4 5 6 7 8 9 10; do [ $(cat /sys/block/{name}/size) = {2 * DiskLength / 512} ] && break; sleep 1; done; cat /sys/block/{name}/size"), Is.EqualTo($"{2 * DiskLength / 512}\n"));
    }

    private void Compose(VirtualMachineBuilder builder)
    {
        builder.Services.AddSingleton<ILoggerFactory>(_events);
        BlockFault bad = new() { Offset = 2048 * 512, Length = 512, Kinds = BlockRequestKind.Read | BlockRequestKind.Write };
        Add(builder, "bad", _ => new MemoryBlockDevice(DiskLength).WithFaults(bad));
        Add(builder, "full", _ => new MemoryBlockDevice(DiskLength).WithFaults(new BlockFault { Kinds = BlockRequestKind.Write, Error = BlockError.NoSpace }));
        Add(builder, "unflushed", _ => new MemoryBlockDevice(DiskLength).WithFaults(new BlockFault { Kinds = BlockRequestKind.Flush, Repeat = BlockFaultRepeat.Sticky }));
        Add(builder, "undiscarded", _ => new MemoryBlockDevice(DiskLength).WithFaults(new BlockFault { Kinds = BlockRequestKind.Discard }));
        Add(builder, "unzeroed", _ => new MemoryBlockDevice(DiskLength).WithFaults(new BlockFault { Kinds = BlockRequestKind.WriteZeroes }));
        Add(builder, "cut", _ => RawBlockDevice.Open(_folder["cut"]));
        Add(builder, "over-cut", _ => UmlCowBlockDevice.Open(_folder["over-cut"]));
        Add(builder, "over-gone", _ => UmlCowBlockDevice.Open(_folder["over-gone"]));
        Add(builder, "read-only", _ => RawBlockDevice.Open(_folder["read-only"], new RawImageOptions { IsReadOnly = true }));
        builder.AddBlockDevice(_sparse, new BlockDeviceOptions { Id = "sparse" });
    }

    private static void Add(VirtualMachineBuilder builder, string name, Func<IServiceProvider, IBlockDevice> open) =>
        builder.AddBlockDevice(open, new BlockDeviceOptions { Id = name });

    /// <summary>The node of the disk with a name.</summary>
    private async Task<string> FindAsync(string name) =>
        (await RunAsync($"for disk in /sys/block/vd*; do [ \"$(cat $disk/serial)\" = {name} ] && echo /dev/${{disk##*/}}; done")).Trim();

    private async Task<string> RunAsync(string command) => (await _guest.Shell.RunAsync(command, GuestMachine.Patience)).Output;

    /// <summary>Blocks of 512 bytes that the sparse image takes on the host.</summary>
    private long Blocks() => long.Parse(PeerTool.Run("coreutils", "stat", "-c", "%b", _folder["sparse"]), System.Globalization.CultureInfo.InvariantCulture);
}
