using System.Globalization;
using System.Text.RegularExpressions;
using Uml.Devices.Consoles;

namespace Uml.Hosting.Testing;

/// <summary>The host's side of <see cref="ShellProtocol"/>. One user at a time.</summary>
/// <param name="console">The console that the guest's side is on.</param>
/// <param name="closed">Cancelled when the shell is disposed.</param>
internal sealed class ShellConnection(InMemoryConsoleChannel console, CancellationToken closed)
{
    private readonly ShellProtocol _protocol = new();
    private int _number = 1;
    private bool _isBroken;

    /// <summary>How long a command that is being ended may take. SIGKILL is sent after a second; the rest is for slow hosts.</summary>
    public TimeSpan InterruptPatience { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>A directory of the guest for files of the connection.</summary>
    public string Directory { get; private set; } = "";

    /// <summary>Waits for a prompt and starts the loop there.</summary>
    /// <exception cref="ConsoleExpectException">The guest did not answer.</exception>
    public async Task OpenAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        await console.ExpectAsync(new Regex("[#$] ", RegexOptions.CultureInvariant), timeout, cancellationToken).ConfigureAwait(false);
        console.HideInMessages(_protocol.OwnText);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        try
        {
            using Exchange exchange = Begin();
            await console.WriteAsync(_protocol.GetFirstLine(), limit.Token).ConfigureAwait(false);
            await exchange.WaitAsync('a', 0, null, limit.Token).ConfigureAwait(false);
            await console.WriteAsync(_protocol.GetLoop(), limit.Token).ConfigureAwait(false);
            Directory = (await exchange.WaitAsync('a', 1, null, limit.Token).ConfigureAwait(false)).Value;
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ConsoleExpectException(
                console.Explain($"The shell behind the prompt did not answer within {timeout.TotalSeconds:0.###} s; it needs stty, dd, mktemp and setsid."), e);
        }

        if (Directory.Length == 0)
        {
            throw new ConsoleExpectException(console.Explain("The guest has no directory for temporary files; mount one on /tmp, or set TMPDIR."));
        }
    }

    /// <summary>Starts to listen to the guest.</summary>
    public Exchange Begin() => new(console.OpenReader(), new MarkedOutput(_protocol.Marker));

    /// <summary>Copies bytes into a file of <see cref="Directory"/>.</summary>
    /// <exception cref="IOException">The guest cannot keep them.</exception>
    public async Task UploadAsync(Exchange exchange, string name, Stream content, CancellationToken cancellationToken)
    {
        int number = ++_number;
        await SendAsync(_protocol.CreateFrame('n', name, number), cancellationToken).ConfigureAwait(false);
        ThrowIfFailed(await exchange.WaitAsync('a', number, null, cancellationToken).ConfigureAwait(false));
        byte[] chunk = new byte[ShellProtocol.LargestWrite];
        int count;
        while ((count = await content.ReadAtLeastAsync(chunk, chunk.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false)) > 0)
        {
            number = ++_number;
            byte[] header = _protocol.CreateFrame('w', count.ToString(CultureInfo.InvariantCulture), number);
            byte[] frame = [.. header, .. chunk.AsSpan(0, count)];
            await SendAsync(frame, cancellationToken).ConfigureAwait(false);
            ShellEvent answer = await exchange.WaitAsync('a', number, null, cancellationToken).ConfigureAwait(false);
            if (answer.Value != "0")
            {
                // The partial file would keep the file system full, so that no further command could be sent.
                number = ++_number;
                await SendAsync(_protocol.CreateFrame('n', name, number), cancellationToken).ConfigureAwait(false);
                await exchange.WaitAsync('a', number, null, cancellationToken).ConfigureAwait(false);
                ThrowIfFailed(answer);
            }
        }
    }

    /// <summary>Runs the file "c". Ends it when its output cannot be passed on or the wait is cancelled, unless the connection is closed.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> RunAsync(Exchange exchange, Stream output, CancellationToken cancellationToken)
    {
        int number = ++_number;
        await SendAsync(_protocol.CreateFrame('r', "-", number), cancellationToken).ConfigureAwait(false);
        try
        {
            await exchange.WaitAsync('b', number, null, cancellationToken).ConfigureAwait(false);
            ShellEvent end = await exchange.WaitAsync('e', number, output, cancellationToken).ConfigureAwait(false);
            return byte.TryParse(end.Value, NumberStyles.None, CultureInfo.InvariantCulture, out byte code)
                ? code
                : throw new ConsoleExpectException(console.Explain(
                    $"The guest gave \"{end.GetShown()}\" as an exit code, which is none; something else than the shell writes on its console."));
        }
        catch (Exception e) when (e is not ConsoleExpectException && !closed.IsCancellationRequested)
        {
            await InterruptAsync(exchange, number).ConfigureAwait(false);
            throw;
        }
    }

    private async Task InterruptAsync(Exchange exchange, int number)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(closed);
        patience.CancelAfter(InterruptPatience);
        try
        {
            await SendAsync(_protocol.CreateFrame('k', "-", number), patience.Token).ConfigureAwait(false);
            await exchange.WaitAsync('e', number, null, patience.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or ConsoleExpectException)
        {
            // The caller throws the reason. A command that has not ended yet ends later; its output until then is before the next command's
            // event b, where output is dropped.
        }
    }

    private async Task SendAsync(byte[] frame, CancellationToken cancellationToken)
    {
        if (_isBroken)
        {
            throw new ConsoleExpectException(console.Explain("The guest stopped reading its console in the middle of a message; nothing can be run on it any more; start a new machine."));
        }

        try
        {
            await console.WriteAsync(frame, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // A part may be in the guest's hands already, and the guest would take the next frame for the rest of this one.
            _isBroken = true;
            throw;
        }
    }

    private static void ThrowIfFailed(ShellEvent answer)
    {
        if (answer.Value != "0")
        {
            throw new IOException($"The guest could not keep what was sent to it (dd ended with {answer.GetShown()}); its file system for temporary files may be full.");
        }
    }

    /// <summary>Listens to the guest, from the output's present end on.</summary>
    internal sealed class Exchange(ConsoleOutputReader reader, MarkedOutput marked) : IDisposable
    {
        /// <summary>Waits for an event. Others are dropped: they answer frames whose senders have given up.</summary>
        /// <param name="kind">The event's kind.</param>
        /// <param name="number">The event's number.</param>
        /// <param name="output">Where output up to the event goes; null drops it.</param>
        /// <param name="cancellationToken">Ends the wait.</param>
        public async Task<ShellEvent> WaitAsync(char kind, int number, Stream? output, CancellationToken cancellationToken)
        {
            while (true)
            {
                while (marked.TryTake(out ReadOnlyMemory<byte> bytes, out ShellEvent? found))
                {
                    // A guest that never stops to write must not keep a call that has a timeout.
                    cancellationToken.ThrowIfCancellationRequested();
                    if (found?.Kind == kind && found.Number == number)
                    {
                        return found;
                    }

                    if (output is not null && !bytes.IsEmpty)
                    {
                        await output.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
                    }
                }

                int count = await reader.ReadAsync(marked.GetRoom(), cancellationToken).ConfigureAwait(false);
                marked.Advance(count);
            }
        }

        public void Dispose() => reader.Dispose();
    }
}
