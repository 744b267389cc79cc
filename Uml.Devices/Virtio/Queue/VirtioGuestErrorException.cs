namespace Uml.Devices.Virtio.Queue;

/// <summary>
/// The guest's driver has broken the rules of the queue or the device: the device needs a reset (virtio 1.2, 2.1.2). The message has the
/// numbers. Never leaves the device.
/// </summary>
internal sealed class VirtioGuestErrorException(string message) : Exception(message);
