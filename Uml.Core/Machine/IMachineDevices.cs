namespace Uml.Core.Machine;

/// <summary>The devices of a machine.</summary>
public interface IMachineDevices
{
    /// <summary>Those that are attached now, in order of attaching.</summary>
    IReadOnlyList<IMachineDevice> Attached { get; }

    /// <summary>The device of this name; null when there is none.</summary>
    IMachineDevice? Find(string id);

    /// <summary>Plugs a device in: attaches and resets it, or when either throws does neither. The caller disposes it, behind the machine.</summary>
    /// <exception cref="InvalidOperationException">
    /// The machine runs (pause it first; its own thread may always), or a device of that name is attached.
    /// </exception>
    void Attach(IMachineDevice device);

    /// <summary>Unplugs a device: its addresses, interrupt lines and timers are free again.</summary>
    /// <exception cref="InvalidOperationException">The machine runs (pause it first), or the device is not attached.</exception>
    void Detach(IMachineDevice device);
}
