using System.Diagnostics.CodeAnalysis;
using Uml.Core.Machine;
using Uml.Net.Frames;

namespace Uml.Devices.Virtio.Net;

/// <summary>
/// Waits for a transport, in one direction, and has the machine's thread go on then. Begins and ends on the machine's thread; allocates nothing.
/// </summary>
internal sealed class NetWait : IDisposable
{
    private readonly Func<CancellationToken, ValueTask<bool>> _wait;
    private readonly Action _onEnded;
    private readonly Action _goOn;
    private readonly Action _posted;
    private readonly CancellationTokenSource _end = new();
    private readonly IMachineContext _machine;
    private ValueTask<bool> _pending;
    private bool _isDisposed;

    /// <param name="machine">The machine.</param>
    /// <param name="wait">What is waited for.</param>
    /// <param name="goOn">What the machine's thread does behind each wait.</param>
    public NetWait(IMachineContext machine, Func<CancellationToken, ValueTask<bool>> wait, Action goOn)
    {
        (_machine, _wait, _goOn) = (machine, wait, goOn);
        _posted = OnPosted;
        _onEnded = () => _machine.Post(_posted);
    }

    /// <summary>Whether a wait is under way.</summary>
    public bool IsUnderWay { get; private set; }

    /// <summary>Whether the transport is closed, and will never have anything again.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Begins to wait, unless a wait is under way.</summary>
    [SuppressMessage("Reliability", "CA2012", Justification = "It is taken once, by OnPosted.")]
    public void Begin()
    {
        if (IsUnderWay || IsOver)
        {
            return;
        }

        IsUnderWay = true;
        _pending = _wait(_end.Token);
        if (_pending.IsCompleted)
        {
            _machine.Post(_posted);
            return;
        }

        _pending.GetAwaiter().UnsafeOnCompleted(_onEnded);
    }

    /// <summary>Ends the wait for good.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = IsOver = true;
            _end.Cancel();
            _end.Dispose();
        }
    }

    private void OnPosted()
    {
        IsUnderWay = false;
        try
        {
            IsOver |= !_pending.GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (_isDisposed)
        {
            return;
        }
        catch (NetTransportException)
        {
            // Sending or receiving says what is wrong.
        }

        _goOn();
    }
}
