using Uml.Devices.Interrupts;
using Uml.Devices.Tests.Fakes;
using Uml.Devices.Timers;

namespace Uml.Devices.Tests.Timers;

/// <summary>The timer on the board: ports, interrupt 0, and what it asks of the host.</summary>
internal sealed class Pit8254Tests
{
    private const ushort Counter0 = 0x40, Counter2 = 0x42, Control = 0x43, SystemControl = 0x61;
    private const ushort Master = 0x20;
    private const ulong Millisecond = 1_000_000;

    private readonly FakeMachine _machine = new();
    private readonly IoApic _ioApic;

    public Pit8254Tests()
    {
        var bus = new ApicBus();
        _ioApic = new IoApic(bus);
        var apics = new LocalApics(bus);
        var pics = new PicPair(apics);
        var timer = new Pit8254(_ioApic, pics, new InterruptWires(bus, _ioApic, pics));
        _machine.Plug(apics, _ioApic, pics, timer, new SystemControlPort(timer));
    }

    [Test]
    public void Nobody_is_woken_before_somebody_listens()
    {
        Assert.That(_machine.Time.NextDeadline, Is.Null);
        Start(mode: 2, count: 1193);
        Assert.That(_machine.Time.NextDeadline, Is.Null, "the 8259 and the I/O APIC mask the interrupt");
    }

    [Test]
    public void Firmware_leaves_18_interrupts_a_second()
    {
        Assert.That(CountInterrupts(100_000 * Millisecond), Is.InRange(1820, 1821));
    }

    [TestCase(2)]
    [TestCase(3)]
    public void A_periodic_mode_interrupts_at_its_rate(int mode)
    {
        Start(mode, count: 11932);
        Assert.That(CountInterrupts(10_000 * Millisecond), Is.InRange(999, 1000));
    }

    [Test]
    public void The_clock_runs_at_1193182_hertz()
    {
        Start(mode: 2, count: 0);
        _machine.Time.Advance(50 * Millisecond);
        _machine.Out(Control, 0x00);
        int count = _machine.In(Counter0) | (_machine.In(Counter0) << 8);
        Assert.That(0x1_0000 - count, Is.EqualTo(1_193_182 / 20).Within(1));
    }

    [TestCase(0, 1193, 1_000_682UL)]
    [TestCase(4, 1193, 1_001_520UL)]
    public void A_mode_for_one_shot_interrupts_once(int mode, int count, ulong nanoseconds)
    {
        Listen();
        Start(mode, count);
        Assert.That(_machine.Time.NextDeadline, Is.EqualTo(nanoseconds).Within(1000UL));
        _machine.Time.Advance(nanoseconds + 1000);
        Assert.That(TakeInterrupt(), Is.True);
        _machine.Time.Advance(1000 * Millisecond);
        Assert.That(TakeInterrupt(), Is.False);
        Assert.That(_machine.Time.NextDeadline, Is.Null, "and asks for nothing any more");
    }

    [Test]
    public void An_interrupt_that_is_not_taken_needs_no_timer()
    {
        Listen();
        Start(mode: 2, count: 1193);
        _machine.Time.Advance(2 * Millisecond);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.True);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
        _machine.Time.Skip(100 * Millisecond);
        Assert.That(TakeInterrupt(), Is.True);
        Assert.That(TakeInterrupt(), Is.False, "what rose meanwhile is one interrupt");
        Assert.That(_machine.Time.NextDeadline, Is.InRange(_machine.Time.Nanoseconds, _machine.Time.Nanoseconds + Millisecond));
    }

    [Test]
    public void A_mask_stops_the_timer_and_keeps_one_interrupt()
    {
        Listen();
        Start(mode: 2, count: 1193);
        _machine.Out(Master + 1, 0xFF);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
        _machine.Time.Skip(100 * Millisecond);
        _machine.Out(Master, 0x0A);
        Assert.That(_machine.In(Master) & 1, Is.EqualTo(1), "whoever looks sees it");
        _machine.Out(Master + 1, 0xFE);
        Assert.That(TakeInterrupt(), Is.True);
        Assert.That(TakeInterrupt(), Is.False);
    }

    [Test]
    public void A_mask_keeps_nothing_when_nothing_rose()
    {
        Listen();
        Start(mode: 2, count: 1193);
        _machine.Out(Master + 1, 0xFF);
        _machine.Time.Skip(Millisecond / 2);
        _machine.Out(Master + 1, 0xFE);
        Assert.That(TakeInterrupt(), Is.False);
    }

    [Test]
    public void It_is_input_0_of_the_io_apic_where_edges_behind_the_mask_are_lost()
    {
        Start(mode: 2, count: 1193);
        _machine.Time.Skip(10 * Millisecond);
        _machine.Write32(0xFEC0_0000, 0x10);
        _machine.Write32(0xFEC0_0010, 0x71);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        Assert.That(_machine.Time.NextDeadline, Is.Not.Null);
        _machine.Time.Advance(Millisecond + 10_000);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x71));
        _machine.Write32(0xFEC0_0010, 0x1_0071);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
    }

    [TestCase(2, 1)]
    [TestCase(2, 2)]
    [TestCase(3, 1)]
    [TestCase(3, 7)]
    public void A_rate_that_is_too_high_is_limited(int mode, int count)
    {
        Start(mode, count);
        Assert.That(CountInterrupts(100 * Millisecond), Is.InRange(4900, 5001), "one in 20 microseconds");
    }

    [Test]
    public void A_busy_guest_gets_one_interrupt_for_all_that_it_missed()
    {
        Listen();
        Start(mode: 2, count: 1193);
        _machine.Time.Skip(1000 * Millisecond);
        _machine.Time.Advance(1);
        Assert.That(TakeInterrupt(), Is.True);
        _machine.Time.Advance(1);
        Assert.That(TakeInterrupt(), Is.False);
    }

    [Test]
    public void Writing_at_any_rate_does_not_add_interrupts()
    {
        Listen();
        for (int i = 0; i < 1000; i++)
        {
            Start(mode: 2, count: 2);
            _machine.Time.Advance(100);
        }

        int taken = 0;
        while (TakeInterrupt())
        {
            taken++;
        }

        Assert.That(taken, Is.LessThanOrEqualTo(1));
    }

    [Test]
    public void A_control_word_for_mode_0_takes_a_request_away()
    {
        Listen();
        Start(mode: 2, count: 1193);
        _machine.Time.Advance(2 * Millisecond);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.True);
        _machine.Out(Control, 0x30);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void A_control_word_that_raises_the_output_interrupts()
    {
        _machine.Out(Control, 0x30);
        Listen();
        Assert.That(TakeInterrupt(), Is.False);
        _machine.Out(Control, 0x34);
        Assert.That(TakeInterrupt(), Is.True);
    }

    [Test]
    public void Counter_2_follows_its_gate_and_shows_its_output()
    {
        _machine.Out(SystemControl, 0);
        _machine.Out(Control, 0xB0);
        _machine.Out(Counter2, 0xA9);
        _machine.Out(Counter2, 0x04);
        _machine.Time.Advance(10 * Millisecond);
        Assert.That(_machine.In(SystemControl) & 0x20, Is.Zero, "the gate is low");
        _machine.Out(SystemControl, 1);
        _machine.Time.Advance(Millisecond - 10_000);
        Assert.That(_machine.In(SystemControl) & 0x20, Is.Zero);
        _machine.Time.Advance(20_000);
        Assert.That(_machine.In(SystemControl) & 0x20, Is.EqualTo(0x20));
        Assert.That(_machine.Time.NextDeadline, Is.Null, "a counter without an interrupt needs no timer");
    }

    [Test]
    public void The_system_control_port_keeps_its_lower_bits_and_shows_no_memory_error()
    {
        _machine.Out(SystemControl, 0xFF);
        Assert.That(_machine.In(SystemControl) & 0xCF, Is.EqualTo(0x0F));
        _machine.Out(SystemControl, 0x02);
        Assert.That(_machine.In(SystemControl) & 0xCF, Is.EqualTo(0x02));
    }

    [Test]
    public void The_refresh_bit_toggles_every_15_microseconds()
    {
        int toggles = 0;
        int last = _machine.In(SystemControl) & 0x10;
        for (int i = 0; i < 1000; i++)
        {
            _machine.Time.Advance(1000);
            int bit = _machine.In(SystemControl) & 0x10;
            toggles += bit != last ? 1 : 0;
            last = bit;
        }

        Assert.That(toggles, Is.EqualTo(66).Within(1));
    }

    [Test]
    public void A_latch_command_names_its_counter()
    {
        Start(mode: 2, count: 0x1000);
        _machine.Time.Advance(1000);
        _machine.Out(Control, 0x00);
        _machine.Time.Advance(Millisecond);
        Assert.That(_machine.In(Counter0) | (_machine.In(Counter0) << 8), Is.EqualTo(0x1000));
    }

    [Test]
    public void A_read_back_command_latches_several_counters()
    {
        Start(mode: 2, count: 0x1000);
        _machine.Out(Control, 0xB4);
        _machine.Out(SystemControl, 1);
        _machine.Out(Counter2, 0x00);
        _machine.Out(Counter2, 0x20);
        _machine.Time.Advance(1000);
        _machine.Out(Control, 0xC0 | 0x0A);
        _machine.Time.Advance(Millisecond);
        Assert.That(_machine.In(Counter0), Is.EqualTo(0xB4), "the status: output high, both bytes, mode 2");
        Assert.That(_machine.In(Counter0) | (_machine.In(Counter0) << 8), Is.EqualTo(0x1000));
        Assert.That(_machine.In(Counter2), Is.EqualTo(0xB4));
        Assert.That(_machine.In(Counter2) | (_machine.In(Counter2) << 8), Is.EqualTo(0x2000));
    }

    [TestCase(0xD2, true, false, TestName = "A_read_back_command_can_latch_the_count_alone")]
    [TestCase(0xE2, false, true, TestName = "A_read_back_command_can_latch_the_status_alone")]
    [TestCase(0xF2, false, false, TestName = "A_read_back_command_can_latch_nothing")]
    [TestCase(0xCC, false, false, TestName = "A_read_back_command_leaves_other_counters_alone")]
    public void Read_back(int command, bool count, bool status)
    {
        Start(mode: 2, count: 0x1000);
        _machine.Time.Advance(1000);
        _machine.Out(Control, (byte)command);
        _machine.Time.Advance(Millisecond);
        if (status)
        {
            Assert.That(_machine.In(Counter0), Is.EqualTo(0xB4));
        }

        int value = _machine.In(Counter0) | (_machine.In(Counter0) << 8);
        Assert.That(value, count ? Is.EqualTo(0x1000) : Is.EqualTo(0x1000 - 1193).Within(2));
    }

    [Test]
    public void The_control_port_cannot_be_read()
    {
        Assert.That(_machine.In(Control), Is.EqualTo(0xFF));
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, Counter0, 4) >> 24, Is.EqualTo(0xFF));
    }

    [Test]
    public void It_counts_right_after_a_century()
    {
        _machine.Time.Skip(100UL * 365 * 86400 * 1000 * Millisecond);
        Listen();
        Start(mode: 0, count: 1193);
        _machine.Time.Advance(2 * Millisecond);
        Assert.That(TakeInterrupt(), Is.True);
    }

    private void Listen()
    {
        foreach (byte word in (byte[])[0x30, 0x04, 0x01, 0xFE])
        {
            if (word == 0x30)
            {
                _machine.Out(Master, 0x11);
            }

            _machine.Out(Master + 1, word);
        }
    }

    private void Start(int mode, int count)
    {
        _machine.Out(Control, (byte)(0x30 | (mode << 1)));
        _machine.Out(Counter0, (byte)count);
        _machine.Out(Counter0, (byte)(count >> 8));
    }

    private bool TakeInterrupt()
    {
        int vector = _machine.Cpu.Acknowledge();
        Assert.That(vector, Is.EqualTo(0x30).Or.EqualTo(-1));
        _machine.Out(Master, 0x20);
        return vector >= 0;
    }

    /// <summary>Takes every interrupt at once.</summary>
    private int CountInterrupts(ulong nanoseconds)
    {
        Listen();
        int count = 0;
        ulong end = _machine.Time.Nanoseconds + nanoseconds;
        while (_machine.Time.NextDeadline is { } deadline && deadline <= end)
        {
            _machine.Time.Advance(Math.Max(deadline, _machine.Time.Nanoseconds) - _machine.Time.Nanoseconds);
            count += TakeInterrupt() ? 1 : 0;
        }

        return count;
    }
}
