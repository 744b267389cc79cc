namespace Uml.Core.Machine;

/// <summary>The devices of a machine.</summary>
public interface IMachineDevices
{
    /// <summary>The attached devices, in order of attaching.</summary>
    IReadOnlyList<IMachineDevice> Attached { get; }

    /// <summary>The device of this name; null when there is none.</summary>
    IMachineDevice? Find(string id);

    /// <summary>
    /// Plugs a device in: attaches and resets it. When either throws, the device is not attached. The caller disposes it, after the machine.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// The machine is running (use <see cref="IVirtualMachine.InvokeAsync"/>, or pause it first), or a device of that name is attached.
    /// </exception>
    void Attach(IMachineDevice device);

    /// <summary>Unplugs a device: its addresses, interrupt lines and timers are released.</summary>
    /// <exception cref="InvalidOperationException">
    /// The machine is running (use <see cref="IVirtualMachine.InvokeAsync"/>, or pause it first), or the device is not attached.
    /// </exception>
    void Detach(IMachineDevice device);
}
