using Uml.Core.Machine;

namespace Uml.Devices.Virtio.Device;

/// <summary>What is between a device and its driver, as the device sees it. For the machine's thread.</summary>
internal interface IVirtioTransport
{
    /// <summary>The machine that the device is attached to.</summary>
    IMachineContext Machine { get; }

    /// <summary>The device's name, for messages.</summary>
    string Id { get; }

    /// <summary>Tells the driver that a queue has used entries.</summary>
    void InterruptQueue(int queue);

    /// <summary>Tells the driver that the configuration has changed.</summary>
    void InterruptConfiguration();

    /// <summary>Tells the driver that the device needs a reset, since the driver has broken a rule.</summary>
    void Break(string problem);

    /// <summary>A reset that had to wait for requests under way can be completed.</summary>
    void CompleteReset();
}
