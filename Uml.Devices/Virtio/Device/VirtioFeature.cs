namespace Uml.Devices.Virtio.Device;

/// <summary>Features of all devices (virtio 1.2, 6).</summary>
internal static class VirtioFeature
{
    public const ulong IndirectDescriptors = 1UL << 28, EventIndex = 1UL << 29, Version1 = 1UL << 32;
}

/// <summary>The device status field (virtio 1.2, 2.1).</summary>
internal static class VirtioStatus
{
    public const byte Acknowledge = 1, Driver = 2, DriverOk = 4, FeaturesOk = 8, NeedsReset = 64, Failed = 128;
}
