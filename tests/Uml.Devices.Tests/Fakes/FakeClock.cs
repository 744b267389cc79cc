using Uml.Core.Bus;

namespace Uml.Devices.Tests.Fakes;

/// <summary>Guest time that the test moves.</summary>
internal sealed class FakeClock : IMachineClock
{
    public bool IsVirtual => true;

    private readonly List<Timer> _timers = [];

    public ulong Nanoseconds { get; private set; }

    public ulong TscFrequency { get; set; } = 2_100_000_000;

    public DateTimeOffset StartTime { get; set; } = new(2024, 2, 28, 23, 59, 50, TimeSpan.Zero);

    public ulong? NextDeadline => _timers.Where(t => t.IsArmed).Select(t => (ulong?)t.Deadline).Min();

    public ulong ReadTsc() => (ulong)((UInt128)Nanoseconds * TscFrequency / 1_000_000_000);

    public IMachineTimer CreateTimer(string name, Action callback)
    {
        var timer = new Timer(name, callback);
        _timers.Add(timer);
        return timer;
    }

    /// <summary>Moves on, running timers in order at their deadlines.</summary>
    public void Advance(ulong nanoseconds)
    {
        ulong end = Nanoseconds + nanoseconds;
        for (int fired = 0; _timers.Where(t => t.IsArmed && t.Deadline <= end).MinBy(t => t.Deadline) is { } timer; fired++)
        {
            Assert.That(fired, Is.LessThan(1_000_000), "A timer never lets time go on.");
            Nanoseconds = Math.Max(Nanoseconds, timer.Deadline);
            timer.Fire();
        }

        Nanoseconds = end;
    }

    /// <summary>Moves on without running anything: a guest that was busy.</summary>
    public void Skip(ulong nanoseconds) => Nanoseconds += nanoseconds;

    private sealed class Timer(string name, Action callback) : IMachineTimer
    {
        public string Name => name;

        ulong? IMachineTimer.Deadline => IsArmed ? Deadline : null;

        public bool IsArmed { get; private set; }

        public ulong Deadline { get; private set; }

        public void Schedule(ulong deadline)
        {
            Deadline = deadline;
            IsArmed = true;
        }

        public void Cancel() => IsArmed = false;

        public void Dispose() => Cancel();

        public void Fire()
        {
            IsArmed = false;
            callback();
        }
    }
}
