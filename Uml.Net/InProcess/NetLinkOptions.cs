using Uml.Net.Frames;

namespace Uml.Net.InProcess;

/// <summary>What a <see cref="NetLink"/> is like.</summary>
public sealed class NetLinkOptions
{
    /// <summary>What messages call it.</summary>
    public string Name { get; init; } = "link";

    /// <summary>Bytes of the data of a frame that needs no cutting: 68 to 65,520.</summary>
    public int Mtu { get; init; } = NetTransportFeatures.MaximumMtu;

    /// <summary>Bytes of frames on the way in each direction, with what they take to be kept: 512 KiB to 1 GiB, rounded up to a power of two.</summary>
    public int BufferSize { get; init; } = 2 << 20;

    internal void Validate()
    {
        NetTransportFeatures.ValidateMtu(Mtu, nameof(Mtu));
        InProcessFeatures.ValidateBufferSize(BufferSize, nameof(BufferSize));
    }
}
