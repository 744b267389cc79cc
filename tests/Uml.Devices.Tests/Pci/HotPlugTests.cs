using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Board;
using Uml.Devices.Pci;
using Uml.Devices.Virtio;
using Uml.Storage.Blocks;

namespace Uml.Devices.Tests.Pci;

/// <summary>Devices come to machines that run and leave them, with guests of a few instructions.</summary>
[CancelAfter(60_000)]
internal sealed class HotPlugTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(100);

    // jmp $
    private static readonly byte[] Busy = [0xEB, 0xFE];

    // 0: mov edx, 0x614; in eax, dx; test eax, eax; jz 0; bsf eax, eax; mov dx, 0x618; out dx, eax; jmp 0
    private static readonly byte[] LetsGo = [0xBA, 0x14, 0x06, 0, 0, 0xED, 0x85, 0xC0, 0x74, 0xF6, 0x0F, 0xBC, 0xC0, 0x66, 0xBA, 0x18, 0x06, 0xEF, 0xEB, 0xEC];

    // Waits for the request as above, and reads it, over and over: a kernel that has ACPI and no driver for slots.
    private static readonly byte[] Reads = [0xBA, 0x14, 0x06, 0, 0, 0xED, 0xEB, 0xF8];

    // mov dx, 0x609; mov al, 2; out dx, al; jmp $: a kernel that has enabled the event and never takes it.
    private static readonly byte[] Enables = [0x66, 0xBA, 0x09, 0x06, 0xB0, 0x02, 0xEE, 0xEB, 0xFE];

    // cmp byte [0x50000], 0; jne 37; mov edx, 0x614; 15: in eax, dx; test eax, eax; jz 15; mov byte [0x50000], 1; mov dx, 0xCF9; mov al, 6;
    // out dx, al; jmp $; 37: LetsGo
    private static readonly byte[] RebootsFirst =
    [
        0x80, 0x3C, 0x25, 0, 0, 0x05, 0, 0, 0x75, 0x1B, 0xBA, 0x14, 0x06, 0, 0, 0xED, 0x85, 0xC0, 0x74, 0xFB, 0xC6, 0x04, 0x25, 0, 0, 0x05, 0, 1,
        0x66, 0xBA, 0xF9, 0x0C, 0xB0, 0x06, 0xEE, 0xEB, 0xFE, .. LetsGo,
    ];

    [Test]
    public async Task A_device_is_detached_when_the_guest_has_let_it_go(CancellationToken token)
    {
        await using IVirtualMachine machine = Build(LetsGo);
        await machine.StartAsync(token);
        IMachineDevice disk = machine.Devices.Find("disk0")!;
        await machine.UnplugAsync(disk, cancellationToken: token);
        Assert.That((machine.Devices.Find("disk0"), machine.State), Is.EqualTo(((IMachineDevice?)null, MachineState.Running)));
        Assert.That(() => machine.UnplugAsync(disk, cancellationToken: token), Throws.InvalidOperationException.With.Message.Contains("'disk0' is not attached"));
    }

    [Test]
    public async Task Two_that_unplug_the_same_device_both_come_to_an_end(CancellationToken token)
    {
        await using IVirtualMachine machine = Build(LetsGo);
        await machine.StartAsync(token);
        await machine.PauseAsync(token);
        IMachineDevice disk = machine.Devices.Find("disk0")!;
        Task[] both = [machine.UnplugAsync(disk, cancellationToken: token), machine.UnplugAsync(disk, cancellationToken: token)];
        await Task.Delay(50, token);
        Assert.That(both, Has.All.Property("IsCompleted").False);
        await machine.ResumeAsync(token);
        await Task.WhenAll(both);
        Assert.That(machine.Devices.Find("disk0"), Is.Null);
    }

    [Test]
    public async Task A_machine_that_has_not_started_lets_go_at_once(CancellationToken token)
    {
        await using IVirtualMachine machine = Build(Busy);
        await machine.UnplugAsync(machine.Devices.Find("disk0")!, cancellationToken: token);
        Assert.That(machine.Devices.Find("disk0"), Is.Null);
    }

    [TestCase("Busy", "takes no hot-plug events")]
    [TestCase("Enables", "does not take the event")]
    [TestCase("Reads", "CONFIG_HOTPLUG_PCI_ACPI")]
    public async Task A_guest_that_does_not_answer_keeps_the_device(string guest, string reason, CancellationToken token)
    {
        await using IVirtualMachine machine = Build(guest switch { "Busy" => Busy, "Enables" => Enables, _ => Reads });
        await machine.StartAsync(token);
        await Task.Delay(Short, token);
        IMachineDevice disk = machine.Devices.Find("disk0")!;
        for (int i = 0; i < 2; i++)
        {
            HotPlugException? error = await Assert.ThrowsAsync<HotPlugException>(() => machine.UnplugAsync(disk, Short, token));
            Assert.That(error!.Error, Is.EqualTo(HotPlugError.NoAnswer));
            Assert.That(error.Message, Does.StartWith("The guest has not let 'disk0' go within 0.1 s: ").And.Contain(reason));
        }

        Assert.That((machine.Devices.Find("disk0"), machine.State), Is.EqualTo((disk, MachineState.Running)));
        await machine.PauseAsync(token);
        Assert.That(() => machine.UnplugAsync(disk, Short, token), Throws.InstanceOf<HotPlugException>().With.Message.Contains("the machine is paused"));
        machine.Devices.Detach(disk);
    }

    [Test]
    public async Task A_request_can_be_cancelled_and_made_again(CancellationToken token)
    {
        await using IVirtualMachine machine = Build(LetsGo);
        await machine.StartAsync(token);
        await machine.PauseAsync(token);
        IMachineDevice disk = machine.Devices.Find("disk0")!;
        using CancellationTokenSource cancel = new(50);
        Assert.That(() => machine.UnplugAsync(disk, Timeout.InfiniteTimeSpan, cancel.Token), Throws.InstanceOf<OperationCanceledException>());
        await machine.ResumeAsync(token);
        await Task.Delay(50, token);
        Assert.That(machine.Devices.Find("disk0"), Is.SameAs(disk), "the guest was not asked");
        await machine.UnplugAsync(disk, cancellationToken: token);
    }

    [Test]
    public async Task A_machine_that_ends_meanwhile_says_so(CancellationToken token)
    {
        await using IVirtualMachine machine = Build(Busy);
        await machine.StartAsync(token);
        IMachineDevice disk = machine.Devices.Find("disk0")!;
        Task unplugged = machine.UnplugAsync(disk, Timeout.InfiniteTimeSpan, token);
        await Task.Delay(50, token);
        await machine.StopAsync(token);
        foreach (Func<Task> call in (Func<Task>[])[() => unplugged, () => machine.UnplugAsync(disk, cancellationToken: token), () => machine.PlugBlockDeviceAsync(new MemoryBlockDevice(512), cancellationToken: token)])
        {
            HotPlugException? error = await Assert.ThrowsAsync<HotPlugException>(() => call());
            Assert.That((error!.Error, error.Message), Is.EqualTo((HotPlugError.MachineEnded, error.Message)));
            Assert.That(error.Message, Does.Contain("has ended"));
        }
    }

    [Test]
    public async Task A_guest_that_reboots_is_asked_again(CancellationToken token)
    {
        await using IVirtualMachine machine = Build(RebootsFirst, builder => builder.Configure(options => options.OnReboot = RebootAction.Reset));
        await machine.StartAsync(token);
        await machine.UnplugAsync(machine.Devices.Find("disk0")!, cancellationToken: token);
        byte[] flag = new byte[1];
        Assert.That(machine.Memory.TryRead(new(0x5_0000), flag) && flag[0] == 1, "it has rebooted");
    }

    [Test]
    public async Task What_cannot_be_unplugged_is_refused(CancellationToken token)
    {
        await using IVirtualMachine machine = Build(Busy), other = Build(Busy);
        HotPlugException? error = await Assert.ThrowsAsync<HotPlugException>(() => machine.UnplugAsync(machine.Devices.Find("rtc")!, cancellationToken: token));
        Assert.That((error!.Error, error.Message.Contains("'rtc' is no PCI function", StringComparison.Ordinal)), Is.EqualTo((HotPlugError.NotPluggable, true)));
        Assert.That(() => machine.UnplugAsync(other.Devices.Find("disk0")!, cancellationToken: token), Throws.InvalidOperationException);
        foreach (TimeSpan patience in (TimeSpan[])[TimeSpan.Zero, TimeSpan.FromSeconds(-1), TimeSpan.FromDays(50)])
        {
            Assert.That(() => machine.UnplugAsync(machine.Devices.Find("disk0")!, patience, token), Throws.InstanceOf<ArgumentOutOfRangeException>());
        }

        await using IVirtualMachine bare = new VirtualMachineBuilder().Build();
        Assert.That(
            () => bare.PlugBlockDeviceAsync(new MemoryBlockDevice(512), cancellationToken: token),
            Throws.InstanceOf<HotPlugException>().With.Property("Error").EqualTo(HotPlugError.NotPluggable));
    }

    [Test]
    public async Task Disks_come_while_the_guest_runs_and_go_in_each_of_the_ways(CancellationToken token)
    {
        await using MemoryBlockDevice image = new(1 << 20);
        await using IVirtualMachine machine = Build(LetsGo);
        await machine.StartAsync(token);
        PluggedBlockDevice first = await machine.PlugBlockDeviceAsync(image, cancellationToken: token);
        PluggedBlockDevice second = await machine.PlugBlockDeviceAsync(image, new BlockDeviceOptions { Id = "data", Serial = "data" }, token);
        PluggedBlockDevice third = await machine.PlugBlockDeviceAsync(image, cancellationToken: token);
        Assert.That((first.Id, second.Id, third.Id), Is.EqualTo(("disk1", "data", "disk2")));
        Assert.That(machine.Devices.Find("data"), Is.SameAs(second.Device));
        Assert.That(() => machine.PlugBlockDeviceAsync(image, new BlockDeviceOptions { Id = "data" }, token), Throws.InvalidOperationException);
        Assert.That(() => machine.PlugBlockDeviceAsync(image, new BlockDeviceOptions { Serial = new string('x', 21) }, token), Throws.ArgumentException);
        await first.UnplugAsync(cancellationToken: token);
        await first.DisposeAsync();
        await first.DisposeAsync();
        await second.DisposeAsync();
        Assert.That(machine.Devices.Attached.Select(device => device.Id).Where(id => id is "disk1" or "data"), Is.Empty);
        await machine.StopAsync(token);
        await third.DisposeAsync();
        Assert.That(machine.Devices.Find("disk2"), Is.Null);
    }

    [Test]
    public async Task A_disk_is_pulled_out_of_a_guest_that_does_not_answer_and_of_a_machine_that_is_gone(CancellationToken token)
    {
        await using MemoryBlockDevice image = new(1 << 20);
        IVirtualMachine machine = Build(Busy);
        PluggedBlockDevice first = await machine.PlugBlockDeviceAsync(image, cancellationToken: token), second = await machine.PlugBlockDeviceAsync(image, cancellationToken: token);
        await machine.StartAsync(token);
        await first.DisposeAsync();
        Assert.That(machine.Devices.Find("disk1"), Is.Null);
        await machine.DisposeAsync();
        await second.DisposeAsync();
    }

    [Test]
    public async Task A_disk_is_disposed_twice_and_beside_its_machine(CancellationToken token)
    {
        for (int round = 0; round < 10; round++)
        {
            await using MemoryBlockDevice image = new(1 << 20);
            IVirtualMachine machine = Build(LetsGo);
            PluggedBlockDevice disk = await machine.PlugBlockDeviceAsync(image, cancellationToken: token);
            await machine.StartAsync(token);
            Task[] all = [Task.Run(() => disk.DisposeAsync().AsTask(), token), Task.Run(() => disk.DisposeAsync().AsTask(), token), Task.Run(() => machine.DisposeAsync().AsTask(), token)];
            await Task.WhenAll(all);
            await disk.DisposeAsync();
        }
    }

    [Test]
    public async Task The_bus_takes_as_many_as_it_has_slots_and_takes_more_when_some_are_gone(CancellationToken token)
    {
        await using IVirtualMachine machine = Build(LetsGo);
        await machine.StartAsync(token);
        List<PluggedBlockDevice> disks = [];
        for (int i = 2; i <= 31; i++)
        {
            disks.Add(await machine.PlugBlockDeviceAsync(new MemoryBlockDevice(512), cancellationToken: token));
        }

        for (int round = 0; round < 3; round++)
        {
            HotPlugException? error = await Assert.ThrowsAsync<HotPlugException>(() => machine.PlugBlockDeviceAsync(new MemoryBlockDevice(512), cancellationToken: token));
            Assert.That(error!.Error, Is.EqualTo(HotPlugError.BusFull));
            await Task.WhenAll(disks.Take(15).Select(disk => disk.UnplugAsync(cancellationToken: token)));
            disks.RemoveRange(0, 15);
            disks.AddRange(await Task.WhenAll(Enumerable.Range(0, 15).Select(_ => machine.PlugBlockDeviceAsync(new MemoryBlockDevice(512), cancellationToken: token))));
        }
    }

    private static IVirtualMachine Build(byte[] code, Action<VirtualMachineBuilder>? configure = null)
    {
        VirtualMachineBuilder builder = new VirtualMachineBuilder()
            .AddStandardBoard()
            .AddBlockDevice(_ => new MemoryBlockDevice(1 << 20))
            .Configure(options => options.MemorySize = 4 << 20)
            .ConfigureBoot(boot =>
            {
                boot.Kernel = BootFile.FromBytes(code);
                boot.Protocol = BootProtocol.Flat64;
                boot.FlatAddress = 0x4_0000;
            });
        configure?.Invoke(builder);
        return builder.Build();
    }
}
