namespace Uml.Net.UserNet;

/// <summary>Something that has to be done at a time.</summary>
internal interface ITimed
{
    /// <summary>Where it is in its queue; -1 in none. The queue's alone.</summary>
    int TimerIndex { get; set; }

    /// <summary>What it is sorted by: not after <see cref="TimerDue"/>. The queue's alone.</summary>
    long TimerKey { get; set; }

    /// <summary>When it is due; <see cref="long.MaxValue"/> for never.</summary>
    long TimerDue { get; set; }

    /// <summary>It is due. It says itself when again.</summary>
    void OnTime(long now);
}

/// <summary>
/// What has to be done by time: a heap in which each knows its place. Timers are set later far more often than they end; such a one stays where it
/// is until its turn comes.
/// </summary>
internal sealed class TimerQueue
{
    private ITimed[] _heap = new ITimed[64];
    private int _count;

    /// <summary>When <see cref="Run"/> has something to do; <see cref="long.MaxValue"/> for never.</summary>
    public long Next => _count == 0 ? long.MaxValue : _heap[0].TimerKey;

    /// <summary>Sets when something is due.</summary>
    public void Set(ITimed timed, long due)
    {
        timed.TimerDue = due;
        if (timed.TimerIndex >= 0)
        {
            if (due < timed.TimerKey)
            {
                timed.TimerKey = due;
                Rise(timed.TimerIndex);
            }

            return;
        }

        if (due == long.MaxValue)
        {
            return;
        }

        if (_count == _heap.Length)
        {
            Array.Resize(ref _heap, 2 * _count);
        }

        timed.TimerKey = due;
        Put(_count++, timed);
        Rise(timed.TimerIndex);
    }

    public void Remove(ITimed timed)
    {
        int index = timed.TimerIndex;
        if (index < 0)
        {
            return;
        }

        timed.TimerIndex = -1;
        ITimed last = _heap[--_count];
        _heap[_count] = null!;
        if (index != _count)
        {
            Put(index, last);
            Rise(index);
            Sink(last.TimerIndex);
        }
    }

    /// <summary>Does what is due.</summary>
    public void Run(long now)
    {
        while (_count != 0 && _heap[0].TimerKey <= now)
        {
            ITimed timed = _heap[0];
            if (timed.TimerDue > now)
            {
                Postpone(timed);
                continue;
            }

            Remove(timed);
            timed.TimerDue = long.MaxValue;
            timed.OnTime(now);
        }
    }

    private void Postpone(ITimed timed)
    {
        if (timed.TimerDue == long.MaxValue)
        {
            Remove(timed);
            return;
        }

        timed.TimerKey = timed.TimerDue;
        Sink(0);
    }

    private void Put(int index, ITimed timed)
    {
        _heap[index] = timed;
        timed.TimerIndex = index;
    }

    private void Rise(int index)
    {
        ITimed timed = _heap[index];
        for (int above = (index - 1) / 2; index > 0 && timed.TimerKey < _heap[above].TimerKey; above = (index - 1) / 2)
        {
            Put(index, _heap[above]);
            index = above;
        }

        Put(index, timed);
    }

    private void Sink(int index)
    {
        ITimed timed = _heap[index];
        for (int below = (2 * index) + 1; below < _count; below = (2 * index) + 1)
        {
            if (below + 1 < _count && _heap[below + 1].TimerKey < _heap[below].TimerKey)
            {
                below++;
            }

            if (timed.TimerKey <= _heap[below].TimerKey)
            {
                break;
            }

            Put(index, _heap[below]);
            index = below;
        }

        Put(index, timed);
    }
}
