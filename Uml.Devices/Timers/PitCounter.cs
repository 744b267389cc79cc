using Uml.Core.Snapshots;

namespace Uml.Devices.Timers;

/// <summary>
/// One counter of an 8254 (Intel 8254 data sheet, 231164): its six modes, computed from when it was loaded. Nothing runs while it counts.
/// </summary>
/// <remarks>
/// Times are ticks of the clock input since the machine started. They never go back, and <see cref="Settle"/> comes before any other member
/// at a new time. A count of 1 in modes 2 and 3, which the data sheet forbids, counts as 2.
/// </remarks>
internal sealed class PitCounter(bool gate) : IStateful
{
    /// <summary>The time of an event that does not happen.</summary>
    public const long Never = long.MaxValue;

    private const int AccessLow = 1, AccessHigh = 2, AccessBoth = 3;
    private const byte ControlMask = 0x3F, StatusNullCount = 1 << 6, StatusOutput = 1 << 7;

    // Read/write bits, mode and BCD as programmed (data sheet, figure 7).
    private byte _control;

    // The count register in ticks, zero before the first write; and the time since which it is pending to be loaded into the counting
    // element.
    private int _register;
    private long _registerSince = Never;

    // The value and the time of the last load of the counting element, and how far it had counted when the gate stopped it.
    private int _count;
    private long _start = Never;
    private long _stoppedAfter = Never;

    private readonly bool _firstGate = gate;
    private bool _gate = gate;
    private byte _lowByte;
    private bool _writesHigh;
    private bool _readsHigh;
    private ushort _latchedCount;
    private bool _isCountLatched;
    private byte _latchedStatus;
    private bool _isStatusLatched;

    /// <summary>The mode, 0 to 5; two of them have a second code.</summary>
    private int Mode => ((_control >> 1) & 7) is > 5 and var code ? code - 4 : (_control >> 1) & 7;

    private int Access => (_control >> 4) & 3;

    private bool IsBcd => (_control & 1) != 0;

    private bool IsPeriodic => Mode is 2 or 3;

    private bool IsTriggered => Mode is 1 or 5;

    private int Modulus => IsBcd ? 10_000 : 0x1_0000;

    private bool IsCounting => _start != Never && _stoppedAfter == Never;

    /// <summary>The state before the first control word.</summary>
    public void Reset()
    {
        SetControl(0);
        _gate = _firstGate;
        (_count, _lowByte, _latchedCount, _latchedStatus) = (0, 0, 0, 0);
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.Write(_control);
        state.Write(_register);
        state.Write(_registerSince);
        state.Write(_count);
        state.Write(_start);
        state.Write(_stoppedAfter);
        state.Write(_gate);
        state.Write(_lowByte);
        state.Write(_writesHigh);
        state.Write(_readsHigh);
        state.Write(_latchedCount);
        state.Write(_isCountLatched);
        state.Write(_latchedStatus);
        state.Write(_isStatusLatched);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        const int LargestCount = 0x1_0000;
        _control = state.ReadByte(maximum: ControlMask);
        _register = state.ReadInt32(0, LargestCount);
        _registerSince = state.ReadInt64();
        int count = state.ReadInt32(0, LargestCount);
        long start = state.ReadInt64();
        if (start != Never && count == 0)
        {
            throw state.Invalid("a counter counts from 0");
        }

        // Both or none of them: the interrupt controllers ask for the output while they are reset, which may be before this counter is.
        (_count, _start) = (count, start);
        _stoppedAfter = state.ReadInt64();
        _gate = state.ReadBoolean();
        _lowByte = state.ReadByte();
        _writesHigh = state.ReadBoolean();
        _readsHigh = state.ReadBoolean();
        _latchedCount = state.ReadUInt16();
        _isCountLatched = state.ReadBoolean();
        _latchedStatus = state.ReadByte();
        _isStatusLatched = state.ReadBoolean();
    }

    /// <summary>Takes a control word, which makes the counter wait for a count.</summary>
    public void SetControl(byte value)
    {
        _control = (byte)(value & ControlMask);
        _register = 0;
        _registerSince = _start = _stoppedAfter = Never;
        _writesHigh = _readsHigh = _isCountLatched = _isStatusLatched = false;
    }

    /// <summary>Takes a byte of a new count.</summary>
    public void Write(byte value, long now)
    {
        if (Access != AccessBoth)
        {
            SetCount(Access == AccessLow ? value : value << 8, now);
        }
        else if (_writesHigh)
        {
            _writesHigh = false;
            SetCount(_lowByte | (value << 8), now);
        }
        else
        {
            _writesHigh = true;
            _lowByte = value;
            if (Mode == 0)
            {
                // The first byte stops the count (data sheet, "Mode 0").
                _start = Never;
            }
        }
    }

    /// <summary>Reads a byte of the status or the count that is latched, else of the count.</summary>
    public byte Read(long now)
    {
        if (_isStatusLatched)
        {
            _isStatusLatched = false;
            return _latchedStatus;
        }

        int count = _isCountLatched ? _latchedCount : GetCount(now);
        bool isHigh = Access == AccessHigh || (Access == AccessBoth && _readsHigh);
        _readsHigh = Access == AccessBoth && !_readsHigh;
        _isCountLatched &= _readsHigh;
        return (byte)(isHigh ? count >> 8 : count);
    }

    /// <summary>Latches the count for the next reads; a count that is latched already is not replaced.</summary>
    public void LatchCount(long now)
    {
        if (!_isCountLatched)
        {
            _latchedCount = (ushort)GetCount(now);
            _isCountLatched = true;
        }
    }

    /// <summary>Keeps the status for the next read (data sheet, figure 12).</summary>
    public void LatchStatus(long now)
    {
        if (!_isStatusLatched)
        {
            bool isNull = _start == Never || _registerSince != Never || now < _start;
            _latchedStatus = (byte)(_control | (GetOutput(now) ? StatusOutput : 0) | (isNull ? StatusNullCount : 0));
            _isStatusLatched = true;
        }
    }

    /// <summary>Drives the gate input (data sheet, figure 21).</summary>
    public void SetGate(bool gate, long now)
    {
        if (gate == _gate)
        {
            return;
        }

        _gate = gate;
        if (IsTriggered)
        {
            if (gate && _register != 0)
            {
                Load(now + 1);
            }
        }
        else if (!gate)
        {
            _stoppedAfter = _start == Never ? Never : Math.Max(0, now - _start);
        }
        else if (_start != Never)
        {
            if (IsPeriodic)
            {
                Load(now + 1);
            }
            else
            {
                _start = now - _stoppedAfter;
                _stoppedAfter = Never;
            }
        }
    }

    /// <summary>Updates the counter to a time: a pending count is loaded at the end of the period.</summary>
    public void Settle(long now)
    {
        if (_registerSince == Never || !IsPeriodic || !IsCounting || GetLoadTime() is var time && time > now)
        {
            return;
        }

        bool beginsLow = IsHalfPeriod(time);
        Load(time);
        _start -= beginsLow ? HighTicks(_count) : 0;
    }

    /// <summary>The level of the output.</summary>
    public bool GetOutput(long now)
    {
        if (_start == Never || GetElapsed(now) is var elapsed && elapsed < 0)
        {
            return Mode != 0;
        }

        return Mode switch
        {
            0 or 1 => elapsed >= _count,
            2 => !_gate || elapsed % _count != _count - 1,
            3 => !_gate || elapsed % _count < HighTicks(_count),
            _ => elapsed != _count,
        };
    }

    /// <summary>The first rise of the output after a time, if there is no write or change of the gate until then.</summary>
    public long NextRise(long after)
    {
        if (!IsCounting)
        {
            return Never;
        }

        if (!IsPeriodic)
        {
            long rise = _start + _count + (Mode is 0 or 1 ? 0 : 1);
            return rise > after ? rise : Never;
        }

        if (_registerSince != Never)
        {
            long time = GetLoadTime();
            int next = LoadableRegister;
            return IsHalfPeriod(time) ? time + next - HighTicks(next) : time == _start ? time + next : time;
        }

        return after < _start ? _start + _count : after - ((after - _start) % _count) + _count;
    }

    private void SetCount(int value, long now)
    {
        _register = value == 0 ? Modulus : IsBcd ? FromBcd(value) : value;
        _registerSince = now;
        if (!IsTriggered && !(IsPeriodic && _start != Never))
        {
            Load(now + 1);
            _stoppedAfter = _gate ? Never : 0;
        }
    }

    private void Load(long time)
    {
        _count = LoadableRegister;
        _start = time;
        _registerSince = _stoppedAfter = Never;
    }

    private int LoadableRegister => IsPeriodic ? Math.Max(_register, 2) : _register;

    private long GetElapsed(long now) => _stoppedAfter != Never ? _stoppedAfter : now - _start;

    /// <summary>When the register is loaded in modes 2 and 3: at the end of the period or half period in which it was written.</summary>
    private long GetLoadTime()
    {
        if (_registerSince < _start)
        {
            return _start;
        }

        long phase = (_registerSince - _start) % _count;
        bool isHigh = Mode == 3 && phase < HighTicks(_count);
        return _registerSince - phase + (isHigh ? HighTicks(_count) : _count);
    }

    private bool IsHalfPeriod(long time) => Mode == 3 && (time - _start) % _count != 0;

    // An odd count is high for one tick more than low (data sheet, "Mode 3").
    private static int HighTicks(int count) => (count + 1) / 2;

    private int GetCount(long now)
    {
        if (_start == Never)
        {
            return 0;
        }

        long elapsed = Math.Max(0, GetElapsed(now));
        long value = Mode switch
        {
            2 => _count - (elapsed % _count),
            3 => GetSquareWaveCount((int)(elapsed % _count)),
            _ => (_count - elapsed) % Modulus,
        };
        value = value < 0 ? value + Modulus : value % Modulus;
        return IsBcd ? ToBcd((int)value) : (int)value;
    }

    // Down by two, twice a period.
    private int GetSquareWaveCount(int phase)
    {
        int high = HighTicks(_count);
        return (_count & ~1) - (2 * (phase < high ? phase : phase - high));
    }

    // Digits above 9 are not counts; they count as 9.
    private static int FromBcd(int value)
    {
        int result = 0;
        for (int shift = 12; shift >= 0; shift -= 4)
        {
            result = (result * 10) + Math.Min((value >> shift) & 0xF, 9);
        }

        return result;
    }

    private static int ToBcd(int value) =>
        (value / 1000 % 10 << 12) | (value / 100 % 10 << 8) | (value / 10 % 10 << 4) | (value % 10);
}
