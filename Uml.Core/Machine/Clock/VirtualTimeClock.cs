namespace Uml.Core;

/// <summary>Time that advances by one nanosecond an instruction, and jumps over idle time.</summary>
internal sealed class VirtualTimeClock(DateTimeOffset startTime) : MachineClock(startTime)
{
    /// <summary>The longest slice, 10 ms of guest time, so that the instruction count others see stays fresh.</summary>
    private const ulong MaximumSlice = 10_000_000;

    private ulong _skipped;

    public override ulong Nanoseconds => Cpu.InstructionsRetired + _skipped;

    public override bool SleepsWhenIdle => false;

    public override void Resume()
    {
        // Nothing retires while the machine is paused: time stands still by itself.
    }

    public override void Pause()
    {
    }

    public override void SkipTo(ulong deadline)
    {
        ulong now = Nanoseconds;
        if (deadline > now)
        {
            _skipped += deadline - now;
        }
    }

    protected override ulong LimitSlice(ulong now, ulong deadline) => Math.Min(deadline, now + MaximumSlice);

    protected override long GetBudget(ulong nanoseconds) => (long)nanoseconds;

    protected override void Measure()
    {
    }
}
