using System.Threading.Tasks.Sources;

namespace Uml.Net.Polling;

/// <summary>
/// Wakes one waiter, which waits again and again. Set while nobody waits, it ends the next wait at once; closed, every one. Allocates nothing.
/// </summary>
/// <param name="continueInline">Whether the waiter continues on the thread that sets it, which must be one that can be kept; else on another.</param>
internal sealed class NetSignal(bool continueInline) : IValueTaskSource<bool>
{
    private readonly Lock _lock = new();
    private ManualResetValueTaskSourceCore<bool> _result = new() { RunContinuationsAsynchronously = !continueInline };
    private CancellationTokenRegistration _cancellation;
    private CancellationToken _token;
    private bool _isSet, _isAwaited, _isClosed;

    public void Set()
    {
        lock (_lock)
        {
            if (!_isAwaited)
            {
                _isSet = true;
                return;
            }

            _isAwaited = false;
        }

        _result.SetResult(true);
    }

    /// <summary>Ends the wait that is under way, and all later ones, with false.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _isClosed = true;
            if (!_isAwaited)
            {
                return;
            }

            _isAwaited = false;
        }

        _result.SetResult(false);
    }

    /// <summary>Waits; only one at a time may.</summary>
    /// <returns>False once it is closed.</returns>
    /// <exception cref="OperationCanceledException">The wait was ended.</exception>
    public ValueTask<bool> WaitAsync(CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<bool>(cancellationToken);
        }

        lock (_lock)
        {
            if (_isAwaited)
            {
                throw new InvalidOperationException("Somebody waits already; only one caller at a time may.");
            }

            if (_isClosed || _isSet)
            {
                _isSet = false;
                return ValueTask.FromResult(!_isClosed);
            }

            _isAwaited = true;
            _result.Reset();
            _token = cancellationToken;
        }

        ValueTask<bool> wait = new(this, _result.Version);
        if (cancellationToken.CanBeCanceled)
        {
            // Behind the lock, which Cancel takes when the token was cancelled meanwhile.
            _cancellation = cancellationToken.UnsafeRegister(static signal => ((NetSignal)signal!).Cancel(), this);
        }

        return wait;
    }

    /// <summary>Waits, unless there is something to be done yet.</summary>
    /// <param name="isIdle">Whether there is nothing.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public ValueTask<bool> WaitAsync(bool isIdle, CancellationToken cancellationToken) =>
        isIdle || Volatile.Read(ref _isClosed) || cancellationToken.IsCancellationRequested ? WaitAsync(cancellationToken) : ValueTask.FromResult(true);

    private void Cancel()
    {
        lock (_lock)
        {
            if (!_isAwaited)
            {
                return;
            }

            _isAwaited = false;
        }

        _result.SetException(new OperationCanceledException(_token));
    }

    bool IValueTaskSource<bool>.GetResult(short token)
    {
        // Whoever cancels from now on finds nobody who waits.
        _cancellation.Dispose();
        _cancellation = default;
        return _result.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _result.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _result.OnCompleted(continuation, state, token, flags);
}
