using Uml.Core.Bus;
using Uml.Core.Snapshots;

namespace Uml.Devices.Interrupts;

/// <summary>How the timer of a local APIC counts (Intel SDM vol. 3, 12.5.4, LVT timer register bits 17 and 18).</summary>
internal enum ApicTimerMode
{
    OneShot = 0,
    Periodic = 1,
    TscDeadline = 2,
    Reserved = 3,
}

/// <summary>The timer of a local APIC (Intel SDM vol. 3, 12.5.4).</summary>
internal sealed class ApicTimer : IStateful
{
    /// <summary>
    /// Ticks per second before division: one a nanosecond. The value is ours; the guest reads it from CPUID leaves 0x15 and 0x40000010.
    /// </summary>
    public const uint Frequency = 1_000_000_000;

    /// <summary>
    /// The least time in nanoseconds between two interrupts of the periodic mode, so that a guest with a shorter period does not occupy the
    /// host with interrupts alone. The limit is ours.
    /// </summary>
    public const ulong ShortestPeriod = 20_000;

    /// <summary>The bits of <see cref="DivideConfiguration"/>.</summary>
    public const uint DivideMask = 0xB;

    private readonly IMachineClock _clock;
    private readonly IMachineTimer _timer;
    private readonly Action _expired;

    private ApicTimerMode _mode;
    private uint _initialCount;
    private uint _divideConfiguration;
    private bool _isCounting;
    private ulong _start;
    private ulong _deadline;

    /// <summary>Makes a stopped timer.</summary>
    /// <param name="clock">Guest time.</param>
    /// <param name="name">The name of its timer.</param>
    /// <param name="expired">Called when it interrupts.</param>
    public ApicTimer(IMachineClock clock, string name, Action expired)
    {
        _clock = clock;
        _expired = expired;
        _timer = clock.CreateTimer(name, Expire);
    }

    /// <summary>One-shot, periodic or deadline.</summary>
    public ApicTimerMode Mode
    {
        get => _mode;
        set
        {
            // Going to or from deadline mode disarms (Intel SDM vol. 3, 12.5.4.1); the other two share the count.
            bool disarms = (_mode == ApicTimerMode.TscDeadline) != (value == ApicTimerMode.TscDeadline);
            _mode = value;
            if (disarms)
            {
                Stop();
            }
        }
    }

    /// <summary>The count that the timer starts from; writing starts it, zero stops it. Ignored in deadline mode.</summary>
    public uint InitialCount
    {
        get => _initialCount;
        set
        {
            if (_mode != ApicTimerMode.TscDeadline)
            {
                _initialCount = value;
                StartAt(_clock.Nanoseconds);
            }
        }
    }

    /// <summary>The rest of the count.</summary>
    public uint CurrentCount
    {
        get
        {
            if (!_isCounting)
            {
                return 0;
            }

            ulong elapsed = _clock.Nanoseconds - _start;
            if (elapsed >= Period)
            {
                if (_mode != ApicTimerMode.Periodic)
                {
                    return 0;
                }

                elapsed %= Period;
            }

            return _initialCount - (uint)(elapsed >> DivideShift);
        }
    }

    /// <summary>The divide configuration register: bits 3, 1 and 0.</summary>
    public uint DivideConfiguration
    {
        get => _divideConfiguration;
        set
        {
            uint remaining = CurrentCount;
            _divideConfiguration = value;
            if (_isCounting)
            {
                // Continues from the current count at the new speed.
                StartAt(_clock.Nanoseconds - ((ulong)(_initialCount - remaining) << DivideShift));
            }
        }
    }

    /// <summary>IA32_TSC_DEADLINE: the time-stamp counter value to fire at; zero when not armed. Ignored in the other modes.</summary>
    public ulong TscDeadline
    {
        get => _deadline;
        set
        {
            if (_mode != ApicTimerMode.TscDeadline)
            {
                return;
            }

            _deadline = value;
            if (value == 0)
            {
                _timer.Cancel();
            }
            else
            {
                _timer.Schedule(ToNanoseconds(value));
            }
        }
    }

    // Divisors 2, 4, ... 128, 1 for the codes 0 to 7 made of bits 3, 1 and 0 (Intel SDM vol. 3, figure 12-10).
    private int DivideShift => (int)((((_divideConfiguration & 8) >> 1) | (_divideConfiguration & 3)) + 1) & 7;

    private ulong Period => (ulong)_initialCount << DivideShift;

    /// <summary>The state after reset.</summary>
    public void Reset()
    {
        _mode = ApicTimerMode.OneShot;
        _divideConfiguration = 0;
        Stop();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.Write((byte)_mode);
        state.Write(_initialCount);
        state.Write(_divideConfiguration);
        state.Write(_isCounting);
        state.Write(_start);
        state.Write(_deadline);
        state.Write(_timer);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        _mode = (ApicTimerMode)state.ReadByte(maximum: (byte)ApicTimerMode.Reserved);
        _initialCount = state.ReadUInt32();
        _divideConfiguration = state.ReadUInt32(maximum: DivideMask);
        _isCounting = state.ReadBoolean();
        if (_isCounting && _initialCount == 0)
        {
            throw state.Invalid("a timer counts from 0");
        }

        _start = state.ReadUInt64();
        _deadline = state.ReadUInt64();
        state.Restore(_timer);
    }

    private void Stop()
    {
        _timer.Cancel();
        _isCounting = false;
        _initialCount = 0;
        _start = 0;
        _deadline = 0;
    }

    private void StartAt(ulong start)
    {
        _start = start;
        _isCounting = _initialCount != 0;
        if (_isCounting)
        {
            _timer.Schedule(start + Period);
        }
        else
        {
            _timer.Cancel();
        }
    }

    private void Expire()
    {
        switch (_mode)
        {
            case ApicTimerMode.TscDeadline when _deadline == 0:
                return;
            case ApicTimerMode.TscDeadline when _clock.ReadTsc() < _deadline:
                // Counter and nanoseconds round differently; the guest must not see the interrupt before its deadline.
                _timer.Schedule(Math.Max(ToNanoseconds(_deadline), _clock.Nanoseconds + 1));
                return;
            case ApicTimerMode.TscDeadline:
                _deadline = 0;
                break;
            case ApicTimerMode.Periodic when _isCounting:
                ulong now = _clock.Nanoseconds;
                _start += (now - _start) / Period * Period;
                _timer.Schedule(Math.Max(_start + Period, now + ShortestPeriod));
                break;
            default:
                _isCounting = false;
                break;
        }

        _expired();
    }

    private ulong ToNanoseconds(ulong tsc)
    {
        const ulong NanosecondsPerSecond = 1_000_000_000;
        var nanoseconds = (((UInt128)tsc * NanosecondsPerSecond) + (_clock.TscFrequency - 1)) / _clock.TscFrequency;
        return nanoseconds > ulong.MaxValue ? ulong.MaxValue : (ulong)nanoseconds;
    }
}
