using System.Text;
using Uml.Devices.Consoles;

namespace Uml.Hosting.Testing;

/// <summary>
/// Runs commands in a guest and gets their output and exit codes, and copies files out and in. Each command is a process of its own, as
/// with ssh: changes of variables and the working directory end with it.
/// </summary>
/// <remarks>
/// Members may be called from any thread; commands run one after the other. The guest's side is a loop in the POSIX shell on a console. A
/// line that is sent to the console by other means is run by that shell itself: <c>exit 3</c> ends it. Output of the kernel and of
/// background programs on the same console becomes part of the running command's output; boot with <c>quiet</c>.
/// <para>
/// The markers of the protocol are random, so a command's output or a file does not contain them by chance. Root in the guest can read
/// them, and forge everything that a shell could answer: output, exit codes, files with their hashes, acknowledgements of data that was
/// discarded. Treat the answers of a hostile guest as claims. It can do no more to the host: calls end with their timeout, a few seconds
/// more while a command is ended, or with their cancellation, whatever the guest answers; the buffered output is bounded; and messages show
/// its control characters as pictures.
/// </para>
/// </remarks>
public sealed class GuestShell : IDisposable
{
    private const int ShownCommand = 200;
    private const string LargerOutput = "raise GuestShell.MaximumOutput, or use the overload that takes a stream";

    /// <summary>A timer of .NET takes less than 2^32 ms, 49.7 days.</summary>
    private static readonly TimeSpan s_longestTimeout = TimeSpan.FromDays(49);

    private readonly InMemoryConsoleChannel _console;
    private readonly ShellConnection _connection;
    private readonly CancellationTokenSource _disposal = new();
    private readonly CancellationToken _disposed;

    // Not disposed, because that would leave waiting callers blocked; it holds no resources.
    private readonly SemaphoreSlim _turn = new(1);
    private int _maximumOutput = 256 << 20;
    private int _isDisposed;

    private GuestShell(InMemoryConsoleChannel console)
    {
        _console = console;
        _disposed = _disposal.Token;
        _connection = new ShellConnection(console, _disposed);
    }

    /// <summary>
    /// The largest output, in bytes, of a command or file that is returned as a string or an array. A command that writes more is
    /// ended. At least 1; default 256 MiB. Overloads with a stream have no limit.
    /// </summary>
    public int MaximumOutput
    {
        get => _maximumOutput;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            _maximumOutput = value;
        }
    }

    /// <summary>How long a call waits for the end of a command that has timed out.</summary>
    internal TimeSpan InterruptPatience
    {
        set => _connection.InterruptPatience = value;
    }

    /// <summary>Waits for a shell's prompt on a console, and starts the protocol there: without echo and prompt from then on.</summary>
    /// <param name="console">The console that the shell is on.</param>
    /// <param name="timeout">How long to wait for the prompt, and then for the shell's answer; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ConsoleExpectException">There was no prompt, or no shell answered; the message shows the output.</exception>
    public static async Task<GuestShell> AttachAsync(
        InMemoryConsoleChannel console, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(console);
        ThrowIfNoTimeout(timeout ?? console.DefaultTimeout);
        var shell = new GuestShell(console);
        await shell._connection.OpenAsync(timeout ?? console.DefaultTimeout, cancellationToken).ConfigureAwait(false);
        return shell;
    }

    /// <summary>Runs a command and waits for its end.</summary>
    /// <param name="command">
    /// Any text that sh takes as a script: several lines, comments, here-documents, of any length. It has no input
    /// (<c>/dev/null</c>), and a process group of its own. Programs that it leaves in the background go on.
    /// </param>
    /// <param name="timeout">How long it may take, waiting for its turn included; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the command and the wait.</param>
    /// <exception cref="ConsoleExpectException"> The command did not end in time and was ended (SIGTERM, then SIGKILL, to its process
    /// group), or the machine ended, or the guest's answer was invalid. The message shows the console's last lines. The call waits up to
    /// ten seconds for a command that is being ended. </exception>
    /// <exception cref="IOException">It wrote more than <see cref="MaximumOutput"/> and was ended, or the guest has no room for it.</exception>
    /// <exception cref="ObjectDisposedException">The shell was disposed, before or meanwhile.</exception>
    /// <exception cref="ArgumentException">The command is empty, or holds a NUL character.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is negative, or more than 49 days, and not <see cref="Timeout.InfiniteTimeSpan"/>.</exception>
    public async Task<GuestCommandResult> RunAsync(string command, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        using var output = new BoundedOutput(MaximumOutput, LargerOutput);
        int exitCode = await RunAsync(command, output, timeout, cancellationToken).ConfigureAwait(false);
        return new GuestCommandResult(exitCode, Encoding.UTF8.GetString(output.Written.Span));
    }

    /// <summary>Runs a command and copies its output to a stream, byte for byte, while it runs. The guest waits for the stream.</summary>
    /// <param name="command">As for the other overload.</param>
    /// <param name="output">Receives its standard output and error. An exception of the stream ends the command.</param>
    /// <param name="timeout">How long it may take, waiting for its turn included; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the command and the wait.</param>
    /// <returns>The exit code, 0 to 255.</returns>
    /// <exception cref="ConsoleExpectException">As for the other overload.</exception>
    /// <exception cref="IOException">The guest has no room for the command.</exception>
    /// <exception cref="ArgumentException">The command is empty, or holds a NUL character.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is negative, or more than 49 days, and not <see cref="Timeout.InfiniteTimeSpan"/>.</exception>
    public Task<int> RunAsync(string command, Stream output, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(command);
        ArgumentNullException.ThrowIfNull(output);
        ThrowIfNul(command, nameof(command));
        return TakeTurnAsync(
            (exchange, token) => RunAsync(exchange, command, output, token), $"The command \"{Shorten(command)}\"", timeout, cancellationToken);
    }

    /// <summary>Reads a file of the guest, byte for byte.</summary>
    /// <param name="path">The file, relative to the shell's working directory or absolute. Anything that can be read, such as files of /proc.</param>
    /// <param name="timeout">How long it may take; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="IOException">
    /// The guest cannot read it, and the message says why; or it is larger than <see cref="MaximumOutput"/>; or something else was
    /// printed on the console meanwhile, so that the bytes are not those of the file (their SHA-256 differs).
    /// </exception>
    /// <exception cref="ConsoleExpectException">It took too long, or the machine ended.</exception>
    public async Task<byte[]> ReadFileAsync(string path, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        using var content = new BoundedOutput(MaximumOutput, LargerOutput);
        await ReadFileAsync(path, content, timeout, cancellationToken).ConfigureAwait(false);
        return content.Written.ToArray();
    }

    /// <summary>Copies a file of the guest to a stream, byte for byte.</summary>
    /// <param name="path">The file, as for the other overload.</param>
    /// <param name="destination">Receives the contents; after an exception only a part of them.</param>
    /// <param name="timeout">How long it may take; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="IOException">As for the other overload.</exception>
    /// <exception cref="ConsoleExpectException">It took too long, or the machine ended.</exception>
    public Task ReadFileAsync(string path, Stream destination, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(destination);
        ThrowIfNul(path, nameof(path));
        return TakeTurnAsync(
            async (exchange, token) =>
            {
                await new ShellFileTransfer(_connection, exchange, RunAsync).ReadAsync(path, destination, token).ConfigureAwait(false);
                return 0;
            },
            $"Reading the guest's file {path}",
            timeout,
            cancellationToken);
    }

    /// <summary>Writes a file of the guest, byte for byte. One that exists keeps its mode and owner.</summary>
    /// <param name="path">The file, relative to the shell's working directory or absolute.</param>
    /// <param name="content">The new contents.</param>
    /// <param name="timeout">How long it may take; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="IOException">The guest cannot write it; the message says why.</exception>
    /// <exception cref="ConsoleExpectException">It took too long, or the machine ended.</exception>
    public async Task WriteFileAsync(string path, ReadOnlyMemory<byte> content, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        using var source = new MemoryStream(content.ToArray(), writable: false);
        await WriteFileAsync(path, source, timeout, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Copies a stream, from its position to its end, to a file of the guest. A file that exists keeps its mode and owner.</summary>
    /// <param name="path">The file, relative to the shell's working directory or absolute.</param>
    /// <param name="source">The new contents.</param>
    /// <param name="timeout">How long it may take; null is the console's default.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="IOException">The guest cannot write it; the message says why.</exception>
    /// <exception cref="ConsoleExpectException">It took too long, or the machine ended.</exception>
    public Task WriteFileAsync(string path, Stream source, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(source);
        ThrowIfNul(path, nameof(path));
        return TakeTurnAsync(
            async (exchange, token) =>
            {
                await new ShellFileTransfer(_connection, exchange, RunAsync).WriteAsync(path, source, token).ConfigureAwait(false);
                return 0;
            },
            $"Writing the guest's file {path}",
            timeout,
            cancellationToken);
    }

    /// <summary>
    /// Ends the host's side: pending calls throw <see cref="ObjectDisposedException"/>. The guest and its programs continue to run.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _disposal.Cancel();
            _disposal.Dispose();
        }
    }

    private async Task<int> RunAsync(ShellConnection.Exchange exchange, string command, Stream output, CancellationToken cancellationToken)
    {
        using var script = new MemoryStream(Encoding.UTF8.GetBytes(command), writable: false);
        await _connection.UploadAsync(exchange, "c", script, cancellationToken).ConfigureAwait(false);
        return await _connection.RunAsync(exchange, output, cancellationToken).ConfigureAwait(false);
    }

    private async Task<int> TakeTurnAsync(
        Func<ShellConnection.Exchange, CancellationToken, Task<int>> work, string what, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed.IsCancellationRequested, this);
        TimeSpan limit = timeout ?? _console.DefaultTimeout;
        ThrowIfNoTimeout(limit);
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _disposed);
        timer.CancelAfter(limit);
        try
        {
            await _turn.WaitAsync(timer.Token).ConfigureAwait(false);
            try
            {
                using ShellConnection.Exchange exchange = _connection.Begin();
                return await work(exchange, timer.Token).ConfigureAwait(false);
            }
            finally
            {
                _turn.Release();
            }
        }
        catch (OperationCanceledException e) when (timer.IsCancellationRequested)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ObjectDisposedException.ThrowIf(_disposed.IsCancellationRequested, this);
            throw new ConsoleExpectException(_console.Explain($"{what} did not end within {limit.TotalSeconds:0.###} s and was interrupted."), e);
        }
    }

    private static void ThrowIfNoTimeout(TimeSpan timeout)
    {
        if (timeout != Timeout.InfiniteTimeSpan && (timeout < TimeSpan.Zero || timeout > s_longestTimeout))
        {
            throw new ArgumentOutOfRangeException(
                nameof(timeout), timeout, $"A timeout is 0 to {s_longestTimeout.TotalDays:0} days, or Timeout.InfiniteTimeSpan.");
        }
    }

    private static void ThrowIfNul(string text, string name)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException("A NUL character cannot be passed to the guest here; take it out.", name);
        }
    }

    private static string Shorten(string command) => command.Length <= ShownCommand ? command : command[..ShownCommand] + "...";
}
