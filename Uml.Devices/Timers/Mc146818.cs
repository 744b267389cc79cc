using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Platform;
using Uml.Devices.Acpi;

namespace Uml.Devices.Timers;

/// <summary>
/// The clock and the battery-backed memory of a PC (Motorola MC146818A datasheet) behind an index and a data port. It shows guest
/// time in UTC. The guest can set it; the setting and the memory last as long as the machine, resets included.
/// </summary>
internal sealed partial class Mc146818(IInterruptRouter router) : IMachineDevice, IBusDevice, IAcpiContributor
{
    private const int RegisterCount = 128;

    private const int Seconds = 0;
    private const int Minutes = 2;
    private const int Hours = 4;
    private const int Weekday = 6;
    private const int Day = 7;
    private const int Month = 8;
    private const int Year = 9;
    private const int RegisterA = 10;
    private const int RegisterB = 11;
    private const int RegisterC = 12;
    private const int RegisterD = 13;

    // The customary register of the century, which the fixed ACPI description table names.
    internal const int Century = 0x32;

    private const ulong NanosecondsPerTick = 100;

    private const byte UpdateInProgress = 0x80;
    private const byte TimeBase32768Hertz = 0x26;
    private const byte TimeBaseMask = 0x70;
    private const byte SetMode = 0x80;
    private const byte BinaryMode = 0x04;
    private const byte Mode24Hours = 0x02;
    private const byte IsAfternoon = 0x80;
    private const byte ValidRamAndTime = 0x80;

    private readonly byte[] _registers = new byte[RegisterCount];
    private IMachineClock? _clock;

    /// <summary>The offset by which the guest has set the clock, in units of 100 nanoseconds.</summary>
    private long _adjustment;

    private int _index;

    /// <inheritdoc/>
    public string Id => "rtc";

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        _clock = machine.Clock;
        _timer = machine.Clock.CreateTimer("rtc", Expire);
        _line = machine.Own(router.GetLine("rtc", Interrupt));
        machine.Bus.MapPorts(PortMap.RealTimeClock, 2, this);
    }

    /// <inheritdoc/>
    public void Detach() => (_clock, _timer, _line) = (null, null, null);

    /// <summary>
    /// Interrupts are off and the clock runs, as firmware leaves it. Time and memory have a battery (MC146818A datasheet, "RESET": the pin
    /// touches neither).
    /// </summary>
    public void Reset()
    {
        if (IsStopped)
        {
            StartTime();
        }

        _registers[RegisterA] = TimeBase32768Hertz;
        _registers[RegisterB] = Mode24Hours;
        _index = 0;
        _flags = 0;
        _collected = _clock!.Nanoseconds;
        UpdateInterrupt();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(_registers);
        state.Write(_adjustment);
        state.Write((byte)_index);
        state.Write(_flags);
        state.Write(_collected);
        state.Write(_timer);
        state.Write(_line);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        state.ReadBytes(_registers);
        _adjustment = state.ReadInt64();
        _index = state.ReadByte(maximum: RegisterCount - 1);
        _flags = state.ReadByte();
        _collected = state.ReadUInt64();
        state.Restore(_timer);
        state.Restore(_line);
    }

    /// <inheritdoc/>
    public void Describe(AmlWriter scope) => scope.Device("RTC", device =>
    {
        device.NameEisaId("_HID", "PNP0B00");
        device.NameResources("_CRS", new ResourceTemplate().Io(PortMap.RealTimeClock, 2).Irq(Interrupt));
    });

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size)
    {
        // The index port cannot be read back. A word takes both ports.
        const ulong Index = 0xFF;
        ulong data = offset + (ulong)size > 1 ? ReadRegister() : 0UL;
        return offset != 0 ? data : Index | (data << 8);
    }

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        if (offset == 0)
        {
            // Bit 7 masks NMI on real boards.
            _index = (int)(value & (RegisterCount - 1));
            if (size == 1)
            {
                return;
            }

            value >>= 8;
        }

        WriteRegister((byte)value);
    }

    private bool IsStopped => (_registers[RegisterB] & SetMode) != 0;

    private DateTime Now => GetTime(_clock!.Nanoseconds);

    private DateTime GetTime(ulong nanoseconds) =>
        new(Math.Clamp(GetTicks(nanoseconds), DateTime.MinValue.Ticks, DateTime.MaxValue.Ticks), DateTimeKind.Utc);

    // This continues beyond the end of the calendar, at which the clock stops.
    private long GetTicks(ulong nanoseconds) => _clock!.StartTime.UtcTicks + (long)(nanoseconds / NanosecondsPerTick) + _adjustment;

    // Announced 244 microseconds before the second changes (MC146818A datasheet, update cycle).
    private bool IsUpdating => !IsStopped && Now.Ticks % TimeSpan.TicksPerSecond >= TimeSpan.TicksPerSecond - 2440;

    private byte ReadRegister()
    {
        switch (_index)
        {
            case Seconds or Minutes or Hours or Weekday or Day or Month or Year or Century when !IsStopped:
                return ReadTime(_index, Now);
            case RegisterA:
                return (byte)(_registers[RegisterA] | (IsUpdating ? UpdateInProgress : 0));
            case RegisterC:
                return ReadFlags();
            case RegisterD:
                return ValidRamAndTime;
            default:
                return _registers[_index];
        }
    }

    private byte ReadTime(int register, DateTime time) => register switch
    {
        Seconds => Encode(time.Second),
        Minutes => Encode(time.Minute),
        Hours => EncodeHour(time.Hour),
        Weekday => Encode((int)time.DayOfWeek + 1),
        Day => Encode(time.Day),
        Month => Encode(time.Month),
        Year => Encode(time.Year % 100),
        _ => Encode(time.Year / 100),
    };

    private void WriteRegister(byte value)
    {
        Collect();
        switch (_index)
        {
            case Seconds or Minutes or Hours or Weekday or Day or Month or Year or Century when !IsStopped:
                StopTime();
                _registers[_index] = value;
                StartTime();
                break;
            case RegisterA:
                _registers[RegisterA] = (byte)(value & ~UpdateInProgress);
                break;
            case RegisterB:
                WriteControl(value);
                break;
            case RegisterC or RegisterD:
                break;
            default:
                _registers[_index] = value;
                break;
        }

        UpdateInterrupt();
    }

    private void WriteControl(byte value)
    {
        bool wasStopped = IsStopped;

        // Without updates there is no end of one: SET clears its enable bit (MC146818A datasheet, register B).
        _registers[RegisterB] = (byte)((value & SetMode) != 0 ? value & ~UpdateEnded : value);
        if (IsStopped && !wasStopped)
        {
            StopTime();
        }
        else if (!IsStopped && wasStopped)
        {
            StartTime();
        }
    }

    // While the guest sets the time, the registers hold what it writes, in any order and for a while no date at all.
    private void StopTime()
    {
        var now = Now;
        foreach (byte register in TimeRegisters)
        {
            _registers[register] = ReadTime(register, now);
        }
    }

    // Fields that make no date are brought to the nearest one; the weekday follows from the date.
    private void StartTime()
    {
        int year = Math.Max((Math.Min(Decode(_registers[Century]), 99) * 100) + Math.Min(Decode(_registers[Year]), 99), 1);
        int month = Math.Clamp(Decode(_registers[Month]), 1, 12);
        int day = Math.Clamp(Decode(_registers[Day]), 1, DateTime.DaysInMonth(year, month));
        int hour = Math.Min(DecodeHour(_registers[Hours]), 23);
        int minute = Math.Min(Decode(_registers[Minutes]), 59);
        int second = Math.Min(Decode(_registers[Seconds]), 59);
        long now = GetTicks(_clock!.Nanoseconds);
        long time = new DateTime(year, month, day, hour, minute, second, DateTimeKind.Utc).Ticks;
        _adjustment += time + (now % TimeSpan.TicksPerSecond) - now;
    }

    private static ReadOnlySpan<byte> TimeRegisters => [Seconds, Minutes, Hours, Weekday, Day, Month, Year, Century];

    private byte Encode(int value) => (byte)((_registers[RegisterB] & BinaryMode) != 0 ? value : (value / 10 * 16) + (value % 10));

    private int Decode(byte value) => (_registers[RegisterB] & BinaryMode) != 0 ? value : (value / 16 * 10) + (value % 16);

    private byte EncodeHour(int hour)
    {
        if ((_registers[RegisterB] & Mode24Hours) != 0)
        {
            return Encode(hour);
        }

        int hour12 = hour % 12 == 0 ? 12 : hour % 12;
        return (byte)(Encode(hour12) | (hour >= 12 ? IsAfternoon : 0));
    }

    private int DecodeHour(byte value)
    {
        if ((_registers[RegisterB] & Mode24Hours) != 0)
        {
            return Decode(value);
        }

        int hour12 = Decode((byte)(value & ~IsAfternoon)) % 12;
        return hour12 + ((value & IsAfternoon) != 0 ? 12 : 0);
    }
}
