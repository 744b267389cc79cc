using Uml.Core;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Board;
using Uml.Hosting.Assets;

namespace Uml.Hosting;

/// <summary>Where most programs start.</summary>
public static class UmlMachine
{
    /// <summary>
    /// The kernel's command line for a machine that boots fast: its console is the first serial port, it resets at once when it panics
    /// (which ends the machine), and it does not test its cryptography, which is two thirds of the instructions of a boot of Debian's kernel.
    /// </summary>
    public const string DefaultCommandLine = "console=ttyS0 panic=-1 cryptomgr.notests";

    // A boot takes seconds; a busy host with the interpreter takes minutes.
    private static readonly TimeSpan BootPatience = TimeSpan.FromMinutes(5);

    /// <summary>A builder with the standard board, which a stock Linux kernel needs to boot, and without a console.</summary>
    public static VirtualMachineBuilder CreateDefaultBuilder() => new VirtualMachineBuilder().AddStandardBoard();

    /// <summary>Boots Linux to a busybox shell on a console in memory, and waits until it accepts commands.</summary>
    /// <param name="kernel">A kernel package such as <c>linux-image-cloud-amd64</c>, or the path of a kernel; see <see cref="NamedFile.Kernel"/>.</param>
    /// <param name="configure">Changes the machine: its memory, its kernel's command line, its services. It has a board, a console and a kernel by then.</param>
    /// <param name="assets">Where packages come from; null is the default cache.</param>
    /// <param name="cancellationToken">Ends the work, downloads included.</param>
    /// <returns>The running machine; disposing it ends it.</returns>
    /// <exception cref="MachineConfigurationException">The kernel or busybox cannot be had, or a setting is wrong; the message says what to do.</exception>
    /// <exception cref="ConsoleExpectException">The guest did not start its shell within five minutes, or panicked; the message shows its
    /// console.</exception>
    public static async Task<LinuxGuest> StartAsync(
        string kernel, Action<VirtualMachineBuilder>? configure = null, GuestAssetCache? assets = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        InMemoryConsoleChannel console = new();
        VirtualMachineBuilder builder = CreateDefaultBuilder()
            .UseKernel(NamedFile.Kernel(kernel, assets), NamedFile.Initrd(NamedFile.BusyBox, assets), DefaultCommandLine + " quiet loglevel=1")
            .AddConsole(console);
        configure?.Invoke(builder);
        return await LinuxGuest.StartAsync(builder.Build(), console, BootPatience, cancellationToken).ConfigureAwait(false);
    }
}
