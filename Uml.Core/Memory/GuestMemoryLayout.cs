namespace Uml.Core.Memory;

/// <summary>The guest-physical layout of RAM: from address zero, with a hole for devices below 4 GiB.</summary>
public static class GuestMemoryLayout
{
    /// <summary>The end of RAM below 4 GiB: 3 GiB. From here to 4 GiB is the device hole.</summary>
    public const ulong DeviceHoleStart = 0xC000_0000;

    /// <summary>The start of the RAM that does not fit below <see cref="DeviceHoleStart"/>: 4 GiB.</summary>
    public const ulong HighRamStart = 0x1_0000_0000;
}
