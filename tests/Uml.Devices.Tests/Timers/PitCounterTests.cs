using Uml.Devices.Timers;

namespace Uml.Devices.Tests.Timers;

/// <summary>One counter, by the sections of Intel's data sheet. A count is loaded one tick after it is written.</summary>
internal sealed class PitCounterTests
{
    private const int Low = 0x10, High = 0x20, Both = 0x30;

    private PitCounter _counter = new(gate: true);
    private long _now;

    [SetUp]
    public void Start()
    {
        _counter = new PitCounter(gate: true);
        _now = 0;
    }

    [TestCase(0, false)]
    [TestCase(1, true)]
    [TestCase(2, true)]
    [TestCase(3, true)]
    [TestCase(4, true)]
    [TestCase(5, true)]
    [TestCase(6, true)]
    [TestCase(7, true)]
    public void A_control_word_sets_the_output(int mode, bool expected)
    {
        _counter.SetControl((byte)(Both | (mode << 1)));
        Assert.That(_counter.GetOutput(_now), Is.EqualTo(expected));
        Assert.That(_counter.NextRise(_now), Is.EqualTo(PitCounter.Never));
    }

    [Test]
    public void Mode_0_rises_once_when_the_count_is_over_and_counts_on()
    {
        Program(mode: 0, count: 4);
        Assert.That(Outputs(8), Is.EqualTo("_____^^^"), "N + 1 ticks after the write");
        Assert.That(Count(), Is.EqualTo(0xFFFD));
        Assert.That(_counter.NextRise(_now), Is.EqualTo(PitCounter.Never));
    }

    [Test]
    public void Mode_0_starts_anew_with_a_new_count()
    {
        Program(mode: 0, count: 4);
        Go(10);
        Write(3);
        Assert.That(Outputs(6), Is.EqualTo("____^^"));
    }

    [Test]
    public void The_first_byte_stops_mode_0()
    {
        Program(mode: 0, count: 4);
        Go(3);
        _counter.Write(0x05, _now);
        Assert.That(_counter.NextRise(_now), Is.EqualTo(PitCounter.Never));
        Go(10);
        Assert.That(_counter.GetOutput(_now), Is.False);
        _counter.Write(0x00, _now);
        Assert.That(_counter.NextRise(_now), Is.EqualTo(_now + 6));
    }

    [Test]
    public void The_gate_holds_mode_0()
    {
        Program(mode: 0, count: 4);
        Go(3);
        _counter.SetGate(false, _now);
        Go(100);
        Assert.That(Count(), Is.EqualTo(2));
        Assert.That(_counter.NextRise(_now), Is.EqualTo(PitCounter.Never));
        _counter.SetGate(true, _now);
        Assert.That(_counter.NextRise(_now), Is.EqualTo(_now + 2));
        Assert.That(Outputs(4), Is.EqualTo("__^^"));
    }

    [Test]
    public void A_count_that_is_written_while_the_gate_is_low_waits_in_mode_0()
    {
        _counter = new PitCounter(gate: false);
        Program(mode: 0, count: 4);
        Go(100);
        Assert.That(Count(), Is.EqualTo(4));
        _counter.SetGate(true, _now);
        Assert.That(Outputs(6), Is.EqualTo("____^^"));
    }

    [Test]
    public void Mode_1_is_low_for_the_count_after_each_rise_of_the_gate()
    {
        _counter = new PitCounter(gate: false);
        Program(mode: 1, count: 3);
        Assert.That(Outputs(4), Is.EqualTo("^^^^"));
        Trigger();
        Assert.That(Outputs(6), Is.EqualTo("^___^^"));
        Trigger();
        Assert.That(Outputs(3), Is.EqualTo("^__"));
        Assert.That(_counter.NextRise(_now), Is.EqualTo(_now + 1));
    }

    [Test]
    public void A_trigger_without_a_count_does_nothing()
    {
        _counter = new PitCounter(gate: false);
        _counter.SetControl(Both | (1 << 1));
        Trigger();
        Assert.That(Outputs(4), Is.EqualTo("^^^^"));
    }

    [Test]
    public void A_new_count_waits_for_the_next_trigger_in_mode_1()
    {
        _counter = new PitCounter(gate: false);
        Program(mode: 1, count: 3);
        Trigger();
        Write(5);
        Assert.That(Outputs(5), Is.EqualTo("^___^"));
        Trigger();
        Assert.That(Outputs(7), Is.EqualTo("^_____^"));
    }

    [TestCase(2)]
    [TestCase(6)]
    public void Mode_2_is_low_for_the_last_tick_of_each_period(int mode)
    {
        Program(mode, count: 3);
        Assert.That(Outputs(11), Is.EqualTo("^^^_^^_^^_^"));
        Assert.That(_counter.NextRise(0), Is.EqualTo(4));
        Assert.That(_counter.NextRise(4), Is.EqualTo(7));
        Assert.That(_counter.NextRise(6), Is.EqualTo(7));
    }

    [Test]
    public void Mode_2_counts_from_the_count_to_one()
    {
        Program(mode: 2, count: 3);
        Go(1);
        Assert.That(Counts(7), Is.EqualTo(new[] { 3, 2, 1, 3, 2, 1, 3 }));
    }

    [Test]
    public void A_new_count_waits_for_the_end_of_the_period_in_mode_2()
    {
        Program(mode: 2, count: 4);
        Go(2);
        Write(2);
        Assert.That(_counter.NextRise(_now), Is.EqualTo(5));
        Assert.That(Outputs(9), Is.EqualTo("^^_^_^_^_"));
    }

    [Test]
    public void The_last_of_several_new_counts_is_taken()
    {
        Program(mode: 2, count: 4);
        Go(2);
        Write(3);
        Write(5);
        Go(3);
        Assert.That(_counter.NextRise(_now), Is.EqualTo(10));
    }

    [Test]
    public void A_new_count_is_loaded_however_late_somebody_looks()
    {
        Program(mode: 2, count: 4);
        Go(2);
        Write(10);
        Go(5 + 1000 + 4 - 2);
        Assert.That(_now, Is.EqualTo(1009));
        Assert.That(Count(), Is.EqualTo(6));
        Assert.That(_counter.NextRise(_now), Is.EqualTo(1015));
    }

    [Test]
    public void A_low_gate_sets_the_output_in_mode_2_and_its_rise_begins_a_period()
    {
        Program(mode: 2, count: 3);
        Go(3);
        Assert.That(_counter.GetOutput(_now), Is.False);
        _counter.SetGate(false, _now);
        Assert.That(Outputs(4), Is.EqualTo("^^^^"));
        _counter.SetGate(true, _now);
        Assert.That(Outputs(5), Is.EqualTo("^^^_^"));
    }

    [TestCase(3, 4, "^^^__^^__^^")]
    [TestCase(7, 4, "^^^__^^__^^")]
    [TestCase(3, 5, "^^^^__^^^__")]
    [TestCase(3, 2, "^^_^_^_^_^_")]
    [TestCase(3, 3, "^^^_^^_^^_^")]
    public void Mode_3_is_high_for_half_of_the_period(int mode, int count, string expected)
    {
        Program(mode, count);
        Assert.That(Outputs(expected.Length), Is.EqualTo(expected));
    }

    [TestCase(6, new[] { 6, 4, 2, 6, 4, 2, 6 })]
    [TestCase(5, new[] { 4, 2, 0, 4, 2, 4, 2 })]
    public void Mode_3_counts_by_two(int count, int[] expected)
    {
        Program(mode: 3, count);
        Go(1);
        Assert.That(Counts(expected.Length), Is.EqualTo(expected));
    }

    [Test]
    public void A_new_count_waits_for_the_end_of_the_half_period_in_mode_3()
    {
        Program(mode: 3, count: 8);
        Go(2);
        Write(4);
        Assert.That(_counter.NextRise(_now), Is.EqualTo(7));
        Assert.That(Outputs(9), Is.EqualTo("^^^__^^__"));
        Start();
        Program(mode: 3, count: 8);
        Go(6);
        Write(4);
        Assert.That(_counter.NextRise(_now), Is.EqualTo(9));
        Assert.That(Outputs(8), Is.EqualTo("___^^__^"));
    }

    [TestCase(2)]
    [TestCase(3)]
    public void A_count_of_one_is_two(int mode)
    {
        Program(mode, count: 1);
        Assert.That(_counter.NextRise(10), Is.EqualTo(11));
        Assert.That(_counter.NextRise(11), Is.EqualTo(13));
    }

    [Test]
    public void Mode_4_is_low_for_one_tick_after_the_count()
    {
        Program(mode: 4, count: 3);
        Assert.That(Outputs(8), Is.EqualTo("^^^^_^^^"));
        Assert.That(_counter.NextRise(0), Is.EqualTo(5));
        Assert.That(_counter.NextRise(5), Is.EqualTo(PitCounter.Never), "once");
        Write(2);
        Assert.That(Outputs(5), Is.EqualTo("^^^_^"));
    }

    [Test]
    public void The_gate_holds_mode_4()
    {
        Program(mode: 4, count: 3);
        Go(2);
        _counter.SetGate(false, _now);
        Assert.That(Outputs(3), Is.EqualTo("^^^"));
        _counter.SetGate(true, _now);
        Assert.That(Outputs(4), Is.EqualTo("^^_^"));
    }

    [Test]
    public void Mode_5_is_low_for_one_tick_after_the_count_from_each_rise_of_the_gate()
    {
        _counter = new PitCounter(gate: false);
        Program(mode: 5, count: 2);
        Assert.That(Outputs(5), Is.EqualTo("^^^^^"));
        Trigger();
        Assert.That(Outputs(5), Is.EqualTo("^^^_^"));
        Trigger();
        Assert.That(_counter.NextRise(_now), Is.EqualTo(_now + 4));
    }

    [TestCase(Low, 0x34, 0x34)]
    [TestCase(High, 0x12, 0x1200)]
    public void One_byte_can_be_the_whole_count(int access, int value, int expected)
    {
        _counter.SetControl((byte)(access | (2 << 1)));
        _counter.Write((byte)value, 0);
        Go(1);
        Assert.That(_counter.NextRise(1), Is.EqualTo(1 + expected));
        Assert.That(_counter.Read(1), Is.EqualTo(value));
        Assert.That(_counter.Read(1), Is.EqualTo(value));
    }

    [TestCase(0, 0x1_0000)]
    [TestCase(1, 10_000)]
    public void A_count_of_zero_is_the_largest(int bcd, int expected)
    {
        _counter.SetControl((byte)(Both | (2 << 1) | bcd));
        Write(0);
        Go(1);
        Assert.That(_counter.NextRise(1), Is.EqualTo(1 + expected));
        Assert.That(Count(), Is.Zero);
    }

    [Test]
    public void Decimal_counts_are_written_and_read_in_decimal()
    {
        _counter.SetControl(Both | (2 << 1) | 1);
        Write(0x1234);
        Go(1);
        Assert.That(_counter.NextRise(1), Is.EqualTo(1235));
        Go(35);
        Assert.That(Count(), Is.EqualTo(0x1199));
    }

    [Test]
    public void Decimal_mode_0_goes_on_at_9999()
    {
        _counter.SetControl(Both | 1);
        Write(2);
        Go(4);
        Assert.That(Count(), Is.EqualTo(0x9999));
    }

    [Test]
    public void Digits_above_nine_are_nine()
    {
        _counter.SetControl(Both | (2 << 1) | 1);
        Write(0xFFFF);
        Go(1);
        Assert.That(_counter.NextRise(1), Is.EqualTo(10_000));
    }

    [Test]
    public void A_latched_count_stays_until_both_bytes_are_read()
    {
        Program(mode: 2, count: 0x1000);
        Go(1);
        _counter.LatchCount(_now);
        Go(0x123);
        _counter.LatchCount(_now);
        Assert.That(_counter.Read(_now), Is.Zero);
        Go(1);
        Assert.That(_counter.Read(_now), Is.EqualTo(0x10));
        Assert.That(Count(), Is.EqualTo(0x1000 - 0x124), "then the count again");
    }

    [Test]
    public void A_latched_count_of_one_byte_takes_one_read()
    {
        _counter.SetControl(Low | (2 << 1));
        _counter.Write(100, 0);
        Go(1);
        _counter.LatchCount(_now);
        Go(10);
        Assert.That(_counter.Read(_now), Is.EqualTo(100));
        Assert.That(_counter.Read(_now), Is.EqualTo(90));
    }

    [Test]
    public void A_control_word_forgets_what_is_latched_and_half_written()
    {
        Program(mode: 2, count: 0x1234);
        Go(1);
        _counter.LatchCount(_now);
        _counter.LatchStatus(_now);
        _counter.Write(0x55, _now);
        Program(mode: 2, count: 0x20);
        Go(1);
        Assert.That(Count(), Is.EqualTo(0x20));
    }

    [Test]
    public void The_latched_status_comes_before_the_latched_count()
    {
        Program(mode: 3, count: 0x1234);
        Go(1);
        _counter.LatchCount(_now);
        _counter.LatchStatus(_now);
        Go(0x1000);
        Assert.That(_counter.Read(_now), Is.EqualTo(0x80 | Both | (3 << 1)));
        Assert.That(_counter.Read(_now), Is.EqualTo(0x34));
        Assert.That(_counter.Read(_now), Is.EqualTo(0x12));
    }

    [Test]
    public void The_status_shows_the_output_at_its_time_and_stays()
    {
        Program(mode: 0, count: 4);
        Go(3);
        _counter.LatchStatus(_now);
        Go(10);
        _counter.LatchStatus(_now);
        Assert.That(_counter.Read(_now), Is.EqualTo(Both));
        _counter.LatchStatus(_now);
        Assert.That(_counter.Read(_now), Is.EqualTo(0x80 | Both));
    }

    [Test]
    public void The_status_tells_whether_the_count_is_loaded()
    {
        _counter.SetControl(Both | (2 << 1));
        Assert.That(IsNull(), Is.True, "none is written");
        Write(4);
        Assert.That(IsNull(), Is.True, "a tick is missing");
        Go(1);
        Assert.That(IsNull(), Is.False);
        Write(6);
        Assert.That(IsNull(), Is.True, "waits for the end of the period");
        Go(3);
        Assert.That(IsNull(), Is.True);
        Go(1);
        Assert.That(IsNull(), Is.False);
    }

    [Test]
    public void The_status_shows_the_mode_as_it_was_written()
    {
        _counter.SetControl(High | (7 << 1) | 1);
        _counter.LatchStatus(0);
        Assert.That(_counter.Read(0), Is.EqualTo(0x80 | 0x40 | High | (7 << 1) | 1));
    }

    [Test]
    public void What_NextRise_says_is_what_the_output_does()
    {
        var random = new Random(8254);
        for (int i = 0; i < 2000; i++)
        {
            Start();
            Program(random.Next(8), 1 + random.Next(12));
            Go(random.Next(20));
            if (random.Next(2) == 0)
            {
                Write(1 + random.Next(12));
            }

            long expected = _counter.NextRise(_now);
            long end = _now + 40;
            bool was = _counter.GetOutput(_now);
            long rise = PitCounter.Never;
            while (_now < end && rise == PitCounter.Never)
            {
                Go(1);
                bool output = _counter.GetOutput(_now);
                rise = output && !was ? _now : rise;
                was = output;
            }

            Assert.That(rise, Is.EqualTo(expected), $"case {i}");
        }
    }

    private void Program(int mode, int count)
    {
        _counter.SetControl((byte)(Both | (mode << 1)));
        Write(count);
    }

    private void Write(int count)
    {
        _counter.Write((byte)count, _now);
        _counter.Write((byte)(count >> 8), _now);
    }

    private void Go(long ticks)
    {
        _now += ticks;
        _counter.Settle(_now);
    }

    private void Trigger()
    {
        _counter.SetGate(false, _now);
        _counter.SetGate(true, _now);
    }

    private int Count() => _counter.Read(_now) | (_counter.Read(_now) << 8);

    private bool IsNull()
    {
        _counter.LatchStatus(_now);
        return (_counter.Read(_now) & 0x40) != 0;
    }

    /// <summary>The output now and at the ticks that follow.</summary>
    private string Outputs(int ticks) => string.Concat(Sample(ticks, () => _counter.GetOutput(_now) ? '^' : '_'));

    private int[] Counts(int ticks) => Sample(ticks, Count);

    private T[] Sample<T>(int ticks, Func<T> read)
    {
        var samples = new T[ticks];
        for (int i = 0; i < ticks; i++)
        {
            samples[i] = read();
            Go(1);
        }

        return samples;
    }
}
