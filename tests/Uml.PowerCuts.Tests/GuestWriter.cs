using System.Globalization;
using System.Text;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Virtio;
using Uml.Hosting;
using Uml.Hosting.Assets;
using Uml.Hosting.Images;
using Uml.Storage.Blocks;
using Uml.Storage.Images;

namespace Uml.PowerCuts.Tests;

/// <summary>A real guest that writes records: busybox's dd copies them from a second disk, one by one, each with an fsync.</summary>
internal static class GuestWriter
{
    /// <summary>More records than a round lasts.</summary>
    private const int Records = 2000;

    /// <summary>Runs the guest on the terminal until the process is killed.</summary>
    /// <param name="disk">What it writes to.</param>
    /// <param name="plan">What it writes.</param>
    /// <param name="first">The number of the first record.</param>
    /// <param name="hasFileSystem">Whether there is ext4 on the disk, and each record is a file; else records have places of their own.</param>
    public static async Task RunAsync(IBlockDevice disk, RecordPlan plan, long first, bool hasFileSystem)
    {
        await using MemoryBlockDevice source = new((long)Records * RecordPlan.RecordLength);
        byte[] record = new byte[RecordPlan.RecordLength];
        StringBuilder places = new();
        for (int i = 0; i < Records; i++)
        {
            plan.Fill(first + i, record);
            await source.WriteAsync((long)i * RecordPlan.RecordLength, record);
            places.Append(CultureInfo.InvariantCulture, $"{plan.GetSlot(first + i)}\n");
        }

        GuestAssetCache cache = new();
        KernelAsset kernel = await cache.GetKernelAsync("linux-image-cloud-amd64");
        InitramfsBuilder image = BusyBoxImage.CreateBuilder(await cache.GetBusyBoxAsync(), new BusyBoxImageOptions { Command = CreateScript(first, hasFileSystem) })
            .AddText("etc/places", places.ToString());
        image.AddModules(kernel.ModulesDirectory!, hasFileSystem ? ["virtio_pci", "virtio_blk", "ext4"] : ["virtio_pci", "virtio_blk"]);
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .UseKernel(BootFile.FromPath(kernel.ImagePath), BootFile.FromBytes(image.Build(), "(initramfs)"), UmlMachine.DefaultCommandLine + " quiet loglevel=1")
            .AddBlockDevice(disk)
            .AddBlockDevice(source)
            .AddStdioConsole()
            .Build();
        await machine.StartAsync();
        MachineExit exit = await machine.WaitForExitAsync();
        throw new InvalidOperationException($"The guest ended before it was killed: {exit.Message}");
    }

    private static string CreateScript(long first, bool hasFileSystem) => string.Create(CultureInfo.InvariantCulture, $"""
        {(hasFileSystem ? "mkdir -p /mnt; mount -t ext4 /dev/vda /mnt || exit 1" : "")}
        number={first}
        record=0
        while read place; do
            dd if=/dev/vdb bs=4096 skip=$record count=1 {(hasFileSystem ? "of=/mnt/$number conv=fsync" : "of=/dev/vda seek=$place conv=notrunc,fsync")} 2>/dev/null || exit 1
            echo "{KilledProcess.AcknowledgedMark}$number"
            number=$((number + 1))
            record=$((record + 1))
        done </etc/places
        exit 1
        """);
}
