using System.Runtime.CompilerServices;
using Microsoft.Extensions.Time.Testing;
using Uml.Core.Clock;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu.Time;

namespace Uml.Core.Tests.Cpu.System;

/// <summary>The guest's time-stamp counter made of the host's, with a host whose clock and counter a test sets.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class TimeStampCounterTests
{
    private const double Frequency = 2.1e9;
    private const ulong Microsecond = 1000, Millisecond = 1_000_000;

    private readonly FakeTimeProvider _provider = new();
    private readonly RealTimeClock _clock;
    private readonly TimeStampScale[] _scale = GC.AllocateArray<TimeStampScale>(1, pinned: true);
    private double _host = 1e12;

    /// <summary>Ticks that a look at the host's counter takes.</summary>
    private double _slowness;

    public TimeStampCounterTests()
    {
        _clock = new RealTimeClock(_provider, default);
        _clock.Resume();
    }

    private ref TimeStampScale Scale => ref _scale[0];

    [Test]
    public void Until_the_host_s_counter_is_measured_the_clock_is_asked()
    {
        TimeStampCounter counter = Create();
        Advance(49 * Millisecond);
        Assert.Multiple(() =>
        {
            Assert.That(counter.Read(share: true), Is.EqualTo(_clock.Nanoseconds));
            Assert.That(Scale.Limit, Is.Zero);
        });
        Advance(1 * Millisecond);
        counter.Read(share: true);
        Assert.That(Scale.Limit, Is.GreaterThan(0));
    }

    [Test]
    public void Translated_code_is_behind_the_clock_by_less_than_a_microsecond_for_a_millisecond()
    {
        TimeStampCounter counter = CreateMeasured();
        Assert.That(Scale.Limit, Is.EqualTo(Frequency / 1000).Within(0.1).Percent);
        for (int i = 0; i < 20; i++)
        {
            Advance(50 * Microsecond);
            Assert.That(Scale.At((ulong)_host), Is.InRange(_clock.Nanoseconds - Microsecond, _clock.Nanoseconds));
        }

        Assert.That(counter.Read(share: true), Is.EqualTo(_clock.Nanoseconds));
    }

    [Test]
    public void What_is_not_shared_does_not_hold()
    {
        TimeStampCounter counter = CreateMeasured();
        counter.Read(share: false);
        Assert.That(Scale.Limit, Is.Zero);
        counter.Read(share: true);
        counter.Stop();
        Assert.That(Scale.Limit, Is.Zero);
    }

    [TestCase(Frequency * 0.999, Description = "the host's clock is being set forward")]
    [TestCase(Frequency * 1.001, Description = "or back")]
    [TestCase(Frequency * 3, Description = "the machine was moved to another host")]
    [TestCase(Frequency / 3, Description = "to a slower one")]
    [TestCase(0, Description = "whose counter stands still")]
    [TestCase(-Frequency, Description = "or goes back")]
    public void The_guest_s_counter_never_goes_back_and_follows_the_clock_again(double frequency)
    {
        TimeStampCounter counter = CreateMeasured();
        ulong last = 0;
        for (int i = 0; i < 4000; i++)
        {
            Advance(70 * Microsecond, i < 500 ? frequency : Frequency);
            bool isOver = (ulong)_host - Scale.Base >= Scale.Limit;
            ulong now = isOver || i % 5 == 0 ? counter.Read(share: true) : Scale.At((ulong)_host);
            Assert.That(now, Is.GreaterThanOrEqualTo(last));
            last = now;
        }

        Assert.That(last, Is.InRange(_clock.Nanoseconds - Microsecond, _clock.Nanoseconds));
    }

    [Test]
    public void A_pause_does_not_pass()
    {
        TimeStampCounter counter = CreateMeasured();
        counter.Stop();
        _clock.Pause();
        Advance(1000 * Millisecond);
        _clock.Resume();
        Assert.That(counter.Read(share: true), Is.EqualTo(50 * Millisecond));
    }

    [Test]
    public void The_host_s_counter_after_a_jump_is_not_believed()
    {
        TimeStampCounter counter = CreateMeasured();
        _host += Frequency * 3600;
        Advance(60 * Millisecond);
        counter.Read(share: true);
        Assert.That(Scale.Limit, Is.Zero, "an hour in 60 ms");
        Advance(60 * Millisecond);
        counter.Read(share: true);
        Assert.That(Scale.Limit, Is.GreaterThan(0));
    }

    [Test]
    public void A_measurement_that_was_interrupted_does_not_count()
    {
        TimeStampCounter counter = Create();
        Advance(50 * Millisecond);
        _slowness = Frequency / 1000;
        counter.Read(share: true);
        _slowness = 0;
        Assert.That(Scale.Limit, Is.Zero);
        Advance(50 * Millisecond);
        counter.Read(share: true);
        Assert.That(Scale.Limit, Is.Zero, "it is also where the next began");
        Advance(50 * Millisecond);
        counter.Read(share: true);
        Assert.That(Scale.Limit, Is.GreaterThan(0));
    }

    private TimeStampCounter Create() => new((TimeStampScale*)Unsafe.AsPointer(ref Scale), _clock, () => (ulong)(_host += _slowness));

    private TimeStampCounter CreateMeasured()
    {
        TimeStampCounter counter = Create();
        Advance(50 * Millisecond);
        counter.Read(share: true);
        return counter;
    }

    private void Advance(ulong nanoseconds, double frequency = Frequency)
    {
        _provider.Advance(TimeSpan.FromTicks((long)nanoseconds / TimeSpan.NanosecondsPerTick));
        _host += nanoseconds * frequency / 1e9;
    }
}
