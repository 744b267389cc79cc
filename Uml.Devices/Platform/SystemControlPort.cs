using Uml.Core.Bus;

namespace Uml.Devices.Platform;

/// <summary>
/// System control port B: a register that software touches on every PC and that needs nothing behind it. Others of that kind, such
/// as port 0x80, do well unclaimed.
/// </summary>
internal sealed class SystemControlPort : IMachineDevice, IBusDevice
{
    // The NMI source bits 6 and 7 must be clear, or the guest takes any NMI for a failing memory module; bit 5, the output of
    // the timer that this board does not have, must be set, or a guest that calibrates against it waits for ever.
    private const ulong Value = 0x20;

    /// <inheritdoc/>
    public void Attach(IMachineContext machine) => machine.Bus.MapPorts(PortMap.SystemControl, 1, this);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size) => Value;

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
    }
}
