using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Virtio;
using Uml.Hosting;
using Uml.Hosting.Assets;
using Uml.Hosting.Images;
using Uml.PowerCuts.Tests.Logs;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Images;

namespace Uml.PowerCuts.Tests;

/// <summary>A guest that exercises a disk with programs of the host's, by a script of tests/soak.</summary>
internal static class GuestExercise
{
    private const long DiskLength = 512 << 20, LogLength = 4L << 30;

    /// <summary>At how many places of its log the file system is looked at.</summary>
    private const int Cuts = 300;

    private static readonly string[] s_modules = ["virtio_pci", "virtio_blk", "ext4", "dm_flakey", "dm_log_writes"];

    /// <summary>Runs /etc/exercise of a directory on the terminal, and replays the log of writes that it leaves.</summary>
    /// <param name="format">The format of the disk, /dev/vda, and of the one for the log, /dev/vdb.</param>
    /// <param name="tree">The directory, which becomes the guest's root together with busybox.</param>
    /// <returns>The script's exit code.</returns>
    public static async Task<int> RunAsync(DiskFormat format, string tree)
    {
        using TemporaryFolder folder = new();
        foreach ((string name, long length) in (ReadOnlySpan<(string, long)>)[("image", DiskLength), ("log", LogLength)])
        {
            RawBlockDevice.Create(folder[name + ".backing"], length);
            format.Make(folder[name], folder[name + ".backing"]);
        }

        GuestAssetCache cache = new();
        KernelAsset kernel = await cache.GetKernelAsync("linux-image-cloud-amd64");
        InitramfsBuilder image = BusyBoxImage.CreateBuilder(
            await cache.GetBusyBoxAsync(),
            new BusyBoxImageOptions { Command = "export PATH=/usr/sbin:/sbin:/usr/bin:/bin; . /etc/exercise" });
        image.AddHostDirectory("/", tree).AddModules(kernel.ModulesDirectory!, s_modules);
        MachineExit exit;
        await using (IBlockDevice disk = format.Open(folder["image"]))
        await using (IBlockDevice log = format.Open(folder["log"]))
        await using (IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options => options.MemorySize = 1 << 30)
            .UseKernel(BootFile.FromPath(kernel.ImagePath), BootFile.FromBytes(image.Build(), "(initramfs)"), UmlMachine.DefaultCommandLine + " quiet loglevel=1")
            .AddBlockDevice(disk)
            .AddBlockDevice(log)
            .AddStdioConsole()
            .Build())
        {
            await machine.StartAsync();
            exit = await machine.WaitForExitAsync();
        }

        format.Check(folder["image"]);
        format.Check(folder["log"]);
        await ReplayAsync(format, folder);
        return (int)exit.Status;
    }

    private static async Task ReplayAsync(DiskFormat format, TemporaryFolder folder)
    {
        await using IBlockDevice log = format.Open(folder["log"]);
        WriteLog writes = await WriteLog.OpenAsync(log);
        Directory.CreateDirectory(folder["replay"]);
        WriteLogReplay replay = new(writes, folder["replay"]);
        await replay.RunAsync(Cuts);
        Console.WriteLine($"PASSED replay of {writes.Count} entries: {replay.Cuts} power cuts, {replay.Marks} marks");
    }
}
