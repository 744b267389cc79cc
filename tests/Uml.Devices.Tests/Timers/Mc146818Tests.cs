using Uml.Devices.Tests.Fakes;
using Uml.Devices.Timers;

namespace Uml.Devices.Tests.Timers;

internal sealed class Mc146818Tests
{
    private const ulong Second = 1_000_000_000;
    private const byte RegisterA = 10;
    private const byte RegisterB = 11;
    private const byte RegisterC = 12;

    private readonly FakeMachine _machine = new();
    private readonly FakeRouter _router = new();

    [SetUp]
    public void Attach() => _machine.Plug(new Mc146818(_router));

    [Test]
    public void It_starts_at_the_machines_start_time_in_decimal()
    {
        Assert.That(Read(0, 2, 4, 6, 7, 8, 9, 0x32), Is.EqualTo(new byte[] { 0x50, 0x59, 0x23, 0x04, 0x28, 0x02, 0x24, 0x20 }));
    }

    [Test]
    public void It_runs_with_guest_time_and_knows_leap_years()
    {
        _machine.Time.Advance(10 * Second);
        Assert.That(Read(0, 2, 4, 6, 7, 8, 9), Is.EqualTo(new byte[] { 0x00, 0x00, 0x00, 0x05, 0x29, 0x02, 0x24 }));
        _machine.Time.Advance(24 * 3600 * Second);
        Assert.That(Read(7, 8), Is.EqualTo(new byte[] { 0x01, 0x03 }));
    }

    [Test]
    public void It_shows_utc()
    {
        _machine.Time.StartTime = new DateTimeOffset(2024, 1, 1, 0, 30, 0, TimeSpan.FromHours(1));
        Assert.That(Read(4, 7, 8, 9), Is.EqualTo(new byte[] { 0x23, 0x31, 0x12, 0x23 }));
    }

    [Test]
    public void Binary_mode_gives_plain_numbers()
    {
        Write(RegisterB, 0x06);
        Assert.That(Read(0, 2, 4, 7, 8, 9, 0x32), Is.EqualTo(new byte[] { 50, 59, 23, 28, 2, 24, 20 }));
    }

    [TestCase(0, 0x12)]
    [TestCase(1, 0x01)]
    [TestCase(11, 0x11)]
    [TestCase(12, 0x92)]
    [TestCase(13, 0x81)]
    [TestCase(23, 0x91)]
    public void Twelve_hour_mode_marks_the_afternoon(int hour, byte expected)
    {
        _machine.Time.StartTime = new DateTimeOffset(2024, 1, 1, hour, 0, 0, TimeSpan.Zero);
        Write(RegisterB, 0x00);
        Assert.That(Read(4), Is.EqualTo(new[] { expected }));
        Write(RegisterB, 0x80);
        Write(4, expected);
        Write(RegisterB, 0x00);
        Write(RegisterB, 0x02);
        Assert.That(Read(4), Is.EqualTo(new[] { (byte)((hour / 10 * 16) + (hour % 10)) }));
    }

    [Test]
    public void The_guest_can_set_it_and_it_runs_on_from_there()
    {
        Write(RegisterB, 0x82);
        byte[] registers = [0, 2, 4, 7, 8, 9, 0x32];
        byte[] values = [0x56, 0x34, 0x12, 0x31, 0x12, 0x99, 0x19];
        _machine.Time.Advance(3 * Second);
        for (int i = 0; i < values.Length; i++)
        {
            Write(registers[i], values[i]);
        }

        Assert.That(Read(registers), Is.EqualTo(values), "stands still while set");
        Write(RegisterB, 0x02);
        Assert.That(Read(registers), Is.EqualTo(values));
        _machine.Time.Advance((((11 * 60) + 25) * 60 * Second) + (4 * Second));
        Assert.That(Read(registers), Is.EqualTo(new byte[] { 0, 0, 0, 0x01, 0x01, 0x00, 0x20 }));
    }

    [TestCase(0, 0xFF, 0x59)]
    [TestCase(2, 0x60, 0x59)]
    [TestCase(4, 0x24, 0x23)]
    [TestCase(7, 0x32, 0x29)]
    [TestCase(7, 0x00, 0x01)]
    [TestCase(8, 0x13, 0x12)]
    [TestCase(8, 0x00, 0x01)]
    [TestCase(9, 0xFF, 0x99)]
    [TestCase(0x32, 0xFF, 0x99)]
    public void Fields_that_make_no_date_become_the_nearest_one(int register, int value, int expected)
    {
        Write((byte)register, (byte)value);
        Assert.That(Read((byte)register), Is.EqualTo(new[] { (byte)expected }));
    }

    [Test]
    public void The_first_and_the_last_date_stay_in_range()
    {
        Write(0x32, 0);
        Write(9, 0);
        Assert.That(Read(9, 0x32), Is.EqualTo(new byte[] { 1, 0 }));
        Write(0x32, 0x99);
        Write(9, 0x99);
        Write(8, 0x12);
        Write(7, 0x31);
        _machine.Time.Advance(48 * 3600 * Second);
        Assert.That(Read(9, 0x32), Is.EqualTo(new byte[] { 0x99, 0x99 }));
    }

    [Test]
    public void After_a_while_at_the_last_date_it_can_be_set_as_exactly_as_ever()
    {
        byte[] registers = [0, 2, 4, 7, 8, 9, 0x32];
        Set([0x50, 0x59, 0x23, 0x31, 0x12, 0x99, 0x99]);
        _machine.Time.Advance(3600 * Second);
        byte[] values = [0x00, 0x30, 0x12, 0x01, 0x06, 0x26, 0x20];
        Set(values);
        Assert.That(Read(registers), Is.EqualTo(values));

        void Set(byte[] time)
        {
            Write(RegisterB, 0x82);
            for (int i = 0; i < time.Length; i++)
            {
                Write(registers[i], time[i]);
            }

            Write(RegisterB, 0x02);
        }
    }

    [Test]
    public void An_update_is_announced_before_the_second_changes()
    {
        Assert.That(Read(RegisterA), Is.EqualTo(new byte[] { 0x26 }));
        _machine.Time.Advance(Second - 244_000);
        Assert.That(Read(RegisterA), Is.EqualTo(new byte[] { 0xA6 }));
        _machine.Time.Advance(244_000);
        Assert.That(Read(RegisterA), Is.EqualTo(new byte[] { 0x26 }));
    }

    [Test]
    public void The_other_control_registers_are_sane()
    {
        Write(12, 0xFF);
        Write(13, 0);
        Assert.That(Read(RegisterB, 12, 13), Is.EqualTo(new byte[] { 0x02, 0x00, 0x80 }));
    }

    [Test]
    public void The_rest_is_memory()
    {
        Write(0x40, 0x5A);
        Write(1, 0x12);
        Assert.That(Read(0x40, 1, 0x7F), Is.EqualTo(new byte[] { 0x5A, 0x12, 0 }));
    }

    [Test]
    public void The_nmi_bit_of_the_index_is_ignored_and_the_index_cannot_be_read()
    {
        _machine.Out(0x70, 0x80 | 13);
        Assert.That(_machine.In(0x71), Is.EqualTo(0x80));
        Assert.That(_machine.In(0x70), Is.EqualTo(0xFF));
        _machine.RealBus.WritePort(_machine.Cpu, 0x70, 2, 0x5A40);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0x70, 2), Is.EqualTo(0x5AFF));
    }

    [Test]
    public void It_asks_for_no_timer_before_an_interrupt_is_enabled() => Assert.That(_machine.Time.NextDeadline, Is.Null);

    [Test]
    public void The_end_of_an_update_interrupts_once_until_the_flags_are_read()
    {
        _machine.Time.Advance(Second / 4);
        Write(RegisterB, 0x12);
        Assert.That(_machine.Time.NextDeadline, Is.EqualTo(Second));
        _machine.Time.Advance(3 * Second);
        Assert.That(Line.Edges, Is.EqualTo(1));
        Assert.That(_machine.Time.NextDeadline, Is.Null);
        Assert.That(Read(RegisterC)[0] & 0x90, Is.EqualTo(0x90));
        Assert.That(Line.IsAsserted, Is.False);
        Assert.That(_machine.Time.NextDeadline, Is.EqualTo(4 * Second));
        _machine.Time.Advance(Second);
        Assert.That(Line.Edges, Is.EqualTo(2));
    }

    [Test]
    public void Flags_are_set_without_an_interrupt_too()
    {
        _machine.Time.Advance(Second);
        Assert.That(Read(RegisterC, RegisterC), Is.EqualTo(new byte[] { 0x50, 0x00 }), "an update ended, a period was over");
        Assert.That(Line.Edges, Is.Zero);
    }

    [Test]
    public void Enabling_the_interrupt_of_a_flag_that_is_set_interrupts()
    {
        _machine.Time.Advance(Second);
        Write(RegisterB, 0x12);
        Assert.That(Line.IsAsserted, Is.True);
        Write(RegisterB, 0x02);
        Assert.That(Line.IsAsserted, Is.False);
    }

    // The clock starts at 23:59:50 of a Wednesday.
    [TestCase(0x55, 0x59, 0x23, 5)]
    [TestCase(0x50, 0x59, 0x23, 86400)]
    [TestCase(0x00, 0x00, 0x00, 10)]
    [TestCase(0x49, 0x59, 0x23, 86399)]
    [TestCase(0x30, 0x15, 0x08, 29740)]
    [TestCase(0xC0, 0xC0, 0xC0, 1)]
    [TestCase(0x05, 0xFF, 0xFF, 15)]
    [TestCase(0x05, 0x01, 0xC5, 75)]
    public void The_alarm_interrupts_when_all_three_registers_match(int second, int minute, int hour, int expected)
    {
        SetAlarm((byte)second, (byte)minute, (byte)hour);
        Assert.That(_machine.Time.NextDeadline, Is.EqualTo((ulong)expected * Second));
        _machine.Time.Advance(((ulong)expected * Second) - 1);
        Assert.That(Line.IsAsserted, Is.False);
        _machine.Time.Advance(1);
        Assert.That(Line.IsAsserted, Is.True);
        Assert.That(Read(RegisterC)[0] & 0xA0, Is.EqualTo(0xA0));
    }

    [TestCase(0x60, 0x00, 0x00)]
    [TestCase(0x00, 0x75, 0x00)]
    [TestCase(0x00, 0x00, 0x24)]
    public void An_alarm_at_no_time_never_comes(int second, int minute, int hour)
    {
        SetAlarm((byte)second, (byte)minute, (byte)hour);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
    }

    [Test]
    public void The_alarm_follows_the_clock_when_it_is_set()
    {
        SetAlarm(0x00, 0x30, 0x12);
        Write(RegisterB, 0xA2);
        Assert.That(_machine.Time.NextDeadline, Is.Null, "the clock stands still");
        Write(4, 0x12);
        Write(2, 0x29);
        Write(0, 0x58);
        Write(RegisterB, 0x22);
        Assert.That(_machine.Time.NextDeadline, Is.EqualTo(2 * Second));
    }

    [Test]
    public void The_alarm_knows_the_afternoon()
    {
        Write(RegisterB, 0x00);
        SetAlarm(0xC0, 0xC0, 0x92, 0x20);
        Assert.That(_machine.Time.NextDeadline, Is.EqualTo((10 + (12 * 3600)) * Second));
    }

    [TestCase(0x26, 976_563UL)]
    [TestCase(0x2F, 500_000_000UL)]
    [TestCase(0x23, 122_071UL)]
    [TestCase(0x21, 3_906_250UL)]
    [TestCase(0x22, 7_812_500UL)]
    public void The_periodic_interrupt_has_its_rate(int registerA, ulong period)
    {
        Write(RegisterA, (byte)registerA);
        Write(RegisterB, 0x42);
        Assert.That(_machine.Time.NextDeadline, Is.EqualTo(period));
        _machine.Time.Advance(period);
        Assert.That(Line.IsAsserted, Is.True);
        Assert.That(Read(RegisterC)[0], Is.EqualTo(0xC0));
        Assert.That(_machine.Time.NextDeadline, Is.EqualTo(2 * period).Within(1UL));
    }

    [TestCase(0x20)]
    [TestCase(0x76)]
    [TestCase(0x06)]
    public void Without_a_rate_or_a_time_base_there_are_no_periods(int registerA)
    {
        Write(RegisterA, (byte)registerA);
        Write(RegisterB, 0x42);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
    }

    [Test]
    public void Setting_the_clock_disables_the_interrupt_of_updates()
    {
        Write(RegisterB, 0x92);
        Assert.That(Read(RegisterB), Is.EqualTo(new byte[] { 0x82 }));
        Assert.That(_machine.Time.NextDeadline, Is.Null);
    }

    [Test]
    public void At_the_end_of_the_calendar_nothing_interrupts_any_more()
    {
        Write(0x32, 0x99);
        Write(9, 0x99);
        Write(8, 0x12);
        Write(7, 0x31);
        SetAlarm(0xC0, 0xC0, 0xC0, 0x32);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
    }

    [Test]
    public void A_reset_touches_neither_time_nor_memory_and_ends_interrupts()
    {
        Write(RegisterB, 0x86);
        Write(9, 30);
        Write(0x40, 0x55);
        Write(1, 7);
        Write(RegisterB, 0x76);
        Write(RegisterA, 0x2F);
        _machine.Time.Advance(2 * Second);
        Assert.That(Line.IsAsserted, Is.True);
        _machine.Devices[0].Reset();
        Assert.That((Line.IsAsserted, _machine.Time.NextDeadline), Is.EqualTo((false, (ulong?)null)));
        Assert.That(Read(0x40, 1, 9, RegisterA, RegisterB, RegisterC), Is.EqualTo(new byte[] { 0x55, 7, 0x30, 0x26, 0x02, 0 }));
    }

    [Test]
    public void A_clock_that_was_stopped_runs_after_a_reset()
    {
        Write(RegisterB, 0x82);
        Write(9, 0x31);
        _machine.Devices[0].Reset();
        _machine.Time.Advance(Second);
        Assert.That(Read(0, 9), Is.EqualTo(new byte[] { 0x51, 0x31 }));
    }

    private FakeRouter.FakeLine Line => _router.Lines[8];

    private void SetAlarm(byte second, byte minute, byte hour, byte registerB = 0x22)
    {
        Write(1, second);
        Write(3, minute);
        Write(5, hour);
        Write(RegisterB, registerB);
    }

    private byte[] Read(params byte[] registers) => Array.ConvertAll(registers, register =>
    {
        _machine.Out(0x70, register);
        return _machine.In(0x71);
    });

    private void Write(byte register, byte value)
    {
        _machine.Out(0x70, register);
        _machine.Out(0x71, value);
    }
}
