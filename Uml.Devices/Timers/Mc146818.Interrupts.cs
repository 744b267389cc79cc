using Uml.Core.Bus;

namespace Uml.Devices.Timers;

/// <content> Interrupt 8: at the end of an update, at the alarm's time, or periodically. Flags are computed when they are read; a timer of
/// the machine is armed only for an interrupt that is enabled and not asserted already. </content>
internal sealed partial class Mc146818
{
    private const int Interrupt = 8;
    private const ulong Never = ulong.MaxValue;

    private const int SecondsAlarm = 1;
    private const int MinutesAlarm = 3;
    private const int HoursAlarm = 5;

    // Flags of register C; register B enables them in the same places.
    private const byte UpdateEnded = 0x10;
    private const byte Alarm = 0x20;
    private const byte Periodic = 0x40;
    private const byte InterruptRequest = 0x80;

    private IMachineTimer? _timer;
    private IInterruptLine? _line;
    private byte _flags;

    /// <summary>The time up to which the flags are computed, in nanoseconds.</summary>
    private ulong _collected;

    private bool IsRequesting => (_flags & _registers[RegisterB]) != 0;

    /// <summary>Sets the flags of what happened until now.</summary>
    private void Collect()
    {
        ulong now = _clock!.Nanoseconds;
        foreach (byte flag in (ReadOnlySpan<byte>)[UpdateEnded, Alarm, Periodic])
        {
            _flags |= (_flags & flag) == 0 && Next(flag) <= now ? flag : (byte)0;
        }

        _collected = now;
    }

    /// <summary>Drives the line, and arms the timer for the next flag that interrupts.</summary>
    private void UpdateInterrupt()
    {
        _line!.Set(IsRequesting);
        ulong next = Never;
        foreach (byte flag in (ReadOnlySpan<byte>)[UpdateEnded, Alarm, Periodic])
        {
            next = (_registers[RegisterB] & flag) != 0 && !IsRequesting ? Math.Min(next, Next(flag)) : next;
        }

        if (next == Never)
        {
            _timer!.Cancel();
        }
        else
        {
            _timer!.Schedule(next);
        }
    }

    private void Expire()
    {
        Collect();
        UpdateInterrupt();
    }

    private byte ReadFlags()
    {
        Collect();
        byte value = (byte)(_flags | (IsRequesting ? InterruptRequest : 0));
        _flags = 0;
        UpdateInterrupt();
        return value;
    }

    /// <summary>When a flag is set next after <see cref="_collected"/>, in nanoseconds.</summary>
    private ulong Next(byte flag)
    {
        if (flag == Periodic)
        {
            return NextPeriod();
        }

        // There are no alarms in the last days of the calendar, at the end of which the clock stops.
        var time = GetTime(_collected);
        if (IsStopped || time > DateTime.MaxValue.AddDays(-2))
        {
            return Never;
        }

        var second = time.AddTicks(TimeSpan.TicksPerSecond - (time.Ticks % TimeSpan.TicksPerSecond));
        return (flag == UpdateEnded ? second : FindAlarm(second)) is { } next
            ? ((_collected / NanosecondsPerTick) + (ulong)(next - time).Ticks) * NanosecondsPerTick
            : Never;
    }

    // Rates 1 and 2 are those of 8 and 9 with this time base (MC146818A datasheet, table 5).
    private ulong NextPeriod()
    {
        const ulong NanosecondsPerSecond = 1_000_000_000, TimeBase = 32_768;
        int rate = _registers[RegisterA] & 0xF;
        if (rate == 0 || (_registers[RegisterA] & TimeBaseMask) != (TimeBase32768Hertz & TimeBaseMask))
        {
            return Never;
        }

        ulong ticks = 1UL << (rate <= 2 ? rate + 6 : rate - 1);
        ulong periods = (ulong)((UInt128)_collected * TimeBase / NanosecondsPerSecond) / ticks;
        return (ulong)((((UInt128)(periods + 1) * ticks * NanosecondsPerSecond) + (TimeBase - 1)) / TimeBase);
    }

    /// <summary>The first time from a full second on that the alarm's three registers match.</summary>
    private DateTime? FindAlarm(DateTime time)
    {
        // More than the hours of a day and twice the minutes and seconds.
        const int Steps = 300;
        for (int i = 0; i < Steps; i++)
        {
            if (!Matches(HoursAlarm, time.Hour))
            {
                time = time.Date.AddHours(time.Hour + 1);
            }
            else if (!Matches(MinutesAlarm, time.Minute))
            {
                time = time.AddSeconds(60 - time.Second);
            }
            else if (!Matches(SecondsAlarm, time.Second))
            {
                time = time.AddSeconds(1);
            }
            else
            {
                return time;
            }
        }

        return null;
    }

    // Both upper bits set match everything (MC146818A datasheet, "Time, calendar and alarm locations").
    private bool Matches(int register, int value)
    {
        const byte Always = 0xC0;
        byte alarm = _registers[register];
        return (alarm & Always) == Always || (register == HoursAlarm ? DecodeHour(alarm) : Decode(alarm)) == value;
    }
}
