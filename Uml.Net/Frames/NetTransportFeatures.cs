namespace Uml.Net.Frames;

/// <summary>What a transport is and can do.</summary>
/// <param name="Name">What messages call it, such as <c>tap0</c>.</param>
public sealed record NetTransportFeatures(string Name)
{
    /// <summary>The longest MTU of Ethernet over IP: 65,520 bytes, so that a frame has no more than 65,535 with its header.</summary>
    public const int MaximumMtu = 65520;

    /// <summary>The least MTU: what IPv4 asks of every network (RFC 791, 3.2).</summary>
    public const int MinimumMtu = 68;

    /// <summary>Bytes of a frame beside its data: the header of Ethernet and two VLAN tags.</summary>
    public const int FrameOverhead = 22;

    /// <summary>Bytes of the longest frame that is still to be cut: 64 KiB of IP, and what is before it.</summary>
    public const int LongestFrame = ushort.MaxValue + FrameOverhead;

    /// <summary>Bytes of the data of a frame that the other end takes without cutting: <see cref="MinimumMtu"/> to <see cref="MaximumMtu"/>.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>Bytes of the longest frame, its header and data that is still to be cut included.</summary>
    public int MaximumFrameLength { get; init; } = 1518;

    /// <summary>What may be left to do for frames that are sent.</summary>
    public NetOffloads SendOffloads { get; init; }

    /// <summary>What may be left to do for frames that are received, where the receiver accepts it.</summary>
    public NetOffloads ReceiveOffloads { get; init; }

    /// <exception cref="ArgumentOutOfRangeException">An option is no MTU.</exception>
    internal static void ValidateMtu(int mtu, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(mtu, MinimumMtu, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(mtu, MaximumMtu, name);
    }
}
