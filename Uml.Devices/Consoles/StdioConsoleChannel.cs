using Uml.Core.Machine;
using Uml.Devices.Interop;

namespace Uml.Devices.Consoles;

/// <summary>
/// A console on the process's standard input and output. A terminal is put into raw mode, so that every key reaches the guest, and always
/// restored. Ctrl-A x ends the machine, Ctrl-A h lists all keys.
/// </summary>
/// <remarks>
/// Without a terminal, bytes pass as they are, in both directions. One process has one standard input: use one such channel.
/// Registered as a device too, so that it can end the machine.
/// </remarks>
public sealed class StdioConsoleChannel : StatelessDevice, IConsoleChannel, IDisposable
{
    private const int BufferBytes = 64 << 10;
    private const byte NewLine = (byte)'\n', ControlD = 4;

    private readonly object _sync = new();
    private readonly StdioConsoleOptions _options;
    private readonly int _inputDescriptor;
    private readonly int _outputDescriptor;
    private readonly ByteRing _input = new(BufferBytes);
    private readonly ConsoleEscape _escape = new();
    private DescriptorWriter? _writer;
    private DescriptorReader? _reader;
    private TerminalMode? _terminal;
    private IMachineContext? _machine;
    private Action _ready = static () => { };
    private bool _escapes;
    private bool _isWithinLine;
    private bool _isDisposed;
    private bool _holdsInput;

    /// <summary>A channel that does not touch the streams before it is attached.</summary>
    /// <param name="options">How it treats them; null for the defaults.</param>
    /// <exception cref="PlatformNotSupportedException">The host has no POSIX terminals.</exception>
    public StdioConsoleChannel(StdioConsoleOptions? options = null)
        : this(options, Unistd.StandardInput, Unistd.StandardOutput)
    {
    }

    internal StdioConsoleChannel(StdioConsoleOptions? options, int input, int output)
        : base("stdio")
    {
        if (OperatingSystem.IsWindows())
        {
            throw new PlatformNotSupportedException(
                "The stdio console needs a POSIX host; use InMemoryConsoleChannel, or write an IConsoleChannel for this one.");
        }

        (_inputDescriptor, _outputDescriptor) = (input, output);
        _options = options ?? new StdioConsoleOptions();
        _holdsInput = _options.HoldsInput;
    }

    /// <summary>
    /// Why standard output takes no more, such as a full disk or a reader that has gone; null while it does. The machine ends then, with
    /// <see cref="MachineExitReason.ServiceFailure"/>. Final when the channel is disposed, which writes the last output.
    /// </summary>
    public IOException? OutputFailure { get; private set; }

    /// <summary>Whether standard input and standard output are terminals: there is a person at the console.</summary>
    public static bool IsTerminal =>
        !OperatingSystem.IsWindows() && Termios.IsTerminal(Unistd.StandardInput) != 0 && Termios.IsTerminal(Unistd.StandardOutput) != 0;

    /// <summary>The size of the terminal on standard output, in characters; null when there is none or its size is not known.</summary>
    /// <remarks>Unlike <see cref="Console.WindowWidth"/> this writes nothing to the terminal.</remarks>
    public static unsafe (int Columns, int Rows)? GetTerminalSize()
    {
        WindowSize size;

        // SAFETY: the structure is on the stack.
        return OperatingSystem.IsLinux() && Ioctl.Call(Unistd.StandardOutput, Ioctl.GetWindowSize, &size) == 0 && size is { Columns: > 0, Rows: > 0 }
            ? (size.Columns, size.Rows)
            : null;
    }

    /// <summary>Lets the guest have its input, when <see cref="StdioConsoleOptions.HoldsInput"/> held it back.</summary>
    public void ReleaseInput()
    {
        lock (_sync)
        {
            if (!_holdsInput)
            {
                return;
            }

            _holdsInput = false;
        }

        _ready();
    }

    /// <inheritdoc/>
    public override void Attach(IMachineContext machine) => _machine = machine;

    /// <inheritdoc/>
    public override void Detach() => _machine = null;

    /// <inheritdoc/>
    public void Attach(Action ready)
    {
        ArgumentNullException.ThrowIfNull(ready);
        lock (_sync)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_reader is not null)
            {
                throw new InvalidOperationException("This console serves one machine already; there is one standard input in a process.");
            }

            _ready = ready;
            _terminal = OperatingSystem.IsWindows() ? null : TerminalMode.TryEnterRaw(_inputDescriptor);
            _escapes = _options.Escapes ?? _terminal is not null;
            _writer = new DescriptorWriter(_outputDescriptor, BufferBytes, ready, OnOutputFailure);
            _reader = new DescriptorReader(_inputDescriptor, OnInput, _options.EndOfInputIsControlD ? OnEndOfInput : null);
        }
    }

    /// <inheritdoc/>
    public int Read(Span<byte> destination)
    {
        int taken;
        lock (_sync)
        {
            taken = _holdsInput ? 0 : _input.Read(destination);
        }

        if (taken > 0)
        {
            _reader?.Continue();
        }

        return taken;
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> source) => _writer?.Write(source) ?? source.Length;

    /// <summary>Hands over the output, stops reading, and gives the terminal back.</summary>
    public void Dispose()
    {
        lock (_sync)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
        }

        _reader?.Dispose();
        _writer?.Dispose();
        if (!OperatingSystem.IsWindows())
        {
            _terminal?.Dispose();
        }
    }

    /// <summary>Takes the bytes that were read.</summary>
    /// <returns>The number of bytes taken.</returns>
    private int OnInput(ReadOnlySpan<byte> bytes)
    {
        int taken = 0;
        var command = EscapeCommand.None;
        lock (_sync)
        {
            while (taken < bytes.Length && _input.Free > 0 && command == EscapeCommand.None)
            {
                byte? passed = bytes[taken];
                command = _escapes ? _escape.Next(bytes[taken], out passed) : EscapeCommand.None;
                if (passed is { } value)
                {
                    _input.Write([value]);
                    _isWithinLine = value is not (NewLine or (byte)'\r');
                }

                taken++;
            }
        }

        Obey(command);
        _ready();
        return taken;
    }

    /// <summary>
    /// Types Ctrl-D for an end of input. Unlike a file's end it can get lost, when the guest changes the modes of its terminal or a
    /// program that did not wait for it swallows it, so it is typed again as long as there is a guest to read it.
    /// </summary>
    private void OnEndOfInput()
    {
        lock (_sync)
        {
            if (_input.Count > 0)
            {
                return;
            }

            if (_isWithinLine)
            {
                // Ctrl-D means the end only at the start of a line.
                _input.Write([NewLine]);
                _isWithinLine = false;
            }

            _input.Write([ControlD]);
        }

        _ready();
    }

    private void OnOutputFailure(IOException failure)
    {
        OutputFailure = failure;
        _machine?.RequestExit(new MachineExit(MachineExitReason.ServiceFailure, 0, failure.Message, failure));
    }

    private void Obey(EscapeCommand command)
    {
        if (command == EscapeCommand.End)
        {
            _machine?.RequestExit(new MachineExit(MachineExitReason.HostStop, 0, "The user ended the machine with Ctrl-A x."));
        }
        else if (command == EscapeCommand.Help)
        {
            // Not through Console.Error, which sends the terminal its own control sequences first.
            using Stream error = Console.OpenStandardError();
            error.Write(ConsoleEscape.Help);
        }
    }
}
