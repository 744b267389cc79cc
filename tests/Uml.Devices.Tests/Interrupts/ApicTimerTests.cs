using System.Buffers;
using Uml.Core.Snapshots;
using Uml.Devices.Interrupts;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Interrupts;

internal sealed class ApicTimerTests
{
    private const uint Eoi = 0x80B;
    private const uint Lvt = 0x832;
    private const uint InitialCount = 0x838;
    private const uint CurrentCount = 0x839;
    private const uint Divide = 0x83E;
    private const uint TscDeadline = 0x6E0;

    private const ulong Vector = 0xEC;
    private const ulong Masked = 1 << 16;
    private const ulong Periodic = 1 << 17;
    private const ulong Deadline = 2 << 17;

    private readonly FakeMachine _machine = new();

    [SetUp]
    public void Attach()
    {
        _machine.Plug(new LocalApics(new ApicBus()));
        _machine.WriteMsr(0x1B, 0xFEE0_0D00);
        _machine.WriteMsr(0x80F, 0x1FF);
    }

    [TestCase(0b0000, 2)]
    [TestCase(0b0001, 4)]
    [TestCase(0b0010, 8)]
    [TestCase(0b0011, 16)]
    [TestCase(0b1000, 32)]
    [TestCase(0b1001, 64)]
    [TestCase(0b1010, 128)]
    [TestCase(0b1011, 1)]
    public void A_one_shot_fires_once_after_its_count(int divide, int divisor)
    {
        _machine.WriteMsr(Divide, (ulong)divide);
        _machine.WriteMsr(Lvt, Vector);
        _machine.WriteMsr(InitialCount, 1000);
        _machine.Time.Advance((ulong)(400 * divisor));
        Assert.That(_machine.ReadMsr(CurrentCount), Is.EqualTo(600));
        _machine.Time.Advance((ulong)(600 * divisor) - 1);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        Assert.That(_machine.ReadMsr(CurrentCount), Is.EqualTo(1));
        _machine.Time.Advance(1);
        Assert.That(Take(), Is.EqualTo(Vector));
        Assert.That(_machine.ReadMsr(CurrentCount), Is.Zero);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
        Assert.That(_machine.ReadMsr(InitialCount), Is.EqualTo(1000));
    }

    [Test]
    public void A_periodic_timer_fires_again_without_drifting()
    {
        _machine.WriteMsr(Divide, 0b1011);
        _machine.WriteMsr(Lvt, Vector | Periodic);
        _machine.WriteMsr(InitialCount, 1_000_000);
        for (int i = 0; i < 10; i++)
        {
            _machine.Time.Advance(999_999);
            Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
            _machine.Time.Advance(1);
            Assert.That(Take(), Is.EqualTo(Vector));
        }

        _machine.Time.Skip(2_300_000);
        Assert.That(_machine.ReadMsr(CurrentCount), Is.EqualTo(700_000));
        _machine.Time.Advance(0);
        Assert.That(Take(), Is.EqualTo(Vector), "late ones are one");
        Assert.That(Take(), Is.EqualTo(-1));
        Assert.That(_machine.Time.NextDeadline, Is.EqualTo(13_000_000));
    }

    [Test]
    public void A_hostile_period_is_kept_from_eating_the_host()
    {
        _machine.WriteMsr(Divide, 0b1011);
        _machine.WriteMsr(Lvt, Vector | Periodic);
        _machine.WriteMsr(InitialCount, 1);
        _machine.Time.Advance(1);
        Assert.That(_machine.Time.NextDeadline, Is.GreaterThanOrEqualTo(_machine.Time.Nanoseconds + 20_000));
        _machine.Time.Advance(1_000_000);
        Assert.That(Take(), Is.EqualTo(Vector));
    }

    [Test]
    public void Writing_zero_stops()
    {
        _machine.WriteMsr(Lvt, Vector | Periodic);
        _machine.WriteMsr(InitialCount, 1000);
        _machine.WriteMsr(InitialCount, 0);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
        Assert.That(_machine.ReadMsr(CurrentCount), Is.Zero);
    }

    [Test]
    public void A_masked_timer_counts_silently()
    {
        _machine.WriteMsr(Lvt, Vector | Masked);
        _machine.WriteMsr(InitialCount, 1000);
        _machine.Time.Advance(2000);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        Assert.That(_machine.ReadMsr(CurrentCount), Is.Zero);
    }

    [Test]
    public void Changing_the_divisor_goes_on_from_the_present_count()
    {
        _machine.WriteMsr(Divide, 0b1011);
        _machine.WriteMsr(Lvt, Vector);
        _machine.WriteMsr(InitialCount, 1000);
        _machine.Time.Advance(400);
        _machine.WriteMsr(Divide, 0b0010);
        Assert.That(_machine.ReadMsr(CurrentCount), Is.EqualTo(600));
        _machine.Time.Advance((600 * 8) - 1);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        _machine.Time.Advance(1);
        Assert.That(Take(), Is.EqualTo(Vector));
    }

    [TestCase(1_000_000_000UL)]
    [TestCase(2_100_000_000UL)]
    [TestCase(2_999_999_999UL)]
    [TestCase(333_333_333UL)]
    public void A_deadline_fires_at_its_count_and_not_before(ulong frequency)
    {
        _machine.Time.TscFrequency = frequency;
        _machine.WriteMsr(Lvt, Vector | Deadline);
        var random = new Random(6);
        for (int i = 0; i < 200; i++)
        {
            ulong deadline = _machine.Time.ReadTsc() + (ulong)random.Next(1, 1_000_000);
            _machine.WriteMsr(TscDeadline, deadline);
            Assert.That(_machine.ReadMsr(TscDeadline), Is.EqualTo(deadline));
            while (_machine.ReadMsr(TscDeadline) != 0)
            {
                Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
                _machine.Time.Advance(_machine.Time.NextDeadline!.Value - _machine.Time.Nanoseconds);
            }

            Assert.That(_machine.Time.ReadTsc(), Is.GreaterThanOrEqualTo(deadline).And.LessThan(deadline + (frequency / 250_000_000)));
            Assert.That(Take(), Is.EqualTo(Vector));
            Assert.That(_machine.Time.NextDeadline, Is.Null);
        }
    }

    [Test]
    public void A_deadline_in_the_past_fires_at_once()
    {
        _machine.Time.Advance(1000);
        _machine.WriteMsr(Lvt, Vector | Deadline);
        _machine.WriteMsr(TscDeadline, 1);
        _machine.Time.Advance(0);
        Assert.That(Take(), Is.EqualTo(Vector));
    }

    [Test]
    public void Writing_zero_disarms_the_deadline()
    {
        _machine.WriteMsr(Lvt, Vector | Deadline);
        _machine.WriteMsr(TscDeadline, 1000);
        _machine.WriteMsr(TscDeadline, 0);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
        _machine.WriteMsr(TscDeadline, ulong.MaxValue);
        _machine.Time.Advance(1UL << 60);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void Each_mode_ignores_the_other_modes_register()
    {
        _machine.WriteMsr(Lvt, Vector);
        _machine.WriteMsr(TscDeadline, 1000);
        Assert.That(_machine.ReadMsr(TscDeadline), Is.Zero);
        _machine.WriteMsr(Lvt, Vector | Deadline);
        _machine.WriteMsr(InitialCount, 1000);
        Assert.That(_machine.ReadMsr(InitialCount), Is.Zero);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
    }

    [TestCase(0UL, Deadline)]
    [TestCase(Periodic, Deadline)]
    [TestCase(Deadline, 0UL)]
    [TestCase(Deadline, Periodic)]
    public void Going_to_or_from_deadline_mode_disarms(ulong from, ulong to)
    {
        _machine.WriteMsr(Lvt, Vector | from);
        _machine.WriteMsr(InitialCount, 1000);
        _machine.WriteMsr(TscDeadline, 1000);
        Assert.That(_machine.Time.NextDeadline, Is.Not.Null);
        _machine.WriteMsr(Lvt, Vector | to);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
        _machine.WriteMsr(Lvt, Vector | from);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
    }

    [Test]
    public void Switching_the_apic_off_stops_the_timer()
    {
        _machine.WriteMsr(Lvt, Vector | Periodic);
        _machine.WriteMsr(InitialCount, 1000);
        _machine.WriteMsr(0x1B, 0xFEE0_0100);
        Assert.That(_machine.Time.NextDeadline, Is.Null);
    }

    [Test]
    public void A_restored_timer_that_is_due_before_its_deadline_waits_for_that()
    {
        int expired = 0;
        ApicTimer timer = new(_machine.Time, "test", () => expired++) { Mode = ApicTimerMode.TscDeadline, TscDeadline = 2_100_000_000 };
        ArrayBufferWriter<byte> state = new();
        timer.SaveState(new StateWriter(state));
        byte[] damaged = state.WrittenSpan.ToArray();
        damaged.AsSpan(^sizeof(ulong)..).Clear();
        timer.RestoreState(new StateReader(damaged, "test"));
        _machine.Time.Advance(999_999_999);
        Assert.That(expired, Is.Zero);
        _machine.Time.Advance(1);
        Assert.That(expired, Is.EqualTo(1));
    }

    private int Take()
    {
        int vector = _machine.Cpu.Acknowledge();
        _machine.WriteMsr(Eoi, 0);
        return vector;
    }
}
