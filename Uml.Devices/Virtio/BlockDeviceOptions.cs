namespace Uml.Devices.Virtio;

/// <summary>How a guest sees a disk.</summary>
public sealed record BlockDeviceOptions
{
    /// <summary>The longest serial number, in characters (virtio 1.2, 5.2.6).</summary>
    public const int MaximumSerialLength = 20;

    /// <summary>
    /// The device's name in the machine, as for any device; null for disk0, disk1 and so on in order of adding, which Linux calls vda, vdb and so
    /// on.
    /// </summary>
    public string? Id { get; init; }

    /// <summary>
    /// What the disk calls itself: ASCII, at most <see cref="MaximumSerialLength"/> characters. Linux has it in /sys/block/vda/serial and under
    /// /dev/disk/by-id. Null for the device's name.
    /// </summary>
    public string? Serial { get; init; }
}
