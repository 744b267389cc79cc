using Uml.Net.Frames;
using Uml.Net.Polling;

namespace Uml.Net.Transports.Descriptors;

/// <summary>What all transports that use descriptors of the host can be told.</summary>
public abstract record NetTransportOptions
{
    /// <summary>The most frames of one call of the host.</summary>
    public const int MaximumDepth = 1024;

    /// <summary>Frames that one call of the host sends or receives at most, 1 to <see cref="MaximumDepth"/>. UML calls it <c>depth</c>.</summary>
    public int Depth { get; init; } = 64;

    /// <summary>Whether one call of the host moves several frames, where the host can. UML calls it <c>vec</c>.</summary>
    public bool IsVectored { get; init; } = true;

    /// <summary>Bytes of a frame's data, <see cref="NetTransportFeatures.MinimumMtu"/> to <see cref="NetTransportFeatures.MaximumMtu"/>. UML calls it <c>mtu</c>.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>
    /// Whether checksums and segmentation may be left to the host and to the receiver, where the transport can carry them (tap, hybrid, raw). The
    /// others complete every frame. UML calls it <c>gro</c>.
    /// </summary>
    public bool UsesOffloads { get; init; } = true;

    /// <summary>Opens the transport.</summary>
    /// <param name="poller">Waits for it, and stays the caller's; null for a thread of its own.</param>
    /// <returns>The transport, which the caller disposes of.</returns>
    /// <exception cref="ArgumentException">An option has no such value.</exception>
    /// <exception cref="NetTransportException">The host refuses; the message says what to do.</exception>
    public INetTransport Open(NetPoller? poller = null)
    {
        Validate();
        TransportScope scope = new(poller);
        try
        {
            return Open(scope);
        }
        catch
        {
            scope.Dispose();
            throw;
        }
    }

    internal abstract INetTransport Open(TransportScope scope);

    internal virtual void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(Depth, 1, nameof(Depth));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Depth, MaximumDepth, nameof(Depth));
        NetTransportFeatures.ValidateMtu(Mtu, nameof(Mtu));
    }

    /// <summary>Frames of one call, with <see cref="IsVectored"/> in mind.</summary>
    internal int BatchDepth => IsVectored ? Depth : 1;

    /// <summary>What a transport is that completes every frame.</summary>
    internal NetTransportFeatures Describe(string name) => new(name) { Mtu = Mtu, MaximumFrameLength = Mtu + NetTransportFeatures.FrameOverhead };
}
