namespace Uml.Core.Memory;

/// <summary>Where guest RAM is: from address zero, and around the hole that devices have below 4 GiB.</summary>
public static class GuestMemoryLayout
{
    /// <summary>The end of RAM below 4 GiB: 3 GiB. Devices live from here on.</summary>
    public const ulong DeviceHoleStart = 0xC000_0000;

    /// <summary>Where RAM continues that does not fit below <see cref="DeviceHoleStart"/>: 4 GiB.</summary>
    public const ulong HighRamStart = 0x1_0000_0000;
}
