namespace Uml.Core.Clock;

/// <summary>Time that follows a <see cref="TimeProvider"/> while the machine is not paused.</summary>
internal sealed class RealTimeClock(TimeProvider provider, DateTimeOffset startTime) : MachineClock(startTime)
{
    /// <summary>The longest slice, 1 ms by the guest's speed so far.</summary>
    private const ulong MaximumSlice = 1_000_000;

    /// <summary>
    /// The alarm goes off so much after the deadline it is for, 1 ms, which disturbs no slice that ends when it should. The host's timers
    /// count in milliseconds too.
    /// </summary>
    private const ulong Grace = 1_000_000;

    /// <summary>Deadlines farther away, 10 s, get no alarm yet.</summary>
    private const ulong AlarmHorizon = 10_000_000_000;

    /// <summary>A guest that is busy for less than 2 ms at a time gets no alarm: setting it would cost as much as what that guest does.</summary>
    private const ulong BusyTime = 2_000_000;

    /// <summary>The most that is expected of a guest that was idle, in instructions a nanosecond: what it did before tells nothing.</summary>
    private const double SpeedAfterIdle = 0.05;

    /// <summary>The shortest budget: below it, looking at the clock costs more than running.</summary>
    private const long MinimumBudget = 200;

    /// <summary>Slices shorter than this tell nothing about the guest's speed.</summary>
    private const ulong MinimumSample = 10_000;

    private readonly long _frequency = provider.TimestampFrequency;

    /// <summary>Guest time while it stands still, or -1 while it passes.</summary>
    private long _frozen;

    /// <summary>The provider's nanoseconds at guest time zero; valid while time passes.</summary>
    private long _origin;

    /// <summary>
    /// Ends the slice when a deadline is over. A slice is a number of instructions, and takes a hundred times as long as it was meant to
    /// when the guest begins to rewrite its code, say.
    /// </summary>
    private ITimer? _alarm;

    /// <summary>The deadline the alarm was set for; of the machine's thread.</summary>
    private ulong _alarmDeadline;

    /// <summary>Guards <see cref="_alarm"/>: once that is disposed of, its callback asks the CPU for nothing any more.</summary>
    private readonly Lock _alarmSync = new();

    /// <summary>When the guest was idle last; of the machine's thread.</summary>
    private ulong _busySince;

    private double _instructionsPerNanosecond = 0.02;
    private ulong _sliceStart;
    private ulong _sliceStartRetired;

    public override ulong Nanoseconds
    {
        get
        {
            long frozen = Volatile.Read(ref _frozen);
            return frozen >= 0 ? (ulong)frozen : (ulong)(GetHostNanoseconds() - Volatile.Read(ref _origin));
        }
    }

    public override bool SleepsWhenIdle => true;

    /// <summary>The provider behind the clock: who waits for a deadline waits by it.</summary>
    public TimeProvider Provider => provider;

    /// <summary>Whether time passes as the host's does; in tests it may not.</summary>
    public bool FollowsHost => provider == TimeProvider.System;

    public override void Resume()
    {
        long frozen = Volatile.Read(ref _frozen);
        if (frozen >= 0)
        {
            Volatile.Write(ref _origin, GetHostNanoseconds() - frozen);
            Volatile.Write(ref _frozen, -1);
            lock (_alarmSync)
            {
                _alarmDeadline = ulong.MaxValue;
                _alarm = provider.CreateTimer(static clock => ((RealTimeClock)clock!).EndSliceNow(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }
    }

    public override void Pause()
    {
        Volatile.Write(ref _frozen, (long)Nanoseconds);
        lock (_alarmSync)
        {
            _alarm?.Dispose();
            _alarm = null;
        }
    }

    public override void EndIdle()
    {
        _busySince = Nanoseconds;
        _instructionsPerNanosecond = Math.Min(_instructionsPerNanosecond, SpeedAfterIdle);
        if (_alarmDeadline != ulong.MaxValue)
        {
            SetAlarm(ulong.MaxValue, Timeout.InfiniteTimeSpan);
        }
    }

    protected override ulong LimitSlice(ulong now, ulong deadline)
    {
        _sliceStart = now;
        _sliceStartRetired = Guest.InstructionsRetired;
        WatchFor(now, deadline);
        return Math.Min(deadline, now + MaximumSlice);
    }

    protected override long GetBudget(ulong nanoseconds) =>
        Math.Max(MinimumBudget, (long)(nanoseconds * _instructionsPerNanosecond));

    protected override void Measure()
    {
        ulong elapsed = Nanoseconds - _sliceStart;
        ulong retired = Guest.InstructionsRetired - _sliceStartRetired;
        if (elapsed >= MinimumSample && retired > 0)
        {
            double sample = Math.Clamp((double)retired / elapsed, 0.0001, 100);
            _instructionsPerNanosecond += (sample - _instructionsPerNanosecond) / 4;
        }
    }

    protected override void WatchFor(ulong deadline) => WatchFor(Nanoseconds, deadline);

    private void WatchFor(ulong now, ulong deadline)
    {
        if (deadline == _alarmDeadline || now - _busySince < BusyTime || deadline >= now + AlarmHorizon)
        {
            return;
        }

        ulong nanoseconds = (deadline > now ? deadline - now : 0) + Grace;
        SetAlarm(deadline, TimeSpan.FromMilliseconds(Math.Ceiling(nanoseconds / 1e6)));
    }

    private void SetAlarm(ulong deadline, TimeSpan delay)
    {
        _alarmDeadline = deadline;
        lock (_alarmSync)
        {
            _alarm?.Change(delay, Timeout.InfiniteTimeSpan);
        }
    }

    private void EndSliceNow()
    {
        lock (_alarmSync)
        {
            if (_alarm is not null)
            {
                Guest.RequestAttention();
            }
        }
    }

    private long GetHostNanoseconds()
    {
        long timestamp = provider.GetTimestamp();
        return _frequency == 1_000_000_000 ? timestamp : (long)((Int128)timestamp * 1_000_000_000 / _frequency);
    }
}
