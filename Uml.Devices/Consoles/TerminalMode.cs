using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Uml.Devices.Interop;

namespace Uml.Devices.Consoles;

/// <summary>
/// Puts the host's terminal into raw mode and restores it at disposal, the end of the process, signals that end or stop it, and unhandled
/// exceptions.
/// </summary>
[UnsupportedOSPlatform("windows")]
internal sealed unsafe class TerminalMode : IDisposable
{
    private static readonly PosixSignal[] EndingSignals =
        [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT, PosixSignal.SIGTSTP];

    private readonly object _sync = new();
    private readonly int _descriptor;
    private readonly byte[] _saved;
    private readonly List<PosixSignalRegistration> _registrations = [];
    private bool _isRaw;
    private bool _isDisposed;

    private TerminalMode(int descriptor, byte[] saved)
    {
        _descriptor = descriptor;
        _saved = saved;
        foreach (PosixSignal signal in EndingSignals)
        {
            // The signal keeps its default effect: the handler only restores the terminal first.
            _registrations.Add(PosixSignalRegistration.Create(signal, _ => Restore()));
        }

        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGCONT, _ => EnterRaw()));
        AppDomain.CurrentDomain.ProcessExit += OnProcessExit;
        AppDomain.CurrentDomain.UnhandledException += OnUnhandledException;
    }

    /// <summary>Makes a terminal raw.</summary>
    /// <returns>Restores the terminal when disposed; null when the descriptor is no terminal.</returns>
    public static TerminalMode? TryEnterRaw(int descriptor)
    {
        byte[] saved = new byte[Termios.Size];

        // SAFETY: the buffer is larger than struct termios of any host.
        fixed (byte* termios = saved)
        {
            if (Termios.IsTerminal(descriptor) == 0 || Termios.GetAttributes(descriptor, termios) != 0)
            {
                return null;
            }
        }

        var mode = new TerminalMode(descriptor, saved);
        mode.EnterRaw();
        return mode;
    }

    public void Dispose()
    {
        Restore();
        lock (_sync)
        {
            _isDisposed = true;
        }

        AppDomain.CurrentDomain.ProcessExit -= OnProcessExit;
        AppDomain.CurrentDomain.UnhandledException -= OnUnhandledException;
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }
    }

    private void OnProcessExit(object? sender, EventArgs e) => Restore();

    private void OnUnhandledException(object sender, UnhandledExceptionEventArgs e) => Restore();

    private void EnterRaw()
    {
        byte* raw = stackalloc byte[Termios.Size];
        lock (_sync)
        {
            if (_isDisposed)
            {
                return;
            }

            // SAFETY: both buffers are larger than struct termios of any host.
            _saved.CopyTo(new Span<byte>(raw, Termios.Size));
            Termios.MakeRaw(raw);
            _isRaw = Termios.SetAttributes(_descriptor, Termios.ApplyNow, raw) == 0;
        }
    }

    private void Restore()
    {
        lock (_sync)
        {
            if (!_isRaw)
            {
                return;
            }

            // SAFETY: as above.
            fixed (byte* saved = _saved)
            {
                Termios.SetAttributes(_descriptor, Termios.ApplyNow, saved);
            }

            _isRaw = false;
        }
    }
}
