using Uml.Core.Clock;

namespace Uml.Core.Sandbox;

/// <summary>A clock that its owner advances, whether devices take it for virtual or real time.</summary>
internal sealed class SandboxClock(DateTimeOffset startTime, ulong now, bool isVirtual) : MachineClock(startTime)
{
    private ulong _now = now;

    public override ulong Nanoseconds => _now;

    public override bool SleepsWhenIdle => !isVirtual;

    public override void Resume()
    {
    }

    public override void Pause()
    {
    }

    public override void SkipTo(ulong deadline) => _now = Math.Max(_now, deadline);

    protected override ulong LimitSlice(ulong now, ulong deadline) => deadline;

    protected override long GetBudget(ulong nanoseconds) => (long)nanoseconds;

    protected override void Measure()
    {
    }
}
