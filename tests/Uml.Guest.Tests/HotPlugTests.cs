using System.Security.Cryptography;
using Uml.Core.Machine;
using Uml.Devices.Pci;
using Uml.Devices.Virtio;
using Uml.Storage.Blocks;

namespace Uml.Guest.Tests;

/// <summary>Disks come and go while Linux runs, and its own hot-plug driver is told.</summary>
[TestFixture]
[Category("Guest")]
public sealed class HotPlugTests
{
    private const int Slots = 31;

    private static readonly string[] Modules = ["virtio_pci", "virtio_blk", "ext4"];

    [Test]
    public async Task A_disk_comes_without_a_rescan_is_used_and_goes_when_the_guest_is_asked()
    {
        await using GuestMachine guest = await BootAsync();
        await using MemoryBlockDevice image = new(16 << 20);
        byte[] data = RandomNumberGenerator.GetBytes(1 << 20);
        await image.WriteAsync(0, data);
        await using PluggedBlockDevice disk = await guest.Machine.PlugBlockDeviceAsync(image, new BlockDeviceOptions { Serial = "late" });
        await WaitForAsync(guest, "[ -b /dev/vda ]");
        Assert.That(await RunAsync(guest, "cat /sys/block/vda/size /sys/block/vda/serial"), Is.EqualTo("32768\nlate"));
        Assert.That(
            await RunAsync(guest, "dd if=/dev/vda bs=1M count=1 iflag=direct 2>/dev/null | sha256sum"),
            Does.StartWith(Convert.ToHexStringLower(SHA256.HashData(data))));

        // One write that is synced, and one that is still in the guest's page cache.
        await RunAsync(guest, "dd if=/dev/vda of=/dev/vda bs=1M count=1 seek=4 conv=notrunc,fsync 2>/dev/null");
        await RunAsync(guest, "dd if=/dev/vda of=/dev/vda bs=1M count=1 seek=8 conv=notrunc 2>/dev/null");
        await disk.UnplugAsync(GuestMachine.Patience);
        Assert.That(guest.Machine.Devices.Find(disk.Id), Is.Null);
        await AssertHasAsync(image, 4 << 20, data);
        await AssertHasAsync(image, 8 << 20, data);
        Assert.That(await RunAsync(guest, "ls /sys/block | grep -c vd; ls /sys/bus/pci/devices"), Is.EqualTo("0\n0000:00:00.0\n"));

        // And once more, in the same slot.
        await using PluggedBlockDevice again = await guest.Machine.PlugBlockDeviceAsync(image);
        await WaitForAsync(guest, "[ -b /dev/vda ]");
        await RunAsync(guest, "echo again | dd of=/dev/vda bs=512 conv=sync,fsync 2>/dev/null");
        await again.UnplugAsync(GuestMachine.Patience);
        await AssertHasAsync(image, 0, "again\n"u8.ToArray());
    }

    [Test]
    public async Task A_disk_that_is_pulled_out_while_the_guest_writes_gives_errors_and_the_guest_goes_on()
    {
        await using GuestMachine guest = await BootAsync();
        await using MemoryBlockDevice image = new(256 << 20);
        await using PluggedBlockDevice disk = await guest.Machine.PlugBlockDeviceAsync(image);
        await WaitForAsync(guest, "[ -b /dev/vda ]");
        await RunAsync(guest, "(while dd if=/dev/zero of=/dev/vda bs=64k count=4000 oflag=direct 2>/tmp/error; do :; done; touch /tmp/end) >/dev/null 2>&1 &");
        await Task.Delay(500);
        await disk.DisposeAsync();
        Assert.That(guest.Machine.Devices.Find(disk.Id), Is.Null);
        await WaitForAsync(guest, "[ -e /tmp/end ]");
        Assert.That(await RunAsync(guest, "cat /tmp/error"), Does.Contain("Input/output error"));
        Assert.That(await RunAsync(guest, "ls /sys/block; ls /sys/bus/pci/devices"), Is.EqualTo("0000:00:00.0\n"));

        await using PluggedBlockDevice again = await guest.Machine.PlugBlockDeviceAsync(image);
        await WaitForAsync(guest, "[ -b /dev/vda ]");
        await again.UnplugAsync(GuestMachine.Patience);
    }

    [Test]
    public async Task A_file_system_that_is_mounted_has_all_that_was_written_when_its_disk_goes()
    {
        await using GuestMachine guest = await BootAsync();
        await using MemoryBlockDevice image = new(64 << 20);
        await using PluggedBlockDevice disk = await guest.Machine.PlugBlockDeviceAsync(image);
        await WaitForAsync(guest, "[ -b /dev/vda ]");
        await RunAsync(guest, "mke2fs /dev/vda >/dev/null && mkdir -p /mnt && mount -t ext4 /dev/vda /mnt && cp /bin/busybox /mnt/file && sync");
        await disk.UnplugAsync(GuestMachine.Patience);
        await RunAsync(guest, "umount /mnt");
        await using PluggedBlockDevice again = await guest.Machine.PlugBlockDeviceAsync(image);
        await WaitForAsync(guest, "[ -b /dev/vda ]");
        Assert.That(await RunAsync(guest, "mount -t ext4 -o ro /dev/vda /mnt && cmp /bin/busybox /mnt/file && echo same"), Is.EqualTo("same\n"));
    }

    [Test]
    public async Task A_guest_that_lets_a_disk_go_by_itself_can_have_it_back()
    {
        await using MemoryBlockDevice image = new(16 << 20);
        await using GuestMachine guest = await BootAsync(configure: builder => builder.AddBlockDevice(image));
        Assert.That(await RunAsync(guest, "echo 0 > /sys/bus/pci/slots/1/power; ls /sys/block"), Is.Empty);
        Assert.That(guest.Machine.Devices.Find("disk0"), Is.Not.Null);
        Assert.That(await RunAsync(guest, "echo 1 > /sys/bus/pci/slots/1/power; ls /sys/block"), Is.EqualTo("vda\n"));
        await RunAsync(guest, "echo 0 > /sys/bus/pci/slots/1/power");
        await guest.Machine.UnplugAsync(guest.Machine.Devices.Find("disk0")!, GuestMachine.Patience);
    }

    [Test]
    public async Task Disks_fill_the_bus_the_next_is_refused_and_gets_the_place_that_becomes_free()
    {
        await using GuestMachine guest = await BootAsync();
        List<PluggedBlockDevice> disks = [];
        for (int i = 0; i < Slots; i++)
        {
            disks.Add(await guest.Machine.PlugBlockDeviceAsync(new MemoryBlockDevice((i + 1) << 20)));
        }

        HotPlugException? error = await Assert.ThrowsAsync<HotPlugException>(() => guest.Machine.PlugBlockDeviceAsync(new MemoryBlockDevice(1 << 20)));
        Assert.That(error!.Error, Is.EqualTo(HotPlugError.BusFull));
        Assert.That(error.Message, Does.Contain("31 devices"));
        await WaitForAsync(guest, $"[ $(ls /sys/block | grep -c vd) = {Slots} ]");
        await disks[16].UnplugAsync(GuestMachine.Patience);
        await using PluggedBlockDevice last = await guest.Machine.PlugBlockDeviceAsync(new MemoryBlockDevice(99 << 20), new BlockDeviceOptions { Serial = "last" });
        await WaitForAsync(guest, $"[ $(ls /sys/block | grep -c vd) = {Slots} ]");
        Assert.That(await RunAsync(guest, "cat /sys/block/vd*/size | sort -n | tail -n 2; cat /sys/bus/pci/slots/17/address"), Is.EqualTo($"{31 << 11}\n{99 << 11}\n0000:00:11\n"));
    }

    [TestCase("acpiphp.disable=1", "CONFIG_HOTPLUG_PCI_ACPI")]
    [TestCase("acpi=off", "acpi=off")]
    public async Task A_guest_that_cannot_let_a_disk_go_is_told_of(string commandLine, string reason)
    {
        await using MemoryBlockDevice image = new(16 << 20);
        await using GuestMachine guest = await BootAsync(commandLine, builder => builder.AddBlockDevice(image));
        IMachineDevice disk = guest.Machine.Devices.Find("disk0")!;
        HotPlugException? error = await Assert.ThrowsAsync<HotPlugException>(() => guest.Machine.UnplugAsync(disk, TimeSpan.FromSeconds(2)));
        Assert.That(error!.Error, Is.EqualTo(HotPlugError.NoAnswer));
        Assert.That(error.Message, Does.Contain("'disk0'").And.Contain(reason).And.Contain("2 s"));
        Assert.That(await RunAsync(guest, "dd if=/dev/vda of=/dev/null bs=1M count=1 iflag=direct 2>/dev/null && echo still there"), Is.EqualTo("still there\n"));
    }

    [TestCase(ClockMode.Virtual, "")]
    [TestCase(ClockMode.Real, "noapic")]
    [TestCase(ClockMode.Real, "nolapic")]
    public async Task A_disk_goes_and_comes_in_virtual_time_and_with_the_old_interrupt_controllers_too(ClockMode mode, string commandLine)
    {
        await using MemoryBlockDevice image = new(16 << 20);
        await using GuestMachine guest = await BootAsync(commandLine, builder => builder.Configure(machine => machine.ClockMode = mode).AddBlockDevice(image));
        await guest.Machine.UnplugAsync(guest.Machine.Devices.Find("disk0")!, GuestMachine.Patience);
        await using PluggedBlockDevice disk = await guest.Machine.PlugBlockDeviceAsync(image);
        await WaitForAsync(guest, "[ -b /dev/vda ]");
        await disk.UnplugAsync(GuestMachine.Patience);
    }

    [Test]
    public async Task A_request_that_was_made_before_the_guest_has_booted_is_fulfilled()
    {
        await using MemoryBlockDevice image = new(16 << 20);
        await using GuestMachine guest = await GuestMachine.CreateAsync(configure: builder => builder.AddBlockDevice(image), modules: Modules);
        await guest.Machine.StartAsync();
        await guest.Machine.UnplugAsync(guest.Machine.Devices.Find("disk0")!, GuestMachine.Patience);
    }

    private static Task<GuestMachine> BootAsync(string commandLine = "", Action<VirtualMachineBuilder>? configure = null) =>
        GuestMachine.BootToShellAsync(configure, "quiet loglevel=1 " + commandLine, modules: Modules);

    private static async Task AssertHasAsync(MemoryBlockDevice image, long offset, byte[] data)
    {
        byte[] read = new byte[Math.Max(data.Length, 512)];
        await image.ReadAsync(offset, read);
        Assert.That(read.AsSpan(0, data.Length).SequenceEqual(data), $"the data at {offset}");
    }

    private static async Task WaitForAsync(GuestMachine guest, string condition) => Assert.That(
        await RunAsync(guest, $"n=0; until {condition}; do n=$((n+1)); [ $n = 300 ] && break; sleep 0.1; done; {condition} && echo yes"), Is.EqualTo("yes\n"), condition);

    private static async Task<string> RunAsync(GuestMachine guest, string command) => (await guest.Shell.RunAsync(command, GuestMachine.Patience)).Output;
}
