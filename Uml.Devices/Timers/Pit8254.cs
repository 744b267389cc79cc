using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Interrupts;
using Uml.Devices.Platform;

namespace Uml.Devices.Timers;

/// <summary>
/// The interval timer of a PC (Intel 8254 data sheet, 231164; Intel ICH10 data sheet, 5.7): counter 0 drives interrupt 0, counter 1 paced
/// the refresh of memory, counter 2 the speaker, and software measures time with it through system control port B.
/// </summary>
/// <remarks>
/// A timer of the machine is armed only while a rise of counter 0 is due and an interrupt controller would accept it. Rises in between are
/// merged into one edge before the inputs are read. A fall of counter 0 is signalled together with its next rise, or by a control word,
/// which edge-triggered inputs cannot distinguish.
/// </remarks>
internal sealed class Pit8254 : IMachineDevice, IBusDevice
{
    /// <summary>
    /// The least time in nanoseconds between two interrupts, as for the APIC's timer: rises that come faster are one. The limit is ours.
    /// </summary>
    public const ulong ShortestPeriod = ApicTimer.ShortestPeriod;

    private const int Interrupt = 0;
    private const int ControlPort = 3;
    private const int RefreshTicks = 18;

    // A color burst crystal of 315/22 MHz, divided by 12: 105/88 ticks in a microsecond.
    private const ulong TicksNumerator = 105, TicksDenominator = 88_000;

    private readonly IoApic _ioApic;
    private readonly PicPair _pics;
    private readonly IInterruptRouter _router;
    private readonly PitCounter[] _counters = [new(gate: true), new(gate: true), new(gate: false)];

    private IMachineClock? _clock;
    private IMachineTimer? _timer;
    private IInterruptLine? _line;

    // The time up to which rises of counter 0 were signalled, in ticks, and the time of the last one, in nanoseconds.
    private long _signaled;
    private ulong _lastEdge;
    private bool _isAwaited;

    /// <summary>Makes a timer, which is to be attached and reset.</summary>
    public Pit8254(IoApic ioApic, PicPair pics, IInterruptRouter router) => (_ioApic, _pics, _router) = (ioApic, pics, router);

    /// <inheritdoc/>
    public string Id => "pit";

    /// <summary>The output of counter 2, without the gate of the speaker behind it.</summary>
    public bool SpeakerOutput => _counters[2].GetOutput(Synchronize());

    /// <summary>The bit that toggles with each refresh of memory.</summary>
    public bool RefreshToggle => (Synchronize() / RefreshTicks & 1) != 0;

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        // Refused perhaps, before there is anything to be taken back.
        machine.Bus.MapPorts(PortMap.IntervalTimer, ControlPort + 1, this);
        _clock = machine.Clock;
        _timer = machine.Clock.CreateTimer("pit", Expire);
        _line = machine.Own(_router.GetLine("pit", Interrupt));
        _pics.Sampling += Update;
        _ioApic.Changing += Update;
        _pics.Changed += FollowListeners;
        _ioApic.Changed += FollowListeners;
    }

    /// <inheritdoc/>
    public void Detach()
    {
        _pics.Sampling -= Update;
        _ioApic.Changing -= Update;
        _pics.Changed -= FollowListeners;
        _ioApic.Changed -= FollowListeners;
        (_clock, _timer, _line) = (null, null, null);
    }

    /// <summary>The counters as firmware leaves them: 18.2 interrupts a second that are masked, refresh, no sound.</summary>
    public void Reset()
    {
        const byte SquareWave = 0x36, RateGenerator = 0x54;
        _signaled = GetTicks(_clock?.Nanoseconds ?? 0);
        _lastEdge = 0;
        foreach (PitCounter counter in _counters)
        {
            counter.Reset();
        }

        _counters[0].SetControl(SquareWave);
        _counters[0].Write(0, _signaled);
        _counters[0].Write(0, _signaled);
        _counters[1].SetControl(RateGenerator);
        _counters[1].Write(RefreshTicks, _signaled);
        _counters[2].SetControl(SquareWave);
        _line?.Set(false);
        _line?.Set(true);
        _isAwaited = _pics.AwaitsEdge(Interrupt) || _ioApic.AwaitsEdge(Interrupt);
        Arm();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        foreach (PitCounter counter in _counters)
        {
            counter.SaveState(state);
        }

        state.Write(_signaled);
        state.Write(_lastEdge);
        state.Write(_isAwaited);
        state.Write(_timer);
        state.Write(_line);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        foreach (PitCounter counter in _counters)
        {
            counter.RestoreState(state);
        }

        _signaled = state.ReadInt64();
        _lastEdge = state.ReadUInt64();
        _isAwaited = state.ReadBoolean();
        state.Restore(_timer);
        state.Restore(_line);
    }

    /// <summary>Drives the gate of counter 2.</summary>
    public void SetSpeakerGate(bool gate) => _counters[2].SetGate(gate, Synchronize());

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size)
    {
        long now = Synchronize();
        ulong value = 0;
        for (int i = 0; i < size; i++)
        {
            int port = (int)offset + i;
            value |= (port == ControlPort ? byte.MaxValue : (ulong)_counters[port].Read(now)) << (i * 8);
        }

        return value;
    }

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        long now = Synchronize();
        for (int i = 0; i < size; i++)
        {
            int port = (int)offset + i;
            byte part = (byte)(value >> (i * 8));
            if (port == ControlPort)
            {
                WriteControl(part, now);
            }
            else
            {
                _counters[port].Write(part, now);
            }
        }

        Arm();
    }

    /// <summary>A control word, a latch command or a read-back command (data sheet, figures 7, 9 and 10).</summary>
    private void WriteControl(byte value, long now)
    {
        const int ReadBack = 3, AccessMask = 0x30;
        int selected = value >> 6;
        if (selected == ReadBack)
        {
            LatchSelected(value, now);
        }
        else if ((value & AccessMask) == 0)
        {
            _counters[selected].LatchCount(now);
        }
        else
        {
            _counters[selected].SetControl(value);
            if (selected == 0)
            {
                _line?.Set(_counters[0].GetOutput(now));
            }
        }
    }

    private void LatchSelected(byte command, long now)
    {
        const int NoCount = 1 << 5, NoStatus = 1 << 4, FirstCounter = 1;
        for (int i = 0; i < _counters.Length; i++)
        {
            if ((command >> (i + FirstCounter) & 1) == 0)
            {
                continue;
            }

            if ((command & NoCount) == 0)
            {
                _counters[i].LatchCount(now);
            }

            if ((command & NoStatus) == 0)
            {
                _counters[i].LatchStatus(now);
            }
        }
    }

    private void Update() => Synchronize();

    private static long GetTicks(ulong nanoseconds) => (long)((UInt128)nanoseconds * TicksNumerator / TicksDenominator);

    /// <summary>Updates the counters to the current time, and signals a rise that was due.</summary>
    /// <returns>The present in ticks.</returns>
    private long Synchronize()
    {
        ulong nanoseconds = _clock?.Nanoseconds ?? 0;
        long now = GetTicks(nanoseconds);
        bool rose = _counters[0].NextRise(_signaled) <= now;
        _signaled = now;
        foreach (var counter in _counters)
        {
            counter.Settle(now);
        }

        if (rose)
        {
            _lastEdge = nanoseconds;
            _line?.Set(false);
            _line?.Set(true);
        }

        return now;
    }

    private void FollowListeners()
    {
        bool isAwaited = _pics.AwaitsEdge(Interrupt) || _ioApic.AwaitsEdge(Interrupt);
        if (isAwaited != _isAwaited)
        {
            _isAwaited = isAwaited;
            Arm();
        }
    }

    private void Expire()
    {
        Synchronize();
        Arm();
    }

    private void Arm()
    {
        long rise = _isAwaited ? _counters[0].NextRise(_signaled) : PitCounter.Never;
        if (rise == PitCounter.Never)
        {
            _timer?.Cancel();
            return;
        }

        var due = (((UInt128)(ulong)rise * TicksDenominator) + (TicksNumerator - 1)) / TicksNumerator;
        _timer?.Schedule(Math.Max((ulong)due, _lastEdge + ShortestPeriod));
    }
}
