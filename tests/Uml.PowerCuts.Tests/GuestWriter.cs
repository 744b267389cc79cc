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

/// <summary>
/// A real guest that writes records to all its disks at once: busybox's dd copies them from a disk that has them, one by one, each with an fsync.
/// </summary>
internal static class GuestWriter
{
    /// <summary>More records than a round lasts.</summary>
    private const int Records = 2000;

    /// <summary>Runs the guest on the terminal until the process is killed.</summary>
    /// <param name="disks">What it writes to, and whether there is ext4 on it.</param>
    /// <param name="plan">What it writes.</param>
    /// <param name="first">The number of the first record.</param>
    public static async Task RunAsync(IReadOnlyList<(IBlockDevice Device, bool HasFileSystem)> disks, RecordPlan plan, long first)
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
        InitramfsBuilder image = BusyBoxImage.CreateBuilder(await cache.GetBusyBoxAsync(), new BusyBoxImageOptions { Command = CreateScript(disks, first) })
            .AddText("etc/places", places.ToString());
        image.AddModules(kernel.ModulesDirectory!, disks.Any(disk => disk.HasFileSystem) ? ["virtio_pci", "virtio_blk", "ext4"] : ["virtio_pci", "virtio_blk"]);
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder()
            .UseKernel(BootFile.FromPath(kernel.ImagePath), BootFile.FromBytes(image.Build(), "(initramfs)"), UmlMachine.DefaultCommandLine + " quiet loglevel=1")
            .AddBlockDevice(source)
            .AddStdioConsole();
        foreach ((IBlockDevice device, _) in disks)
        {
            builder.AddBlockDevice(device);
        }

        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync();
        MachineExit exit = await machine.WaitForExitAsync();
        throw new InvalidOperationException($"The guest ended before it was killed: {exit.Message}");
    }

    /// <summary>A loop for each disk, beside the others; the disk with the records is /dev/vda.</summary>
    private static string CreateScript(IReadOnlyList<(IBlockDevice Device, bool HasFileSystem)> disks, long first)
    {
        StringBuilder script = new();
        script.Append(CultureInfo.InvariantCulture, $$"""
            write() {
                number={{first}}
                record=0
                while read place; do
                    if [ $3 = files ]; then to=of=/mnt/$1/$number; else to="of=/dev/$2 seek=$place"; fi
                    dd if=/dev/vda bs=4096 skip=$record count=1 $to conv=notrunc,fsync 2>/dev/null || exit 1
                    echo "{{KilledProcess.AcknowledgedMark}}$1 $number"
                    number=$((number + 1))
                    record=$((record + 1))
                done </etc/places
            }
            begin() {
                [ $3 = records ] && return
                mkdir -p /mnt/$1
                mount -t ext4 /dev/$2 /mnt/$1 || exit 1
                for file in $(ls /mnt/$1 | grep -v lost); do [ $file -ge {{first - GuestFileDisk.KeptFiles}} ] || rm /mnt/$1/$file; done
            }

            """);
        foreach (string function in (string[])["begin", "write"])
        {
            for (int i = 0; i < disks.Count; i++)
            {
                script.Append(CultureInfo.InvariantCulture, $"{function} {i} vd{(char)('b' + i)} {(disks[i].HasFileSystem ? "files" : "records")}{(function == "write" ? " &" : "")}\n");
            }
        }

        return script.Append("wait\nexit 1\n").ToString();
    }
}
