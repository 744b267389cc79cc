using System.Net;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Gre;

/// <summary>UML's <c>gre</c>: Ethernet over GRE (RFC 2784, RFC 2890; Linux's <c>gretap</c>), which needs CAP_NET_RAW.</summary>
public sealed record GreOptions : IpTunnelOptions
{
    private const int Protocol = 47;

    /// <summary>The key in what we receive; null for none. UML calls it <c>rx_key</c>.</summary>
    public uint? ReceiveKey { get; init; }

    /// <summary>The key that the peer wants; null where there is no <see cref="ReceiveKey"/>. UML calls it <c>tx_key</c>.</summary>
    public uint? SendKey { get; init; }

    /// <summary>Whether both ends number what they send; who receives does not look. UML calls it <c>sequence</c>.</summary>
    public bool HasSequence { get; init; }

    /// <summary>Whether the number stays 0. UML calls it <c>pin_sequence</c>.</summary>
    public bool IsSequencePinned { get; init; }

    /// <summary>The first number: 1, as of UML, or 0, as RFC 2890 has it.</summary>
    public uint FirstSequence { get; init; } = 1;

    internal override void Validate()
    {
        base.Validate();
        if (ReceiveKey is null != SendKey is null)
        {
            throw new ArgumentException("One direction has a key and the other none: give both (rx_key and tx_key), or neither.", nameof(ReceiveKey));
        }
    }

    internal override INetTransport Open(TransportScope scope)
    {
        (IPAddress source, IPAddress destination) = Resolve();
        SafeFileHandle socket = HostSocket.Open(scope, HostAddress.Family(source), Socket.Raw, Protocol);
        HostSocket.Bind(socket, HostAddress.Ip(source, 0), $"{source}");
        return Connect(scope, socket, new IPEndPoint(destination, 0), $"gre {destination}", new GreHeader(this), isRaw: true);
    }
}
