using System.Runtime.Intrinsics.X86;
using Uml.Core.Clock;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Time;

/// <summary>
/// The time-stamp counter of a guest whose clock follows the host's. The machine's clock is authoritative; between two reads of it,
/// translated code may convert the host's time-stamp counter (see <see cref="TimeStampScale"/>), which is several times as fast.
/// </summary>
/// <remarks>
/// The guest's counter never goes back. The clock is read before the host's counter, and the scale is slightly slow, so the guest's counter
/// lags behind the clock, by less than a microsecond. If it is ahead nevertheless, because the host's clock is being slewed, it stands
/// still until the clock has caught up. A scale is valid for a millisecond, and not beyond <see cref="VirtualCpu.Run"/>, so it spans no
/// pause, timer or suspension of the host.
/// </remarks>
// SAFETY: the scale is in the memory of the processor that owns this counter, and is touched by one thread at a time: the one that runs the
// processor, or its owner's while it does not run.
internal sealed unsafe class TimeStampCounter
{
    /// <summary>Guest ticks, of a nanosecond each, for which a scale is valid.</summary>
    private const ulong Validity = 1_000_000;

    /// <summary>How much slower than measured the guest's counter runs: one part in 2^12.</summary>
    private const int Slowness = 12;

    /// <summary>The largest accepted error of two samples of the host's clock and counter: one part in 2^13.</summary>
    private const int Exactness = 13;

    /// <summary>Host counters from 62 MHz to 16 GHz are accepted.</summary>
    private const ulong SmallestMultiplier = 1UL << 28, LargestMultiplier = 1UL << 36;

    private static readonly TimeSpan s_measuringTime = TimeSpan.FromMilliseconds(50);

    private readonly TimeStampScale* _scale;
    private readonly RealTimeClock _clock;
    private readonly Func<ulong> _readHost;
    private ulong _multiplier, _limit;

    /// <summary>A lower bound of the guest's counter.</summary>
    private ulong _least;

    /// <summary>The sample at the start of the measurement of the host's counter, and its minimal duration in ticks.</summary>
    private Sample _start;
    private ulong _measuringTicks;

    /// <param name="scale">The scale that translated code reads.</param>
    /// <param name="clock">The guest's clock.</param>
    /// <param name="readHost">Reads the host's counter.</param>
    public TimeStampCounter(TimeStampScale* scale, RealTimeClock clock, Func<ulong> readHost)
    {
        _scale = scale;
        _clock = clock;
        _readHost = readHost;
        _start = TakeSample();
    }

    /// <summary>The host's counter and clock at the same time, with the uncertainty in ticks.</summary>
    private readonly record struct Sample(ulong Counter, long Timestamp, ulong Width);

    /// <summary>
    /// Whether the host's counter is synchronized between its processors and of constant speed (Intel SDM vol. 3, 18.17.1). If it is
    /// synchronized, the kernel uses it as its clock source, or that of its hypervisor, which guarantees the same (Linux,
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
            // Not known on this host, for example in a sandbox without /sys: each read asks the clock.
            return false;
        }
    }

    /// <summary>The guest's counter, before its IA32_TSC_ADJUST.</summary>
    /// <param name="share">Lets translated code convert the host's counter from now on.</param>
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

    /// <summary>Invalidates the scale: translated code calls a handler from now on.</summary>
    public void Stop()
    {
        if (_scale->Limit != 0)
        {
            _least = Math.Max(_least, _scale->At(_readHost()));
            _scale->Limit = 0;
        }
    }

    /// <summary>Measures the frequency of the host's counter by its clock, when the last measurement is old enough.</summary>
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
