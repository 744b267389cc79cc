namespace Uml.Core.Bus;

/// <summary>
/// Guest time. In real-time mode it follows the host's <see cref="TimeProvider"/> and stands still while the machine is paused;
/// in virtual-time mode it advances by retired instructions, and idle time is skipped.
/// </summary>
public interface IMachineClock
{
    /// <summary>Nanoseconds since the machine started.</summary>
    ulong Nanoseconds { get; }

    /// <summary>
    /// Whether time is the guest's own (virtual time), so that a run is the same each time: what a device does at a moment of the host's time must
    /// not be seen by the guest before a moment of its own then.
    /// </summary>
    bool IsVirtual { get; }

    /// <summary>Ticks of the time-stamp counter per second. The counter is invariant and starts at zero with <see cref="Nanoseconds"/>.</summary>
    ulong TscFrequency { get; }

    /// <summary>The time-stamp counter for the current <see cref="Nanoseconds"/>, before the guest's own IA32_TSC_ADJUST.</summary>
    ulong ReadTsc();

    /// <summary>Calendar time of guest time zero: what the real-time clock showed when the machine started.</summary>
    DateTimeOffset StartTime { get; }

    /// <summary>
    /// Makes a one-shot timer, initially not armed. A device's timers are disposed when it is detached, if it has not disposed them before.
    /// </summary>
    /// <param name="name">Its purpose, for messages.</param>
    /// <param name="callback">Runs on the machine's thread between two instructions, at or after the deadline.</param>
    IMachineTimer CreateTimer(string name, Action callback);
}

/// <summary>A one-shot timer in guest time. Members are called on the machine's thread.</summary>
public interface IMachineTimer : IDisposable
{
    /// <summary>Its purpose, for messages.</summary>
    string Name { get; }

    /// <summary>
    /// When it fires, in <see cref="IMachineClock.Nanoseconds"/>; null while it is not armed. It is part of its device's state.
    /// </summary>
    ulong? Deadline { get; }

    /// <summary>How many armed timers with the same deadline fire before this one, because they were armed before. Part of the state of its device.</summary>
    int Order => 0;

    /// <summary>Arms the timer, replacing an earlier deadline. A deadline in the past fires as soon as possible.</summary>
    /// <param name="deadline">In <see cref="IMachineClock.Nanoseconds"/>.</param>
    void Schedule(ulong deadline);

    /// <summary>Arms the timer as it was when a state was saved: before all that are armed later for the same deadline.</summary>
    /// <param name="deadline">Its <see cref="Deadline"/> then.</param>
    /// <param name="order">Its <see cref="Order"/> then.</param>
    void Restore(ulong deadline, int order) => Schedule(deadline);

    /// <summary>Disarms the timer; its callback does not run until it is scheduled again.</summary>
    void Cancel();
}
