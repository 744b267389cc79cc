namespace Uml.Core;

/// <summary>Time that follows a <see cref="TimeProvider"/> while the machine is not paused.</summary>
internal sealed class RealTimeClock(TimeProvider provider, DateTimeOffset startTime) : MachineClock(startTime)
{
    /// <summary>The longest slice, 1 ms: how late a timer is when the guest suddenly gets slower than it was.</summary>
    private const ulong MaximumSlice = 1_000_000;

    /// <summary>The shortest budget: below it, looking at the clock costs more than running.</summary>
    private const long MinimumBudget = 200;

    /// <summary>Slices shorter than this tell nothing about the guest's speed.</summary>
    private const ulong MinimumSample = 10_000;

    private readonly long _frequency = provider.TimestampFrequency;

    /// <summary>Guest time while it stands still, or -1 while it passes.</summary>
    private long _frozen;

    /// <summary>The provider's nanoseconds at guest time zero; valid while time passes.</summary>
    private long _origin;

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
        }
    }

    public override void Pause() => Volatile.Write(ref _frozen, (long)Nanoseconds);

    protected override ulong LimitSlice(ulong now, ulong deadline)
    {
        _sliceStart = now;
        _sliceStartRetired = Cpu.InstructionsRetired;
        return Math.Min(deadline, now + MaximumSlice);
    }

    protected override long GetBudget(ulong nanoseconds) =>
        Math.Max(MinimumBudget, (long)(nanoseconds * _instructionsPerNanosecond));

    protected override void Measure()
    {
        ulong elapsed = Nanoseconds - _sliceStart;
        ulong retired = Cpu.InstructionsRetired - _sliceStartRetired;
        if (elapsed >= MinimumSample && retired > 0)
        {
            double sample = Math.Clamp((double)retired / elapsed, 0.0001, 100);
            _instructionsPerNanosecond += (sample - _instructionsPerNanosecond) / 4;
        }
    }

    private long GetHostNanoseconds()
    {
        long timestamp = provider.GetTimestamp();
        return _frequency == 1_000_000_000 ? timestamp : (long)((Int128)timestamp * 1_000_000_000 / _frequency);
    }
}
