namespace Uml.Core.Clock;

/// <summary>Time that follows a <see cref="TimeProvider"/> while the machine is not paused.</summary>
internal sealed class RealTimeClock(TimeProvider provider, DateTimeOffset startTime) : MachineClock(startTime)
{
    /// <summary>The longest slice, 1 ms at the guest's measured speed.</summary>
    private const ulong MaximumSlice = 1_000_000;

    /// <summary>
    /// The delay of the alarm after its deadline, 1 ms, so that it does not interrupt slices that end in time. The host's timers have a
    /// resolution of milliseconds too.
    /// </summary>
    private const ulong Grace = 1_000_000;

    /// <summary>Deadlines farther away, 10 s, get no alarm yet.</summary>
    private const ulong AlarmHorizon = 10_000_000_000;

    /// <summary>
    /// A guest that is busy for less than 2 ms at a time gets no alarm: setting it would cost as much as running the guest.
    /// </summary>
    private const ulong BusyTime = 2_000_000;

    /// <summary>
    /// The highest speed that is assumed for a guest that was idle, in instructions per nanosecond: its speed before that says nothing
    /// about the next slice.
    /// </summary>
    private const double SpeedAfterIdle = 0.05;

    /// <summary>The shortest budget: below it, reading the clock costs more than running the guest.</summary>
    private const long MinimumBudget = 200;

    /// <summary>The shortest slice that the guest's speed is measured by.</summary>
    private const ulong MinimumSample = 10_000;

    private readonly long _frequency = provider.TimestampFrequency;

    /// <summary>Guest time while the clock is paused, or -1 while it runs.</summary>
    private long _frozen;

    /// <summary>The provider's nanoseconds at guest time zero; valid while the clock runs.</summary>
    private long _origin;

    /// <summary>
    /// Ends the slice when it has missed a deadline. A slice is a number of instructions, which takes a hundred times as long as planned
    /// when the guest begins to rewrite its code, for example.
    /// </summary>
    private ITimer? _alarm;

    /// <summary>The deadline the alarm was set for; used on the machine's thread only.</summary>
    private ulong _alarmDeadline;

    /// <summary>Guards <see cref="_alarm"/>: after that is disposed, its callback does not touch the CPU.</summary>
    private readonly Lock _alarmSync = new();

    /// <summary>When the guest was idle last; used on the machine's thread only.</summary>
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

    /// <summary>The provider behind the clock, which is also used to wait for deadlines.</summary>
    public TimeProvider Provider => provider;

    /// <summary>Whether the provider is the host's clock; in tests it may be another.</summary>
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
