namespace Uml.Net.Frames;

/// <summary>What a transport is and can do.</summary>
/// <param name="Name">What messages call it, such as <c>tap0</c>.</param>
public sealed record NetTransportFeatures(string Name)
{
    /// <summary>The longest MTU of Ethernet over IP: 65,520 bytes, so that a frame has no more than 65,535 with its header.</summary>
    public const int MaximumMtu = 65520;

    /// <summary>Bytes of the data of a frame that the other end takes without cutting: 68 to <see cref="MaximumMtu"/>.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>Bytes of the longest frame, its header and data that is still to be cut included.</summary>
    public int MaximumFrameLength { get; init; } = 1518;

    /// <summary>What may be left to do for frames that are sent.</summary>
    public NetOffloads SendOffloads { get; init; }

    /// <summary>What may be left to do for frames that are received, where the receiver accepts it.</summary>
    public NetOffloads ReceiveOffloads { get; init; }
}
