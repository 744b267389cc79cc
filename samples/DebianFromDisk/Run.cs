using System.Text;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Virtio;
using Uml.Hosting;
using Uml.Hosting.Assets;
using Uml.Hosting.CommandLine;
using Uml.Hosting.Debian;
using Uml.Hosting.Images;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Images;

namespace DebianFromDisk;

/// <summary>Makes the disk, boots it, and converts the machine's exit to an exit code.</summary>
internal static class Run
{
    private const int Failed = 125, Interrupted = 130;

    public static async Task<int> RunAsync(Settings settings, CancellationToken cancellationToken)
    {
        try
        {
            var assets = new GuestAssetCache();
            if (settings.DiscardsChanges)
            {
                await Disk.DiscardAsync(settings.Changes, cancellationToken);
            }

            if (settings.CommitsChanges)
            {
                Tell($"The changes are in '{await Disk.CommitAsync(settings.Changes, cancellationToken)}' now, and '{settings.Changes}' is gone.");
                return 0;
            }

            string image = await GetImageAsync(settings, assets, cancellationToken);
            KernelAsset kernel = await assets.GetKernelAsync(settings.Kernel, cancellationToken);
            byte[] initrd = await CreateInitrdAsync(kernel, assets, cancellationToken);
            if (settings.ExportDirectory is { } directory)
            {
                await Disk.ExportAsync(directory, image, kernel, initrd, cancellationToken);
                return 0;
            }

            Disk.Prepare(settings.Changes, image);
            return await BootAsync(settings, kernel, initrd, cancellationToken);
        }
        catch (Exception e) when (e is MachineConfigurationException or ImageContentException or DiskImageException or IOException or UnauthorizedAccessException)
        {
            Tell(e.Message);
            return Failed;
        }
        catch (OperationCanceledException)
        {
            return Interrupted;
        }
    }

    private static Task<string> GetImageAsync(Settings settings, GuestAssetCache assets, CancellationToken cancellationToken)
    {
        var options = new DebianImageOptions { Length = settings.Size, Kernel = settings.Kernel };
        return BuildDisplay.ShowAsync(progress => DebianImage.GetAsync(options, assets, progress, cancellationToken));
    }

    private static async Task<byte[]> CreateInitrdAsync(KernelAsset kernel, GuestAssetCache assets, CancellationToken cancellationToken)
    {
        string modules = kernel.ModulesDirectory
            ?? throw new MachineConfigurationException($"The package {kernel.Package} has no modules, which the driver of disks is one of; name another.");

        // systemd wants autofs4 before it starts anything.
        var options = new RootDiskInitramfsOptions { Modules = ["autofs4", "virtio_rng"] };
        return RootDiskInitramfs.CreateBuilder(await assets.GetBusyBoxAsync(cancellationToken), modules, options).Build();
    }

    private static async Task<int> BootAsync(Settings settings, KernelAsset kernel, byte[] initrd, CancellationToken cancellationToken)
    {
        using var console = new StdioConsoleChannel();
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options =>
            {
                options.MemorySize = settings.Memory;
                options.OnReboot = RebootAction.Reset;
            })
            .UseKernel(BootFile.FromPath(kernel.ImagePath), BootFile.FromBytes(initrd, "(root disk initramfs)"), GetCommandLine(settings))
            .AddConsole(console)
            .AddBlockDevice(_ => UmlCowBlockDevice.Open(settings.Changes))
            .AddEntropy()
            .Build();
        await machine.StartAsync(cancellationToken);
        MachineExit exit = await machine.WaitForExitAsync(cancellationToken);

        // The console hands over its last output, and gives the terminal back, before anything else is printed.
        await machine.DisposeAsync();
        console.Dispose();
        if (exit.Reason == MachineExitReason.PowerOff)
        {
            return 0;
        }

        Tell(exit.Exception?.ToString() ?? exit.Message);
        return exit.Reason == MachineExitReason.HostStop ? Interrupted : Failed;
    }

    private static string GetCommandLine(Settings settings) =>
        UmlDeviceNames.Map($"{UmlMachine.DefaultCommandLine} quiet root=/dev/ubda rw {settings.Append}".TrimEnd());

    private static void Tell(string message)
    {
        using Stream error = Console.OpenStandardError();
        error.Write(Encoding.UTF8.GetBytes($"DebianFromDisk: {message}{Environment.NewLine}"));
    }
}
