using System.Globalization;
using System.Text.RegularExpressions;
using Uml.Devices.Consoles;

namespace Uml.Hosting.Testing;

/// <summary>Runs commands in a POSIX shell on a machine's console, and gets their output and exit codes. One command at a time.</summary>
public sealed class GuestShell
{
    private readonly InMemoryConsoleChannel _console;
    private readonly string _marker = "uml-" + Guid.NewGuid().ToString("N");
    private int _number;

    private GuestShell(InMemoryConsoleChannel console) => _console = console;

    /// <summary>Waits for the shell's prompt and takes the shell over: no echo and no prompt from then on.</summary>
    /// <param name="console">The console that the shell is on.</param>
    /// <param name="timeout">How long to wait for the prompt; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ConsoleExpectException">No prompt came; the message shows what did.</exception>
    public static async Task<GuestShell> AttachAsync(
        InMemoryConsoleChannel console, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(console);
        var shell = new GuestShell(console);
        await console.ExpectAsync(new Regex(@"[#$] ", RegexOptions.CultureInvariant), timeout, cancellationToken).ConfigureAwait(false);
        await console.WriteLineAsync("stty -echo; PS1=; PS2=", cancellationToken).ConfigureAwait(false);
        await shell.RunAsync(":", timeout, cancellationToken).ConfigureAwait(false);
        return shell;
    }

    /// <summary>Runs a command and waits for its end.</summary>
    /// <param name="command">The command line, of any syntax that the shell takes in one line.</param>
    /// <param name="timeout">How long to wait; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the wait, not the command.</param>
    /// <exception cref="ConsoleExpectException">The command did not end in time; the message shows its output's end.</exception>
    public async Task<GuestCommandResult> RunAsync(string command, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(command);
        if (command.Contains('\n', StringComparison.Ordinal))
        {
            throw new ArgumentException("The command has more than one line; join them with ';' or send a script first.", nameof(command));
        }

        int number = ++_number;

        // The markers are put together by the shell, so that an echo of this line has none.
        string halves = $"{_marker[..8]}''{_marker[8..]}";
        await _console.WriteLineAsync($"echo {halves}-begin-{number}; {{ {command}; }}; echo {halves}-{number}=$?", cancellationToken)
            .ConfigureAwait(false);
        Regex pattern = new(
            $@"{_marker}-begin-{number}\r?\n(?<output>[\s\S]*?){_marker}-{number}=(?<code>\d+)\r?\n", RegexOptions.CultureInvariant);
        Match match = await _console.ExpectAsync(pattern, timeout, cancellationToken).ConfigureAwait(false);
        return new GuestCommandResult(
            int.Parse(match.Groups["code"].ValueSpan, CultureInfo.InvariantCulture),
            match.Groups["output"].Value.Replace("\r\n", "\n", StringComparison.Ordinal));
    }
}
