using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Platform;

namespace Uml.Devices.Timers;

/// <summary>
/// System control port B (Intel ICH10 data sheet, 13.7.1): the gate and the output of the timer's counter 2, and the toggle of memory
/// refresh. The NMI sources in bits 6 and 7 never fire. There is no speaker behind the counter.
/// </summary>
internal sealed class SystemControlPort(Pit8254 timer) : IMachineDevice, IBusDevice
{
    private const ulong TimerGate = 1 << 0, Writable = 0x0F, RefreshToggle = 1 << 4, TimerOutput = 1 << 5;

    private ulong _written;

    /// <inheritdoc/>
    public string Id => "port-b";

    /// <inheritdoc/>
    public void Attach(IMachineContext machine) => machine.Bus.MapPorts(PortMap.SystemControl, 1, this);

    /// <inheritdoc/>
    public void Detach() => Reset();

    /// <inheritdoc/>
    public void Reset() => Set(0);

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(_written);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);

        // The gate that it drives is part of the timer's state.
        _written = state.ReadUInt64(maximum: Writable);
    }

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size) =>
        _written | (timer.RefreshToggle ? RefreshToggle : 0) | (timer.SpeakerOutput ? TimerOutput : 0);

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value) => Set(value);

    private void Set(ulong value)
    {
        _written = value & Writable;
        timer.SetSpeakerGate((value & TimerGate) != 0);
    }
}
