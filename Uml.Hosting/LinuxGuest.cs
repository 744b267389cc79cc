using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Hosting.Testing;

namespace Uml.Hosting;

/// <summary>A running Linux machine with a shell that takes commands; <see cref="UmlMachine.StartAsync"/> makes it. Disposing it ends the machine.</summary>
public sealed class LinuxGuest : IAsyncDisposable
{
    private LinuxGuest(IVirtualMachine machine, InMemoryConsoleChannel console, GuestShell shell)
    {
        Machine = machine;
        Console = console;
        Shell = shell;
    }

    /// <summary>The machine: to pause it, access its memory and registers, or wait for its end.</summary>
    public IVirtualMachine Machine { get; }

    /// <summary>Its console, which the shell is on. A line written there is run by the guest's own shell: <c>exit 7</c> ends the machine with status 7.</summary>
    public InMemoryConsoleChannel Console { get; }

    /// <summary>Runs commands, also with output to a stream, and copies files out and in.</summary>
    public GuestShell Shell { get; }

    /// <summary>Runs a command and waits for its end; see <see cref="GuestShell.RunAsync(string, TimeSpan?, CancellationToken)"/>.</summary>
    /// <param name="command">Any text that sh takes as a script.</param>
    /// <param name="timeout">How long it may take; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the command and the wait.</param>
    /// <exception cref="ConsoleExpectException">The command did not end in time and was ended, or the machine ended.</exception>
    public Task<GuestCommandResult> RunAsync(string command, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Shell.RunAsync(command, timeout, cancellationToken);

    /// <summary>Ends the machine.</summary>
    public ValueTask DisposeAsync()
    {
        Shell.Dispose();
        return Machine.DisposeAsync();
    }

    /// <summary>Starts a machine with a shell on its console, and waits for the shell.</summary>
    internal static async Task<LinuxGuest> StartAsync(
        IVirtualMachine machine, InMemoryConsoleChannel console, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            await machine.StartAsync(cancellationToken).ConfigureAwait(false);
            return new LinuxGuest(machine, console, await GuestShell.AttachAsync(console, patience, cancellationToken).ConfigureAwait(false));
        }
        catch
        {
            await machine.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
