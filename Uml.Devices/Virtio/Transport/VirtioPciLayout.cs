namespace Uml.Devices.Virtio.Transport;

/// <summary>Where the registers of a virtio device on PCI are (virtio 1.2, 4.1.4).</summary>
internal static class VirtioPciLayout
{
    public const ushort Vendor = 0x1AF4, FirstDevice = 0x1040;
    public const byte Revision = 1, VendorCapability = 0x09;

    /// <summary>The base address registers: of MSI-X, and of everything else.</summary>
    public const int MsixBar = 1, RegistersBar = 4;

    // Structures in that register's range, each on a page of its own. A choice of ours.
    public const int Common = 0x0000, Interrupt = 0x1000, Device = 0x2000, Notify = 0x3000, Page = 0x1000, RegistersLength = 0x4000;

    /// <summary>Between the notification addresses of two queues.</summary>
    public const int NotifyMultiplier = 4;

    // cfg_type.
    public const byte CommonType = 1, NotifyType = 2, InterruptType = 3, DeviceType = 4, AccessType = 5;

    // struct virtio_pci_cap, from behind the header of the capability: its fields, and how long it is.
    public const int CapabilityBar = 4, CapabilityOffset = 8, CapabilityLength = 12, CapabilityData = 16, CapabilitySize = 16, LongCapabilitySize = 20;

    // struct virtio_pci_common_cfg.
    public const int DeviceFeatureSelect = 0, DeviceFeature = 4, DriverFeatureSelect = 8, DriverFeature = 12, ConfigVector = 16, QueueCount = 18,
        Status = 20, Generation = 21, QueueSelect = 22, QueueSize = 24, QueueVector = 26, QueueEnable = 28, QueueNotifyOffset = 30, QueueDescriptors = 32,
        QueueAvailable = 40, QueueUsed = 48, CommonLength = 56;

    /// <summary>No vector (VIRTIO_MSI_NO_VECTOR).</summary>
    public const ushort NoVector = 0xFFFF;

    // ISR status.
    public const byte QueueInterrupt = 1, ConfigurationInterrupt = 2;
}
