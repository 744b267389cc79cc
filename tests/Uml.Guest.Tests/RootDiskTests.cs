using System.Text;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Virtio;
using Uml.Hosting;
using Uml.Hosting.CommandLine;
using Uml.Hosting.Images;
using Uml.Storage.Blocks;
using Uml.Storage.FileSystems.Ext4;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Guest.Tests;

/// <summary>Guests whose root file system is a disk, mounted by the initramfs of ours.</summary>
[TestFixture]
[Category("Guest")]
public sealed class RootDiskTests
{
    private const string Label = "small-root";
    private static readonly Guid Identity = new("6f1f4b52-7a0d-4f0e-9b1e-0123456789ab");

    /// <summary>What runs on the root: it shows how the root is mounted and what it was given, counts its starts, and goes off.</summary>
    private const string Init = """
        #!/bin/sh
        grep ' / ' /proc/mounts
        echo "arguments: $*"
        [ -c /dev/console ] && [ -d /sys/block/vda ] && echo "mounts moved"
        echo start >>/starts && echo "starts: $(wc -l </starts)"
        case "$*" in
        *again*) [ $(wc -l </starts) -lt 3 ] && sync && reboot -f ;;
        esac
        sync
        poweroff -f

        """;

    [TestCase("root=/dev/vda rw")]
    [TestCase("root=/dev/ubda rw")]
    [TestCase("root=ubd0 rw")]
    [TestCase("root=98:0 rw")]
    [TestCase("root=LABEL=small-root rw")]
    [TestCase("root=UUID=6f1f4b52-7a0d-4f0e-9b1e-0123456789ab rw")]
    [TestCase("root=/dev/vda rw rootfstype=ext4 rootflags=noatime")]
    public async Task A_small_root_is_mounted_by_any_name(string commandLine)
    {
        await using MemoryBlockDevice disk = await CreateRootAsync();
        (MachineExit exit, string output) = await RunAsync(disk, commandLine);
        Assert.That(output, Does.Contain("ext4 rw").And.Contain("mounts moved").And.Contain("starts: 1"));
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.PowerOff), output);
        if (commandLine.Contains("noatime", StringComparison.Ordinal))
        {
            Assert.That(output, Does.Contain("rw,noatime"));
        }
    }

    [Test]
    public async Task A_root_is_read_only_unless_the_command_line_says_otherwise()
    {
        await using MemoryBlockDevice disk = await CreateRootAsync();
        (_, string output) = await RunAsync(disk, "root=/dev/vda");
        Assert.That(output, Does.Contain("ext4 ro").And.Contain("Read-only file system").And.Not.Contain("starts: 1"));
    }

    [Test]
    public async Task Init_gets_the_words_that_are_for_it()
    {
        await using MemoryBlockDevice disk = await CreateRootAsync();
        (_, string output) = await RunAsync(disk, "root=/dev/vda rw init=/sbin/init -- one two");
        Assert.That(output, Does.Contain("arguments: one two"));
    }

    [Test]
    public async Task A_reboot_keeps_what_was_written()
    {
        await using MemoryBlockDevice disk = await CreateRootAsync();
        (MachineExit exit, string output) = await RunAsync(disk, "root=/dev/vda rw -- again", machine => machine.OnReboot = RebootAction.Reset);
        Assert.That(output, Does.Contain("starts: 1").And.Contain("starts: 2").And.Contain("starts: 3"));
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.PowerOff), output);
    }

    [TestCase("root=/dev/vdz rw", "there is no '/dev/vdz' within 1 s; root= may name: /dev/vda")]
    [TestCase("root=LABEL=other rw", "there is no 'LABEL=other' within 1 s")]
    [TestCase("rw", "the kernel's command line has no root=")]
    [TestCase("root=/dev/vda rw rootfstype=xfs", "/dev/vda cannot be mounted as xfs (rw)")]
    [TestCase("root=/dev/vda rw init=/nothing", "/dev/vda has no '/nothing', which init= names.")]
    public async Task A_root_that_is_not_there_ends_the_machine_with_a_message(string commandLine, string message)
    {
        await using MemoryBlockDevice disk = await CreateRootAsync();
        (MachineExit exit, string output) = await RunAsync(disk, commandLine);
        Assert.That(output, Does.Contain($"root disk: {message}"));
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, (uint)RootDiskInitramfs.FailureStatus)), output);
    }

    [Test]
    public async Task Without_a_disk_the_message_says_so()
    {
        (MachineExit exit, string output) = await RunAsync(null, "root=/dev/vda");
        Assert.That(output, Does.Contain("root= may name: nothing, because the machine has no disk"));
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.DebugExit), output);
    }

    /// <summary>A root whose init shows what it finds, and goes off.</summary>
    internal static async Task<FileTree> CreateTreeAsync()
    {
        FileTree tree = new();
        FileMetadata executable = new(FileMetadata.DefaultDirectoryMode);
        foreach (string directory in (string[])["dev", "proc", "sys", "sbin"])
        {
            tree.Set(directory, FileNode.CreateDirectory(executable));
        }

        byte[] busybox = await File.ReadAllBytesAsync(await GuestAssets.Cache.GetBusyBoxAsync());
        tree.Set("bin/busybox", FileNode.CreateFile(executable, FileContent.FromMemory(busybox)));
        foreach (string applet in (string[])["sh", "grep", "wc", "sync", "poweroff", "reboot"])
        {
            tree.Set($"bin/{applet}", FileNode.CreateSymbolicLink(executable, "busybox"u8));
        }

        tree.Set("sbin/init", FileNode.CreateFile(executable, FileContent.FromMemory(Encoding.UTF8.GetBytes(Init))));
        return tree;
    }

    private static async Task<MemoryBlockDevice> CreateRootAsync()
    {
        using FileTree tree = await CreateTreeAsync();
        MemoryBlockDevice disk = new(32 << 20);
        await Ext4Writer.WriteAsync(tree, disk, new Ext4Options { Label = Label, Uuid = Identity });
        return disk;
    }

    private static async Task<(MachineExit Exit, string Output)> RunAsync(
        MemoryBlockDevice? disk, string commandLine, Action<MachineOptions>? configure = null)
    {
        InMemoryConsoleChannel console = new();
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder()
            .Configure(configure ?? (_ => { }))
            .UseKernel(
                BootFile.FromPath(GuestAssets.Kernel.ImagePath),
                await RootDiskInitramfs.CreateAsync(
                    GuestAssets.Kernel.ModulesDirectory!, GuestAssets.Cache, new RootDiskInitramfsOptions { Patience = TimeSpan.FromSeconds(1) }),
                UmlDeviceNames.Map($"{UmlMachine.DefaultCommandLine} quiet loglevel=1 PATH=/bin {commandLine}"))
            .AddConsole(console);
        if (disk is not null)
        {
            builder.AddBlockDevice(disk);
        }

        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync();
        MachineExit exit = await machine.WaitForExitAsync().WaitAsync(GuestMachine.Patience);
        return (exit, console.Transcript);
    }
}
