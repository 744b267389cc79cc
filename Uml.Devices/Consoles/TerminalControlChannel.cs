using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Uml.Devices.Consoles;

/// <summary>
/// A second serial port beside a <see cref="StdioConsoleChannel"/>, for control messages of a terminal. The guest writes a line when its
/// console is ready for input, and from then on reads lines "columns rows": the terminal's size, at once and whenever it changes.
/// </summary>
public sealed class TerminalControlChannel : IConsoleChannel, IDisposable
{
    private readonly object _sync = new();
    private readonly StdioConsoleChannel _console;
    private readonly Func<(int Columns, int Rows)?> _getSize;
    private readonly byte[] _line = new byte[32];
    private PosixSignalRegistration? _registration;
    private Action _ready = static () => { };
    private (int Columns, int Rows)? _sent;
    private bool _isGuestReady;
    private int _start;
    private int _end;

    /// <summary>A port for a console.</summary>
    /// <param name="console">The console with the terminal, whose input it releases.</param>
    public TerminalControlChannel(StdioConsoleChannel console)
        : this(console, StdioConsoleChannel.GetTerminalSize)
    {
    }

    internal TerminalControlChannel(StdioConsoleChannel console, Func<(int Columns, int Rows)?> getSize)
    {
        ArgumentNullException.ThrowIfNull(console);
        (_console, _getSize) = (console, getSize);
    }

    /// <inheritdoc/>
    public void Attach(Action ready)
    {
        ArgumentNullException.ThrowIfNull(ready);
        _ready = ready;
        if (!OperatingSystem.IsWindows())
        {
            _registration = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => ready());
        }
    }

    /// <inheritdoc/>
    public int Read(Span<byte> destination)
    {
        lock (_sync)
        {
            // A line that was begun is ended; of the sizes that came meanwhile, the last one counts.
            if (_start == _end && _isGuestReady && _getSize() is { } size && size != _sent)
            {
                _sent = size;
                _start = 0;
                _end = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{size.Columns} {size.Rows}\n"), _line);
            }

            int count = Math.Min(destination.Length, _end - _start);
            _line.AsSpan(_start, count).CopyTo(destination);
            _start += count;
            return count;
        }
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> source)
    {
        lock (_sync)
        {
            _isGuestReady |= source.Contains((byte)'\n');
            if (!_isGuestReady)
            {
                return source.Length;
            }
        }

        _console.ReleaseInput();
        _ready();
        return source.Length;
    }

    /// <summary>Follows the terminal no longer.</summary>
    public void Dispose() => _registration?.Dispose();
}
