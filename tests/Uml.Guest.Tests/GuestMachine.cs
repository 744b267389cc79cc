using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Hosting;
using Uml.Hosting.Images;
using Uml.Hosting.Testing;
using Uml.Storage.Images;

namespace Uml.Guest.Tests;

/// <summary>A machine with a busybox shell or command on an in-memory console.</summary>
internal sealed class GuestMachine : IAsyncDisposable
{
    /// <summary>How long anything may take: boots are slow when many test projects share a small host.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private GuestMachine(IVirtualMachine machine, InMemoryConsoleChannel console)
    {
        Machine = machine;
        Console = console;
    }

    public IVirtualMachine Machine { get; }

    public InMemoryConsoleChannel Console { get; }

    /// <summary>The shell; null before <see cref="BootToShellAsync"/>.</summary>
    public GuestShell Shell { get; private set; } = null!;

    public static async Task<GuestMachine> CreateAsync(
        BusyBoxImageOptions? image = null,
        Action<VirtualMachineBuilder>? configure = null,
        string commandLine = "quiet loglevel=1",
        string? kernel = null,
        IReadOnlyList<string>? modules = null)
    {
        var console = new InMemoryConsoleChannel();
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder()
            .UseKernel(
                BootFile.FromPath(kernel ?? GuestAssets.Kernel.ImagePath),
                await CreateImageAsync(image, modules ?? []),
                UmlMachine.DefaultCommandLine + " " + commandLine)
            .AddConsole(console);
        configure?.Invoke(builder);
        return new GuestMachine(builder.Build(), console);
    }

    public static async Task<GuestMachine> BootToShellAsync(
        Action<VirtualMachineBuilder>? configure = null,
        string commandLine = "quiet loglevel=1",
        string? kernel = null,
        IReadOnlyList<string>? modules = null)
    {
        GuestMachine guest = await CreateAsync(null, configure, commandLine, kernel, modules);
        await guest.Machine.StartAsync();
        guest.Shell = await GuestShell.AttachAsync(guest.Console, Patience);
        return guest;
    }

    /// <summary>Boots, runs a command and waits for the end of the machine.</summary>
    public static async Task<(MachineExit Exit, string Output, ulong Instructions)> RunAsync(
        string command, Action<VirtualMachineBuilder>? configure = null, string commandLine = "quiet loglevel=1", IReadOnlyList<string>? modules = null)
    {
        await using GuestMachine guest = await CreateAsync(new BusyBoxImageOptions { Command = command }, configure, commandLine, modules: modules);
        await guest.Machine.StartAsync();
        MachineExit exit = await guest.Machine.WaitForExitAsync().WaitAsync(Patience);
        return (exit, guest.Console.Transcript, guest.Machine.InstructionsRetired);
    }

    private static async Task<BootFile> CreateImageAsync(BusyBoxImageOptions? options, IReadOnlyList<string> modules)
    {
        InitramfsBuilder image = BusyBoxImage.CreateBuilder(await GuestAssets.Cache.GetBusyBoxAsync(), options);
        if (modules.Count != 0)
        {
            image.AddModules(GuestAssets.Kernel.ModulesDirectory!, modules);
        }

        return BootFile.FromBytes(image.Build(), "(busybox initramfs)");
    }

    public ValueTask DisposeAsync()
    {
        Shell?.Dispose();
        return Machine.DisposeAsync();
    }
}
