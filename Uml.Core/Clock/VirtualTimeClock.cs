namespace Uml.Core.Clock;

/// <summary>Time that advances by one nanosecond an instruction, and jumps over idle time.</summary>
internal sealed class VirtualTimeClock(DateTimeOffset startTime) : MachineClock(startTime)
{
    /// <summary>The longest slice, 10 ms of guest time, so that other threads see a recent instruction count.</summary>
    private const ulong MaximumSlice = 10_000_000;

    private ulong _skipped;

    /// <summary>The machine's thread, once it runs; and the time as of its last slice, for other threads.</summary>
    private volatile int _thread;
    private ulong _published;

    /// <remarks>
    /// Exact on the machine's thread. Other threads cannot read the state of a running CPU, which may be freed meanwhile, so they get the
    /// time as of the last slice.
    /// </remarks>
    public override ulong Nanoseconds =>
        _thread == 0 || _thread == Environment.CurrentManagedThreadId ? Guest.InstructionsRetired + _skipped : Volatile.Read(ref _published);

    public override bool SleepsWhenIdle => false;

    public override void Resume()
    {
        // No instruction retires while the machine is paused, so time stands still.
        Publish();
        _thread = Environment.CurrentManagedThreadId;
    }

    public override void Pause() => Publish();

    public override void SkipTo(ulong deadline)
    {
        ulong now = Nanoseconds;
        if (deadline > now)
        {
            _skipped += deadline - now;
            Publish();
        }
    }

    protected override ulong LimitSlice(ulong now, ulong deadline) => Math.Min(deadline, now + MaximumSlice);

    protected override long GetBudget(ulong nanoseconds) => (long)nanoseconds;

    protected override void Measure() => Publish();

    private void Publish() => Volatile.Write(ref _published, Guest.InstructionsRetired + _skipped);
}
