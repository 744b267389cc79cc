using System.Runtime.Intrinsics.X86;
using Uml.Core.Clock;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Time;

/// <summary>
/// The time-stamp counter of a guest whose clock follows the host's. The clock has the truth; between two looks at it, translated code
/// may go on by the host's own counter (see <see cref="TimeStampScale"/>), which is several times as fast to read.
/// </summary>
/// <remarks>
/// The guest's counter never goes back. Each look at the clock comes before that at the host's counter, and the scale is a little slow,
/// so that the guest stays behind the clock, by less than a microsecond; where it is ahead nevertheless, because the host's clock is being
/// slowed down, it stands still until the clock is there. A scale holds for a millisecond, and ends with <see cref="VirtualCpu.Run"/>: no
/// pause, timer or suspended host comes between.
/// </remarks>
// SAFETY: the scale is in the memory of the processor that owns this counter, and is touched by one thread at a time: the one that runs the
// processor, or its owner's while it does not run.
internal sealed unsafe class TimeStampCounter
{
    /// <summary>Guest ticks, of a nanosecond, that one scale is good for.</summary>
    private const ulong Validity = 1_000_000;

    /// <summary>How much slower than measured the guest's counter goes: one part in so many, as a power of two.</summary>
    private const int Slowness = 12;

    /// <summary>What two samples of the host's clock and counter may be off by: one part in so many, as a power of two.</summary>
    private const int Exactness = 13;

    /// <summary>Host counters from 62 MHz to 16 GHz are believed.</summary>
    private const ulong SmallestMultiplier = 1UL << 28, LargestMultiplier = 1UL << 36;

    private static readonly TimeSpan s_measuringTime = TimeSpan.FromMilliseconds(50);

    private readonly TimeStampScale* _scale;
    private readonly RealTimeClock _clock;
    private readonly Func<ulong> _readHost;
    private ulong _multiplier, _limit;

    /// <summary>The guest's counter will not be less.</summary>
    private ulong _least;

    /// <summary>Where the measurement of the host's counter began, and how many of its ticks it takes at least.</summary>
    private Sample _start;
    private ulong _measuringTicks;

    /// <param name="scale">What translated code reads.</param>
    /// <param name="clock">The guest's clock.</param>
    /// <param name="readHost">Reads the host's counter.</param>
    public TimeStampCounter(TimeStampScale* scale, RealTimeClock clock, Func<ulong> readHost)
    {
        _scale = scale;
        _clock = clock;
        _readHost = readHost;
        _start = TakeSample();
    }

    /// <summary>The host's counter and clock at the same time, and within how many ticks that is so.</summary>
    private readonly record struct Sample(ulong Counter, long Timestamp, ulong Width);

    /// <summary>
    /// Whether the host's counter is one for all its processors and of the same speed at all times (Intel SDM vol. 3, 18.17.1). The kernel
    /// knows the first, and then has its own clock run by it, or that of its hypervisor, which makes the same sure (Linux,
    /// arch/x86/kernel/tsc.c, kvmclock.c).
    /// </summary>
    public static bool IsOffered()
    {
        const string clockSource = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        const int extensions = unchecked((int)0x8000_0000), power = extensions + 7, invariant = 1 << 8;
        if (!X86Base.IsSupported || (uint)X86Base.CpuId(extensions, 0).Eax < unchecked((uint)power) || (X86Base.CpuId(power, 0).Edx & invariant) == 0)
        {
            return false;
        }

        try
        {
            return File.ReadAllText(clockSource).Trim() is "tsc" or "kvm-clock" or "hyperv_clocksource_tsc_page";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A host that does not say, or a sandbox without /sys: the clock is asked each time.
            return false;
        }
    }

    /// <summary>The guest's counter, before its IA32_TSC_ADJUST.</summary>
    /// <param name="share">From here on translated code may go on by itself.</param>
    public ulong Read(bool share)
    {
        Stop();
        ulong time = _clock.ReadTsc();
        bool isAhead = _least > time;
        _least = Math.Max(_least, time);
        ulong host = _readHost();
        if (host - _start.Counter >= _measuringTicks)
        {
            Measure();
        }

        _scale->Base = host;
        _scale->Value = _least;
        _scale->Multiplier = _multiplier;
        _scale->Limit = share && !isAhead ? _limit : 0;
        return _least;
    }

    /// <summary>From here on translated code has to ask.</summary>
    public void Stop()
    {
        if (_scale->Limit != 0)
        {
            _least = Math.Max(_least, _scale->At(_readHost()));
            _scale->Limit = 0;
        }
    }

    /// <summary>Measures the host's counter by its clock, when the last measurement is old enough.</summary>
    private void Measure()
    {
        Sample end = TakeSample();
        TimeSpan elapsed = _clock.Provider.GetElapsedTime(_start.Timestamp, end.Timestamp);
        if (elapsed < s_measuringTime)
        {
            return;
        }

        ulong ticks = end.Counter - _start.Counter;
        if (_start.Width + end.Width <= ticks >> Exactness)
        {
            UInt128 multiplier = ((UInt128)(elapsed.Ticks * TimeSpan.NanosecondsPerTick) << 32) / ticks;
            multiplier -= multiplier >> Slowness;
            bool isCredible = multiplier >= SmallestMultiplier && multiplier <= LargestMultiplier;
            _multiplier = isCredible ? (ulong)multiplier : 0;
            _limit = isCredible ? (Validity << 32) / _multiplier : 0;
            _measuringTicks = _limit * (ulong)s_measuringTime.Milliseconds;
        }

        _start = end;
    }

    private Sample TakeSample()
    {
        ulong before = _readHost();
        long timestamp = _clock.Provider.GetTimestamp();
        ulong width = _readHost() - before;
        return new Sample(before + (width / 2), timestamp, width);
    }
}
