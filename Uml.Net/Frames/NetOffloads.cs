namespace Uml.Net.Frames;

/// <summary>Work on frames that one side may leave to the other (virtio 1.2, 5.1.3; Linux include/uapi/linux/if_tun.h, TUN_F).</summary>
[Flags]
public enum NetOffloads
{
    /// <summary>None: every checksum is complete, and no frame is longer than the MTU allows.</summary>
    None = 0,

    /// <summary>Checksums of TCP and UDP; all others need it.</summary>
    Checksum = 1,

    /// <summary>TCP segments over IPv4 that are cut later.</summary>
    Tcp4 = 2,

    /// <summary>TCP segments over IPv6 that are cut later.</summary>
    Tcp6 = 4,

    /// <summary>Such segments with the ECN bit CWR set, which the first of them alone keeps.</summary>
    TcpEcn = 8,

    /// <summary>UDP datagrams of one size that are cut later, over IPv4 and IPv6.</summary>
    Udp = 16,

    /// <summary>All of them.</summary>
    All = Checksum | Tcp4 | Tcp6 | TcpEcn | Udp,
}
