namespace Uml.Core.Clock;

/// <summary>Armed timers, the earliest first: a binary heap whose elements know their index, so that re-arming allocates nothing.</summary>
internal sealed class TimerHeap
{
    /// <summary>Smaller ones are for timers that are restored, which were armed before all others.</summary>
    private const ulong FirstSequence = 1UL << 32;

    private readonly List<MachineTimer> _heap = [];
    private ulong _sequence = FirstSequence;

    public int Count => _heap.Count;

    /// <summary>The names of the timers, in no order.</summary>
    public IReadOnlyList<string> Names => _heap.ConvertAll(timer => timer.Name);

    /// <summary>The timer that fires next, or null.</summary>
    public MachineTimer? Earliest => _heap.Count == 0 ? null : _heap[0];

    /// <summary>Arms a timer, or moves it when it is armed already.</summary>
    /// <param name="timer">The timer.</param>
    /// <param name="deadline">When it fires.</param>
    /// <param name="order">Its <see cref="OrderOf"/> when it was saved, or null.</param>
    public void Schedule(MachineTimer timer, ulong deadline, int? order = null)
    {
        timer.Deadline = deadline;
        timer.Sequence = order is { } restored ? (ulong)restored : _sequence++;
        if (timer.HeapIndex < 0)
        {
            timer.HeapIndex = _heap.Count;
            _heap.Add(timer);
        }

        Restore(timer.HeapIndex);
    }

    /// <summary>How many timers with the deadline of an armed one fire before it.</summary>
    public int OrderOf(MachineTimer timer) => _heap.Count(other => other.Deadline == timer.Deadline && other.Sequence < timer.Sequence);

    /// <summary>Disarms a timer; does nothing when it is not armed.</summary>
    public void Remove(MachineTimer timer)
    {
        int index = timer.HeapIndex;
        if (index < 0)
        {
            return;
        }

        int last = _heap.Count - 1;
        if (index != last)
        {
            Place(_heap[last], index);
        }

        _heap.RemoveAt(last);
        timer.HeapIndex = -1;
        if (index < last)
        {
            Restore(index);
        }
    }

    private void Restore(int index)
    {
        while (index > 0 && IsEarlier(_heap[index], _heap[(index - 1) / 2]))
        {
            Swap(index, (index - 1) / 2);
            index = (index - 1) / 2;
        }

        while (true)
        {
            int earliest = index;
            for (int child = (2 * index) + 1; child <= (2 * index) + 2 && child < _heap.Count; child++)
            {
                earliest = IsEarlier(_heap[child], _heap[earliest]) ? child : earliest;
            }

            if (earliest == index)
            {
                return;
            }

            Swap(index, earliest);
            index = earliest;
        }
    }

    private void Swap(int left, int right)
    {
        MachineTimer timer = _heap[left];
        Place(_heap[right], left);
        Place(timer, right);
    }

    private void Place(MachineTimer timer, int index)
    {
        _heap[index] = timer;
        timer.HeapIndex = index;
    }

    private static bool IsEarlier(MachineTimer left, MachineTimer right) =>
        left.Deadline < right.Deadline || (left.Deadline == right.Deadline && left.Sequence < right.Sequence);
}
