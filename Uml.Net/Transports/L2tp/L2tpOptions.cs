using System.Net;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.L2tp;

/// <summary>
/// UML's <c>l2tpv3</c>: Ethernet over L2TPv3 (RFC 3931, RFC 4719) with sessions that both ends are told of beforehand, over UDP or IP itself.
/// </summary>
/// <remarks>
/// Linux (<c>ip l2tp add session</c>) has a sublayer of four bytes unless it is told <c>l2spec_type none</c>: then <see cref="HasCounter"/> is needed
/// here.
/// </remarks>
public sealed record L2tpOptions : IpTunnelOptions
{
    /// <summary>The port of L2TP (IANA).</summary>
    public const int DefaultPort = 1701;

    private const int Protocol = 115;

    /// <summary>Whether frames are in UDP, which needs no privilege; else in IP, which needs CAP_NET_RAW. UML calls it <c>udp</c>.</summary>
    public bool UsesUdp { get; init; }

    /// <summary>The port of UDP that we receive at, 1 to 65535. UML calls it <c>srcport</c>.</summary>
    public int SourcePort { get; init; } = DefaultPort;

    /// <summary>The port of UDP that the peer receives at, 1 to 65535. UML calls it <c>dstport</c>.</summary>
    public int DestinationPort { get; init; } = DefaultPort;

    /// <summary>The number that stands in what we receive, not 0. UML calls it <c>rx_session</c>.</summary>
    public required uint ReceiveSession { get; init; }

    /// <summary>The number that the peer wants to find in what it receives, not 0. UML calls it <c>tx_session</c>.</summary>
    public required uint SendSession { get; init; }

    /// <summary>The cookie in what we receive; null for none. UML calls it <c>rx_cookie</c>.</summary>
    public ulong? ReceiveCookie { get; init; }

    /// <summary>The cookie that the peer wants; null where there is no <see cref="ReceiveCookie"/>. UML calls it <c>tx_cookie</c>.</summary>
    public ulong? SendCookie { get; init; }

    /// <summary>Whether cookies have 8 bytes, else 4. UML calls it <c>cookie64</c>.</summary>
    public bool HasLongCookies { get; init; }

    /// <summary>
    /// Whether there are four bytes more that count: where RFC 3931 has its default sublayer. UML counts in all 32 bits; we in the 24 that the sublayer
    /// has, and never say that the receiver should look. UML calls it <c>counter</c>.
    /// </summary>
    public bool HasCounter { get; init; }

    /// <summary>Whether the counter stays 0. UML calls it <c>pin_counter</c>.</summary>
    public bool IsCounterPinned { get; init; }

    internal override void Validate()
    {
        base.Validate();
        SocketPlace.ValidatePort(SourcePort, 1, nameof(SourcePort));
        SocketPlace.ValidatePort(DestinationPort, 1, nameof(DestinationPort));
        ArgumentOutOfRangeException.ThrowIfZero(ReceiveSession, nameof(ReceiveSession));
        ArgumentOutOfRangeException.ThrowIfZero(SendSession, nameof(SendSession));
        if (ReceiveCookie is null != SendCookie is null)
        {
            throw new ArgumentException("One direction has a cookie and the other none: give both (rx_cookie and tx_cookie), or neither.", nameof(ReceiveCookie));
        }

        if (!HasLongCookies && (ReceiveCookie > uint.MaxValue || SendCookie > uint.MaxValue))
        {
            throw new ArgumentOutOfRangeException(nameof(ReceiveCookie), "A cookie of 4 bytes is at most 0xffffffff: use a smaller one, or 8 bytes (cookie64=1).");
        }
    }

    internal override INetTransport Open(TransportScope scope)
    {
        (IPAddress source, IPAddress destination) = Resolve();
        SafeFileHandle socket = HostSocket.Open(
            scope,
            HostAddress.Family(source),
            UsesUdp ? Socket.Datagram : Socket.Raw,
            UsesUdp ? 0 : Protocol,
            $"{HostError.NeedsRawSockets}, or use UDP (udp=1)");
        HostSocket.Bind(
            socket, HostAddress.Ip(source, UsesUdp ? SourcePort : 0), UsesUdp ? $"{new IPEndPoint(source, SourcePort)} (srcport={SourcePort})" : $"{source}");
        IPEndPoint peer = new(destination, UsesUdp ? DestinationPort : 0);
        return Connect(scope, socket, peer, $"l2tpv3 {destination}", new L2tpHeader(this), isRaw: !UsesUdp);
    }
}
