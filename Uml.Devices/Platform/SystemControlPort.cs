using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Timers;

namespace Uml.Devices.Platform;

/// <summary>
/// System control port B (Intel ICH10 data sheet, 13.7.1): the gate and the output of the timer's counter 2, and the toggle of memory
/// refresh. The NMI sources in bits 6 and 7 never fire. There is no speaker behind the counter.
/// </summary>
internal sealed class SystemControlPort(Pit8254 timer) : IMachineDevice, IBusDevice
{
    private const ulong TimerGate = 1 << 0, Writable = 0x0F, RefreshToggle = 1 << 4, TimerOutput = 1 << 5;

    private ulong _written;

    /// <inheritdoc/>
    public void Attach(IMachineContext machine) => machine.Bus.MapPorts(PortMap.SystemControl, 1, this);

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size) =>
        _written | (timer.RefreshToggle ? RefreshToggle : 0) | (timer.SpeakerOutput ? TimerOutput : 0);

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        _written = value & Writable;
        timer.SetSpeakerGate((value & TimerGate) != 0);
    }
}
