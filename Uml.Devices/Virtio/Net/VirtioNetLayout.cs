using Uml.Net.Frames;

namespace Uml.Devices.Virtio.Net;

/// <summary>The network device's features, configuration and commands (virtio 1.2, 5.1).</summary>
internal static class VirtioNetLayout
{
    public const ushort DeviceType = 1;

    public const ulong Checksum = 1UL << 0, GuestChecksum = 1UL << 1, ControlGuestOffloads = 1UL << 2, HasMtu = 1UL << 3, HasMac = 1UL << 5,
        GuestTcp4 = 1UL << 7, GuestTcp6 = 1UL << 8, GuestEcn = 1UL << 9, HostTcp4 = 1UL << 11, HostTcp6 = 1UL << 12, HostEcn = 1UL << 13,
        MergeableBuffers = 1UL << 15, HasStatus = 1UL << 16, ControlQueue = 1UL << 17, ControlReceive = 1UL << 18, ControlVlan = 1UL << 19,
        ControlReceiveExtra = 1UL << 20, GuestAnnounce = 1UL << 21, ControlMac = 1UL << 23, GuestUdp4 = 1UL << 54, GuestUdp6 = 1UL << 55, HostUdp = 1UL << 56;

    // struct virtio_net_config.
    public const int StatusField = 6, MtuField = 10, ConfigurationLength = 12;
    public const ushort LinkUp = 1, Announce = 2;

    /// <summary>Bytes before each frame: struct virtio_net_hdr, the count of buffers included (5.1.6).</summary>
    public const int HeaderLength = 12, BufferCountField = 10;

    // struct virtio_net_ctrl, commands as class and number (5.1.6.5).
    public const int CommandLength = 2;
    public const byte Ok = 0, Failed = 1;
    public const ushort Promiscuous = 0x0000, AllMulticast = 0x0001, AllUnicast = 0x0002, NoMulticast = 0x0003, NoUnicast = 0x0004, NoBroadcast = 0x0005,
        SetMacTable = 0x0100, SetMac = 0x0101, AddVlan = 0x0200, RemoveVlan = 0x0201, AcknowledgeAnnounce = 0x0300, SetGuestOffloads = 0x0500;

    /// <summary>What the driver may be left, by the features that say so.</summary>
    public static ulong ToFeatures(NetOffloads offloads) =>
        ((offloads & NetOffloads.Checksum) != 0 ? GuestChecksum | ControlGuestOffloads : 0)
        | ((offloads & NetOffloads.Tcp4) != 0 ? GuestTcp4 : 0)
        | ((offloads & NetOffloads.Tcp6) != 0 ? GuestTcp6 : 0)
        | ((offloads & NetOffloads.TcpEcn) != 0 ? GuestEcn : 0)
        | ((offloads & NetOffloads.Udp) != 0 ? GuestUdp4 | GuestUdp6 : 0);

    /// <summary>What the driver accepts to be left, by features or the bits of a command, which are the same.</summary>
    public static NetOffloads ToOffloads(ulong features) => (features & GuestChecksum) == 0
        ? NetOffloads.None
        : NetOffloads.Checksum
            | ((features & GuestTcp4) != 0 ? NetOffloads.Tcp4 : 0)
            | ((features & GuestTcp6) != 0 ? NetOffloads.Tcp6 : 0)
            | ((features & GuestEcn) != 0 && (features & (GuestTcp4 | GuestTcp6)) != 0 ? NetOffloads.TcpEcn : 0)
            | ((features & (GuestUdp4 | GuestUdp6)) == (GuestUdp4 | GuestUdp6) ? NetOffloads.Udp : 0);
}
