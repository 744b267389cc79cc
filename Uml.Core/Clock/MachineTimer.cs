using Uml.Core.Bus;

namespace Uml.Core.Clock;

/// <summary>A one-shot timer and its index in the <see cref="TimerHeap"/>.</summary>
internal sealed class MachineTimer(MachineClock clock, string name, Action callback) : IMachineTimer
{
    private bool _isDisposed;

    public string Name => name;

    /// <summary>The index in the heap, or -1 while not armed.</summary>
    public int HeapIndex { get; set; } = -1;

    public ulong Deadline { get; set; }

    ulong? IMachineTimer.Deadline => HeapIndex < 0 ? null : Deadline;

    /// <summary>The order of arming: among equal deadlines the timer armed first fires first, in every run.</summary>
    public ulong Sequence { get; set; }

    public int Order => clock.OrderOf(this);

    public void Schedule(ulong deadline) => Arm(deadline, order: null);

    public void Restore(ulong deadline, int order) => Arm(deadline, order);

    public void Cancel() => clock.Cancel(this);

    public void Fire() => callback();

    public void Dispose()
    {
        _isDisposed = true;
        Cancel();
    }

    private void Arm(ulong deadline, int? order)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        clock.Schedule(this, deadline, order);
    }
}
