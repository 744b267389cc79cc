using Uml.Devices.Tests.Fakes;
using Uml.Devices.Timers;

namespace Uml.Devices.Tests.Timers;

internal sealed class RealTimeClockTests
{
    private const ulong Second = 1_000_000_000;
    private const byte RegisterA = 10;
    private const byte RegisterB = 11;

    private readonly FakeMachine _machine = new();

    [SetUp]
    public void Attach() => new RealTimeClock().Attach(_machine);

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
        _machine.RealBus.WritePort(0x70, 2, 0x5A40);
        Assert.That(_machine.RealBus.ReadPort(0x70, 2), Is.EqualTo(0x5AFF));
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
