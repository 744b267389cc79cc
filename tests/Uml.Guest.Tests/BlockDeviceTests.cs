using System.Security.Cryptography;
using System.Text;
using Uml.Core.Machine;
using Uml.Devices.Virtio;
using Uml.Storage.Blocks;

namespace Uml.Guest.Tests;

/// <summary>Linux's own drivers on our virtio devices.</summary>
[TestFixture]
[Category("Guest")]
public sealed class BlockDeviceTests
{
    private static readonly string[] Modules = ["virtio_pci", "virtio_blk", "virtio_rng"];

    [Test]
    public async Task A_disk_is_read_and_written_as_the_host_has_it()
    {
        await using MemoryBlockDevice disk = new(64 << 20);
        byte[] data = RandomNumberGenerator.GetBytes(8 << 20);
        await disk.WriteAsync(4 << 20, data);
        await using GuestMachine guest = await BootAsync(builder => builder.AddBlockDevice(disk, new BlockDeviceOptions { Serial = "a disk" }));

        Assert.That(await RunAsync(guest, "cat /sys/block/vda/size /sys/block/vda/serial; echo; cat /sys/block/vda/ro"), Is.EqualTo("131072\na disk\n0\n"));
        Assert.That(
            await RunAsync(guest, "dd if=/dev/vda bs=1M skip=4 count=8 iflag=direct 2>/dev/null | sha256sum"),
            Does.StartWith(Convert.ToHexStringLower(SHA256.HashData(data))));

        await RunAsync(guest, "echo from the guest | dd of=/dev/vda bs=512 seek=3 conv=sync,fsync 2>/dev/null");
        byte[] sector = new byte[512];
        await disk.ReadAsync(3 * 512, sector);
        Assert.That(Encoding.ASCII.GetString(sector), Does.StartWith("from the guest\n\0"));
    }

    [Test]
    public async Task A_disk_that_is_read_only_is_so_for_the_guest()
    {
        await using MemoryBlockDevice disk = new(1 << 20, isReadOnly: true);
        await using GuestMachine guest = await BootAsync(builder => builder.AddBlockDevice(disk));

        Assert.That(await RunAsync(guest, "cat /sys/block/vda/ro; dd if=/dev/zero of=/dev/vda bs=512 count=1 2>&1 | head -n 1"), Does.StartWith("1\n").And.Contains("not permitted").IgnoreCase);
    }

    [Test]
    public async Task A_discard_reaches_the_disk_and_a_new_size_the_guest()
    {
        await using MemoryBlockDevice disk = new(16 << 20);
        byte[] data = [.. Enumerable.Repeat((byte)1, 1 << 20)];
        await disk.WriteAsync(0, data);
        await disk.WriteAsync(1 << 20, data);
        await using GuestMachine guest = await BootAsync(builder => builder.AddBlockDevice(disk));
        Assert.That(await RunAsync(guest, "blkdiscard -o 0 -l 1048576 /dev/vda && echo done"), Is.EqualTo("done\n"));
        await disk.ReadAsync(0, data);
        Assert.That(data, Has.All.Zero);
        await disk.ReadAsync(1 << 20, data);
        Assert.That(data, Has.All.EqualTo(1));

        await disk.ResizeAsync(32 << 20);
        Assert.That(await RunAsync(guest, "sleep 1; cat /sys/block/vda/size"), Is.EqualTo("65536\n"));
    }

    [Test]
    public async Task Entropy_comes_from_the_host()
    {
        await using GuestMachine guest = await BootAsync(builder => builder.AddEntropy());
        Assert.That(await RunAsync(guest, "cat /sys/class/misc/hw_random/rng_current; head -c 100000 /dev/hwrng | wc -c"), Does.StartWith("virtio_rng").And.Contains("100000"));
    }

    [Test]
    public async Task In_virtual_time_every_run_with_a_disk_is_the_same()
    {
        (MachineExit exit, string output, ulong instructions) first = await RunVirtualAsync();
        (MachineExit exit, string output, ulong instructions) second = await RunVirtualAsync();
        Assert.That(first.output, Does.Contain("done"));
        Assert.That(second.output, Is.EqualTo(first.output));
        Assert.That(second.instructions, Is.EqualTo(first.instructions));
    }

    private static async Task<(MachineExit Exit, string Output, ulong Instructions)> RunVirtualAsync()
    {
        await using MemoryBlockDevice disk = new(8 << 20);
        return await GuestMachine.RunAsync(
            "dd if=/dev/hwrng of=/dev/vda bs=4096 count=50 2>/dev/null; sync; sha256sum /dev/vda; dd if=/dev/vda of=/dev/null bs=4096 iflag=direct 2>/dev/null; echo done",
            builder => builder.Configure(options => options.ClockMode = ClockMode.Virtual).AddBlockDevice(disk).AddEntropy(),
            modules: Modules);
    }

    private static Task<GuestMachine> BootAsync(Action<VirtualMachineBuilder> configure) => GuestMachine.BootToShellAsync(configure, modules: Modules);

    private static async Task<string> RunAsync(GuestMachine guest, string command) => (await guest.Shell.RunAsync(command, GuestMachine.Patience)).Output;
}
