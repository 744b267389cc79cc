using System.Threading.Tasks.Sources;

namespace Uml.Storage.Nbd.Protocol;

/// <summary>Wakes one loop, which waits for it again and again. Allocates nothing. Set while nobody waits, it ends the next wait at once.</summary>
internal sealed class NbdSignal : IValueTaskSource, IThreadPoolWorkItem
{
    private readonly Lock _lock = new();
    private ManualResetValueTaskSourceCore<bool> _result;
    private bool _isSet, _isAwaited;

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

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Waits; only one at a time may.</summary>
    public ValueTask WaitAsync()
    {
        lock (_lock)
        {
            if (_isSet)
            {
                _isSet = false;
                return ValueTask.CompletedTask;
            }

            _isAwaited = true;
            _result.Reset();
            return new ValueTask(this, _result.Version);
        }
    }

    void IThreadPoolWorkItem.Execute() => _result.SetResult(true);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _result.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _result.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource.GetResult(short token) => _result.GetResult(token);
}
