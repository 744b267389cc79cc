using System.Text;
using System.Text.RegularExpressions;
using Uml.Core.Machine;

namespace Uml.Devices.Consoles;

/// <summary>
/// A console for programs and tests: type with <see cref="WriteLineAsync"/>, wait for output with
/// <see cref="ExpectAsync(Regex, TimeSpan?, CancellationToken)"/>.
/// </summary>
/// <remarks>Members may be called from any thread. Concurrent waits compete for the same output: use one at a time.</remarks>
public sealed class InMemoryConsoleChannel : IConsoleChannel, IMachineExitInterpreter
{
    private const int InputBytes = 64 << 10;

    private readonly object _sync = new();
    private readonly InMemoryConsoleOptions _options;
    private readonly ConsoleTranscript _transcript;
    private readonly ByteRing _input = new(InputBytes);
    private readonly KernelPanicMonitor _panic = new();
    private readonly List<Regex> _hidden = [];

    /// <summary>What waiters wait for; null while there are none.</summary>
    private TaskCompletionSource? _changed;
    private Action _ready = static () => { };
    private MachineExit? _exit;
    private OutputRing? _reader;

    /// <summary>A channel without a machine yet.</summary>
    /// <param name="options">Its limits; null for the defaults.</param>
    public InMemoryConsoleChannel(InMemoryConsoleOptions? options = null)
    {
        _options = options ?? new InMemoryConsoleOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(_options.MaximumTranscript, 1024, nameof(options));
        _transcript = new ConsoleTranscript(_options.MaximumTranscript);
    }

    /// <summary>The output so far, the oldest dropped when there was more than is kept.</summary>
    public string Transcript
    {
        get
        {
            lock (_sync)
            {
                return _transcript.ToString();
            }
        }
    }

    /// <summary>The reason of its panic that the kernel printed; null while it has not panicked.</summary>
    public string? Panic => _panic.Panic;

    /// <summary>The timeout of waits without one: <see cref="InMemoryConsoleOptions.DefaultTimeout"/>.</summary>
    public TimeSpan DefaultTimeout => _options.DefaultTimeout;

    /// <summary>Opens a reader of the bytes written from now on. The guest waits for it until it is disposed.</summary>
    /// <exception cref="InvalidOperationException">There is a reader already.</exception>
    public ConsoleOutputReader OpenReader()
    {
        lock (_sync)
        {
            return _reader is null
                ? new ConsoleOutputReader(this, _reader = new OutputRing())
                : throw new InvalidOperationException("This console has a reader already; dispose that one first.");
        }
    }

    /// <summary>Types bytes. Completes when the channel has taken them all, which it does as fast as the guest reads.</summary>
    /// <exception cref="ConsoleExpectException">The machine ended before the guest read them.</exception>
    public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        while (!bytes.IsEmpty)
        {
            Task changed;
            int taken;
            lock (_sync)
            {
                changed = GetChanged();
                taken = _input.Write(bytes.Span);
                if (_exit is { } exit && taken < bytes.Length)
                {
                    throw new ConsoleExpectException($"Nobody reads this console any more: the machine ended. {exit.Message}");
                }
            }

            bytes = bytes[taken..];
            _ready();
            if (!bytes.IsEmpty)
            {
                await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Types text and the Enter key.</summary>
    public Task WriteLineAsync(string line, CancellationToken cancellationToken = default) =>
        WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), cancellationToken);

    /// <summary>
    /// Waits until text appears in the output after what earlier calls matched, and marks everything up to its end as matched.
    /// </summary>
    /// <param name="text">The text, exactly.</param>
    /// <param name="timeout">How long to wait; null is <see cref="InMemoryConsoleOptions.DefaultTimeout"/>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The output from the last match up to the text.</returns>
    /// <exception cref="ConsoleExpectException">The text did not come; the message shows what did.</exception>
    public async Task<string> ExpectAsync(string text, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        string before = "";
        await WaitAsync(
            output =>
            {
                int start = output.IndexOf(text, StringComparison.Ordinal);
                before = start < 0 ? "" : output[..start];
                return start < 0 ? -1 : start + text.Length;
            },
            $"\"{text}\"",
            timeout,
            cancellationToken).ConfigureAwait(false);
        return before;
    }

    /// <summary>
    /// Waits until the output after what earlier calls matched has a match, and marks everything up to its end as matched.
    /// </summary>
    /// <param name="pattern">
    /// The pattern; lines end in CR LF if the guest's terminal is set so. It is applied to text of the guest's choice, and no timeout ends
    /// a match: where backtracking could take long, use <see cref="RegexOptions.NonBacktracking"/>.
    /// </param>
    /// <param name="timeout">How long to wait; null is <see cref="InMemoryConsoleOptions.DefaultTimeout"/>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The match.</returns>
    /// <exception cref="ConsoleExpectException">There was no match in time; the message shows the output's end.</exception>
    public async Task<Match> ExpectAsync(Regex pattern, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        Match match = Match.Empty;
        await WaitAsync(
            output =>
            {
                match = pattern.Match(output);
                return match.Success ? match.Index + match.Length : -1;
            },
            $"/{pattern}/",
            timeout,
            cancellationToken).ConfigureAwait(false);
        return match;
    }

    /// <inheritdoc/>
    public void Attach(Action ready)
    {
        ArgumentNullException.ThrowIfNull(ready);
        _ready = ready;
    }

    /// <inheritdoc/>
    public int Read(Span<byte> destination)
    {
        lock (_sync)
        {
            int taken = _input.Read(destination);
            if (taken > 0)
            {
                Signal();
            }

            return taken;
        }
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> source)
    {
        lock (_sync)
        {
            source = source[..(_reader?.Accept(source) ?? source.Length)];
            _panic.Observe(source);
            _transcript.Append(source);
            Signal();
        }

        return source.Length;
    }

    /// <summary>
    /// Adds to a problem what helps to understand it: whether the guest panicked, and the console's last lines, at most 8192
    /// characters, with <see cref="ConsoleText">pictures for control characters</see>.
    /// </summary>
    /// <param name="problem">A sentence.</param>
    public string Explain(string problem)
    {
        lock (_sync)
        {
            string panic = _panic.Panic is not { } text ? " The guest kernel has not panicked."
                : problem.Contains(text, StringComparison.Ordinal) ? "" : $" The guest kernel panicked: {text}";
            string tail = _transcript.GetTail(_options.TailLines, _hidden);
            return tail.Length == 0
                ? $"{problem}{panic} The console is empty."
                : $"{problem}{panic} The console ends with:{Environment.NewLine}{tail}";
        }
    }

    /// <summary>
    /// Leaves text out of the lines that <see cref="Explain"/>, and so each message of an exception, shows: that of a protocol which a
    /// program speaks with the guest on this console. The transcript keeps it.
    /// </summary>
    /// <param name="pattern">The pattern of text to leave out; as with <see cref="ExpectAsync(Regex, TimeSpan?, CancellationToken)"/>, it
    /// is applied to text of the guest's choice.</param>
    public void HideInMessages(Regex pattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        lock (_sync)
        {
            _hidden.Add(pattern);
        }
    }

    internal async ValueTask<int> ReadOutputAsync(OutputRing reader, Memory<byte> destination, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            int taken;
            bool hasRoomAgain;
            lock (_sync)
            {
                ObjectDisposedException.ThrowIf(_reader != reader, typeof(ConsoleOutputReader));
                changed = GetChanged();
                taken = reader.Take(destination.Span, out hasRoomAgain);
                if (taken == 0 && _exit is { } exit)
                {
                    throw new ConsoleExpectException(Explain($"The machine ended: {exit.Message}"));
                }
            }

            if (hasRoomAgain)
            {
                _ready();
            }

            if (taken > 0)
            {
                return taken;
            }

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    internal void Close(OutputRing reader)
    {
        lock (_sync)
        {
            if (_reader != reader)
            {
                return;
            }

            _reader = null;
            Signal();
        }

        _ready();
    }

    /// <summary>Called when the machine has ended: pending waits for output fail.</summary>
    MachineExit IMachineExitInterpreter.Interpret(MachineExit exit)
    {
        lock (_sync)
        {
            _exit = exit;
            Signal();
        }

        return exit;
    }

    private Task GetChanged() => (_changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    private void Signal()
    {
        _changed?.TrySetResult();
        _changed = null;
    }

    // find is given the unmatched output and returns the length up to the end of the match, or -1.
    private async Task WaitAsync(Func<string, int> find, string what, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        TimeSpan limit = timeout ?? _options.DefaultTimeout;
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timer.CancelAfter(limit);
        int seen = -1;
        while (true)
        {
            Task changed;
            lock (_sync)
            {
                changed = GetChanged();
                if (TryConsume(find, ref seen))
                {
                    return;
                }

                if (_exit is { } exit)
                {
                    throw new ConsoleExpectException(Explain($"The machine ended before {what} came: {exit.Message}"));
                }
            }

            try
            {
                await changed.WaitAsync(timer.Token).ConfigureAwait(false);

                // Output comes in many small pieces; matching each would take longer than the guest took to print it.
                await Task.Delay(5, timer.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                lock (_sync)
                {
                    if (TryConsume(find, ref seen))
                    {
                        return;
                    }

                    throw new ConsoleExpectException(Explain($"No {what} within {limit.TotalSeconds:0.###} s."), e);
                }
            }
        }
    }

    private bool TryConsume(Func<string, int> find, ref int seen)
    {
        if (_transcript.Version == seen)
        {
            return false;
        }

        seen = _transcript.Version;
        int length = find(_transcript.GetUnmatched());
        if (length < 0)
        {
            return false;
        }

        _transcript.Consume(length);
        return true;
    }
}
