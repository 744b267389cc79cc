using System.Collections.Concurrent;
using System.Threading.Tasks.Sources;

namespace Uml.Storage.Decorators;

/// <summary>Waits by the clock of a <see cref="TimeProvider"/>, with timers that are used again: nothing is allocated once there are enough.</summary>
internal sealed class DelayPool(TimeProvider time) : IDisposable
{
    /// <summary>A limit of ours, below that of timers.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    private readonly ConcurrentQueue<Delay> _free = new();
    private volatile bool _isDisposed;

    public TimeProvider Time => time;

    /// <summary>Waits, for a day at most. A wait that has begun ends when its time is over.</summary>
    public ValueTask WaitAsync(TimeSpan length)
    {
        if (length <= TimeSpan.Zero)
        {
            return ValueTask.CompletedTask;
        }

        if (!_free.TryDequeue(out Delay? delay))
        {
            delay = new Delay(this);
        }

        return delay.Start(length < Longest ? length : Longest);
    }

    /// <summary>Gives the timers up that nobody waits for, and the others when their time is over.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        while (_free.TryDequeue(out Delay? delay))
        {
            delay.Dispose();
        }
    }

    private void Return(Delay delay)
    {
        _free.Enqueue(delay);
        if (_isDisposed)
        {
            Dispose();
        }
    }

    private sealed class Delay : IValueTaskSource, IDisposable
    {
        private readonly DelayPool _pool;
        private readonly ITimer _timer;
        private ManualResetValueTaskSourceCore<bool> _result = new() { RunContinuationsAsynchronously = false };

        public Delay(DelayPool pool)
        {
            _pool = pool;
            _timer = pool.Time.CreateTimer(static state => ((Delay)state!)._result.SetResult(true), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        public ValueTask Start(TimeSpan length)
        {
            ValueTask task = new(this, _result.Version);
            _timer.Change(length, Timeout.InfiniteTimeSpan);
            return task;
        }

        public void Dispose() => _timer.Dispose();

        ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _result.GetStatus(token);

        void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _result.OnCompleted(continuation, state, token, flags);

        void IValueTaskSource.GetResult(short token)
        {
            _result.GetResult(token);
            _result.Reset();
            _pool.Return(this);
        }
    }
}
