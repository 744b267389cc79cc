using System.Text;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Virtio;
using Uml.Hosting;
using Uml.Hosting.Assets;
using Uml.Hosting.CommandLine;
using Uml.Hosting.Images;
using Uml.Storage.Images;
using Uml.Storage.Tools;

namespace BootLinux;

/// <summary>Boots by the settings, and converts the machine's exit to an exit code.</summary>
internal static class Boot
{
    /// <summary>The exit code when it is the command line or the machine that failed and not the command in it, as with docker run.</summary>
    public const int MachineFailed = 125;

    private const int Interrupted = 130;
    private const string ControlPort = "ttyS1";

    public static async Task<int> RunAsync(BootSettings settings, CancellationToken cancellationToken)
    {
        // A second port beside the console passes the terminal's size to the guest, which writes to it when it is ready for input.
        bool hasControl = settings.Initrd is null && !RootDisk.IsWanted(settings);
        using var console = new StdioConsoleChannel(new StdioConsoleOptions { HoldsInput = hasControl });
        try
        {
            await using IVirtualMachine machine = await BuildAsync(settings, console, hasControl, cancellationToken);
            await machine.StartAsync(cancellationToken);
            MachineExit exit = await machine.WaitForExitAsync(cancellationToken);

            // The console hands over its last output, and gives the terminal back, before anything else is printed.
            await machine.DisposeAsync();
            console.Dispose();
            return GetExitCode(exit, console);
        }
        catch (Exception e) when (e is MachineConfigurationException or GuestAssetException or ImageContentException)
        {
            Tell(e.Message);
            return MachineFailed;
        }
        catch (OperationCanceledException)
        {
            return Interrupted;
        }
    }

    private static async Task<IVirtualMachine> BuildAsync(
        BootSettings settings, StdioConsoleChannel console, bool hasControl, CancellationToken cancellationToken)
    {
        var assets = new GuestAssetCache(new GuestAssetCacheOptions { Progress = new StandardErrorProgress() });
        BootFile kernel = NamedFile.Kernel(NamedFile.IsKernelPackage(settings.Kernel) ? settings.Kernel : Existing("kernel", settings.Kernel), assets);
        BootFile? initrd = settings.Initrd is { } path ? BootFile.FromPath(Existing("initrd", path))
            : RootDisk.IsWanted(settings) ? await RootDisk.CreateInitrdAsync(settings, assets, cancellationToken)
            : await RootDisk.CreateShellAsync(settings, GetImageOptions(settings), assets, cancellationToken);
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder()
            .Configure(options =>
            {
                options.MemorySize = settings.Memory;
                options.Cpu.Engine = settings.Engine;
                options.Cpu.Model = settings.Model;
                options.Cpu.TranslationCheck = settings.Check;
            })
            .UseKernel(kernel, initrd, GetCommandLine(settings))
            .ConfigureBoot(boot => boot.Protocol = settings.Protocol)
            .AddConsole(console);
        foreach (DiskOption disk in settings.Disks)
        {
            builder.AddBlockDevice(_ =>
            {
                TellNotes(disk);
                return disk.Open();
            });
        }

        if (hasControl)
        {
            builder.AddTerminalControl(console, ControlPort);
        }

        return builder.Build();
    }

    /// <summary>Tells when what is taken for a raw image begins like another format: a guest that writes to it would damage that.</summary>
    private static void TellNotes(DiskOption disk)
    {
        string? raw = disk.Format == DiskImageFormat.Raw ? disk.Path : disk.BackingFormat is null && !File.Exists(disk.Path) ? disk.Backing : null;
        if (File.Exists(raw))
        {
            foreach (string note in DiskImage.GetInfo(raw, DiskImageFormat.Raw).Notes)
            {
                Tell(note);
            }
        }
    }

    private static BusyBoxImageOptions GetImageOptions(BootSettings settings)
    {
        var options = new BusyBoxImageOptions
        {
            Command = settings.Run,
            IsInteractive = StdioConsoleChannel.IsTerminal,
            TerminalSize = StdioConsoleChannel.GetTerminalSize(),
            ControlPort = ControlPort,
        };
        if (Environment.GetEnvironmentVariable("TERM") is { Length: > 0 } terminal
            && terminal.All(c => char.IsAsciiLetterOrDigit(c) || "-_.+".Contains(c, StringComparison.Ordinal)))
        {
            options.TerminalType = terminal;
        }

        return options;
    }

    /// <summary>A wrong path is reported before anything is fetched.</summary>
    private static string Existing(string role, string path) => Path.Exists(path)
        ? path
        : throw new MachineConfigurationException($"The {role} '{path}' does not exist; check the path.");

    private static string GetCommandLine(BootSettings settings)
    {
        // A command's output is not mixed with the kernel's messages.
        string messages = settings.Run is null ? "" : " quiet loglevel=1";
        return UmlDeviceNames.Map($"{UmlMachine.DefaultCommandLine}{messages} {settings.Append}".TrimEnd());
    }

    private static int GetExitCode(MachineExit exit, StdioConsoleChannel console)
    {
        if (console.OutputFailure is { } failure)
        {
            Tell(failure.Message);
            return MachineFailed;
        }

        switch (exit.Reason)
        {
            case MachineExitReason.DebugExit:
                return (int)(exit.Status & 0xFF);
            case MachineExitReason.PowerOff or MachineExitReason.Reboot:
                return 0;
            case MachineExitReason.Panic:
                // The console has shown the kernel's own message.
                Tell("The guest kernel panicked.");
                return MachineFailed;
            default:
                Tell(exit.Exception?.ToString() ?? exit.Message);
                return exit.Reason == MachineExitReason.HostStop ? Interrupted : MachineFailed;
        }
    }

    /// <summary>Prints a message. Not through Console.Error, which would send control sequences to a terminal.</summary>
    private static void Tell(string message)
    {
        using Stream error = Console.OpenStandardError();
        error.Write(Encoding.UTF8.GetBytes($"BootLinux: {message}{Environment.NewLine}"));
    }

    private sealed class StandardErrorProgress : IProgress<string>
    {
        public void Report(string value) => Tell(value);
    }
}
