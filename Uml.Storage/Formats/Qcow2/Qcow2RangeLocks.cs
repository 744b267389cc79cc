using System.Runtime.CompilerServices;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Clusters whose place is being changed: another request that wants to change it waits.</summary>
internal sealed class Qcow2RangeLocks
{
    private readonly Lock _lock = new();
    private readonly List<Held> _held = [];
    private readonly Stack<Held> _free = new();

    /// <summary>Waits until nobody else has any of the clusters. A request that has some must not ask for more.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Held> TakeAsync(long first, long end)
    {
        while (true)
        {
            Task released;
            lock (_lock)
            {
                Held? other = FindOverlap(first, end);
                if (other is null)
                {
                    return Add(first, end);
                }

                other.Released ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                released = other.Released.Task;
            }

            await released.ConfigureAwait(false);
        }
    }

    public void Release(Held held)
    {
        TaskCompletionSource? released;
        lock (_lock)
        {
            _held.Remove(held);
            (released, held.Released) = (held.Released, null);
            _free.Push(held);
        }

        released?.SetResult();
    }

    private Held? FindOverlap(long first, long end)
    {
        foreach (Held held in _held)
        {
            if (first < held.End && held.First < end)
            {
                return held;
            }
        }

        return null;
    }

    private Held Add(long first, long end)
    {
        if (!_free.TryPop(out Held? held))
        {
            held = new Held();
        }

        (held.First, held.End) = (first, end);
        _held.Add(held);
        return held;
    }

    internal sealed class Held
    {
        public long First { get; set; }

        public long End { get; set; }

        public TaskCompletionSource? Released { get; set; }
    }
}
