using Uml.Core.Bus;

namespace Uml.Core.Clock;

/// <summary>Guest time and its timers. It decides how long a slice of the guest is, and how long an idle guest sleeps.</summary>
internal abstract class MachineClock(DateTimeOffset startTime) : IMachineClock
{
    private readonly TimerHeap _timers = new();
    private IGuestExecution? _guest;
    private ulong _sliceEnd;

    /// <summary>1 GHz in both modes, so that a tick is a nanosecond and conversions are exact.</summary>
    public ulong TscFrequency => 1_000_000_000;

    public bool IsVirtual => !SleepsWhenIdle;

    public abstract ulong Nanoseconds { get; }

    public DateTimeOffset StartTime { get; } = startTime;

    public ulong ReadTsc() => Nanoseconds;

    /// <summary>Whether an idle guest sleeps until its next deadline, or the clock jumps there.</summary>
    public abstract bool SleepsWhenIdle { get; }

    /// <summary>The next timer's deadline, or null when none is armed.</summary>
    public ulong? NextDeadline => _timers.Earliest?.Deadline;

    /// <summary>The names of the timers that are armed.</summary>
    public IReadOnlyList<string> ArmedTimers => _timers.Names;

    /// <summary>The CPUs of the machine; connected once, before it starts.</summary>
    protected IGuestExecution Guest => _guest ?? throw new InvalidOperationException("The clock has no CPU yet.");

    public IMachineTimer CreateTimer(string name, Action callback)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(callback);
        return new MachineTimer(this, name, callback);
    }

    public void Connect(IGuestExecution guest) => _guest = guest;

    /// <summary>Lets time pass, from the start of the machine or after <see cref="Pause"/>.</summary>
    public abstract void Resume();

    /// <summary>Makes time stand still.</summary>
    public abstract void Pause();

    /// <summary>How many instructions the guest may run until something is due.</summary>
    public long BeginSlice()
    {
        ulong now = Nanoseconds;
        ulong end = LimitSlice(now, NextDeadline ?? ulong.MaxValue);
        _sliceEnd = end;
        return end <= now ? 1 : GetBudget(end - now);
    }

    /// <summary>Called at the end of a slice that <see cref="BeginSlice"/> began.</summary>
    public void EndSlice()
    {
        _sliceEnd = 0;
        Measure();
    }

    /// <summary>Runs the callbacks of due timers.</summary>
    /// <remarks>
    /// Each timer armed at the time of the call fires at most once: a guest that arms a timer in the past over and over
    /// gets to run in between, and the machine can still be stopped.
    /// </remarks>
    public void RunDueTimers()
    {
        int remaining = _timers.Count;
        if (remaining == 0)
        {
            return;
        }

        ulong now = Nanoseconds;
        while (remaining-- > 0 && _timers.Earliest is { } timer && timer.Deadline <= now)
        {
            _timers.Remove(timer);
            timer.Fire();
        }
    }

    /// <summary>Called after the guest was idle.</summary>
    public virtual void EndIdle()
    {
    }

    /// <summary>Jumps over idle time to a deadline, in clocks that do not sleep.</summary>
    public virtual void SkipTo(ulong deadline) => throw new NotSupportedException("This clock sleeps.");

    public void Schedule(MachineTimer timer, ulong deadline, int? order)
    {
        _timers.Schedule(timer, deadline, order);
        if (deadline < _sliceEnd)
        {
            // A device has armed it within the slice, which has to end earlier now.
            Guest.RequestAttention();
        }
        else if (_sliceEnd != 0 && NextDeadline is { } next)
        {
            WatchFor(next);
        }
    }

    public int OrderOf(MachineTimer timer) => timer.HeapIndex < 0 ? 0 : _timers.OrderOf(timer);

    public void Cancel(MachineTimer timer) => _timers.Remove(timer);

    /// <summary>
    /// Called with the next deadline, which is behind the planned end of the current slice; a slice that takes longer than planned may miss
    /// it.
    /// </summary>
    protected virtual void WatchFor(ulong deadline)
    {
    }

    /// <summary>The end of a slice that starts now, at most <paramref name="deadline"/>.</summary>
    protected abstract ulong LimitSlice(ulong now, ulong deadline);

    /// <summary>Nanoseconds to instructions.</summary>
    protected abstract long GetBudget(ulong nanoseconds);

    /// <summary>Called at the end of each slice.</summary>
    protected abstract void Measure();
}
