using Uml.Core.Bus;

namespace Uml.Core.Clock;

/// <summary>A one-shot timer and its place in the <see cref="TimerHeap"/>.</summary>
internal sealed class MachineTimer(MachineClock clock, Action callback) : IMachineTimer
{
    /// <summary>The place in the heap, or -1 while not armed.</summary>
    public int HeapIndex { get; set; } = -1;

    public ulong Deadline { get; set; }

    /// <summary>The order of arming: among equal deadlines the timer armed first fires first, in every run.</summary>
    public ulong Sequence { get; set; }

    public void Schedule(ulong deadline) => clock.Schedule(this, deadline);

    public void Cancel() => clock.Cancel(this);

    public void Fire() => callback();
}
