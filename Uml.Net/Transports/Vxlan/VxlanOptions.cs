using System.Net;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Vxlan;

/// <summary>Ethernet over VXLAN (RFC 7348) to one peer, such as Linux's <c>vxlan</c> with a <c>remote</c>; needs no privilege.</summary>
public sealed record VxlanOptions : IpTunnelOptions
{
    /// <summary>The port of VXLAN (IANA).</summary>
    public const int DefaultPort = 4789;

    /// <summary>The largest identifier of a network.</summary>
    public const int MaximumNetwork = 0xFF_FFFF;

    /// <summary>The identifier of the network (VNI), 0 to <see cref="MaximumNetwork"/>. The spelling <c>vni</c>.</summary>
    public required int Network { get; init; }

    /// <summary>The port of UDP that we receive at and send from, 1 to 65535. UML would call it <c>srcport</c>.</summary>
    public int SourcePort { get; init; } = DefaultPort;

    /// <summary>The port of UDP that the peer receives at, 1 to 65535. UML would call it <c>dstport</c>.</summary>
    public int DestinationPort { get; init; } = DefaultPort;

    internal override void Validate()
    {
        base.Validate();
        SocketPlace.ValidatePort(SourcePort, 1, nameof(SourcePort));
        SocketPlace.ValidatePort(DestinationPort, 1, nameof(DestinationPort));
        ArgumentOutOfRangeException.ThrowIfNegative(Network, nameof(Network));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Network, MaximumNetwork, nameof(Network));
    }

    internal override INetTransport Open(TransportScope scope)
    {
        (IPAddress source, IPAddress destination) = Resolve();
        byte[] peer = HostAddress.Ip(destination, DestinationPort);
        SafeFileHandle socket = HostSocket.Open(scope, HostAddress.Family(source), Socket.Datagram, 0);
        HostSocket.Bind(socket, HostAddress.Ip(source, SourcePort), $"{new IPEndPoint(source, SourcePort)} (srcport={SourcePort})");
        HostSocket.WidenReceiveBuffer(socket);
        PolledDescriptor polled = scope.Poll(socket);
        NetTransportFeatures features = Describe($"vxlan {destination}");
        FrameHeader header = new VxlanHeader(Network, peer);

        // Not connected: a peer chooses its port by the flow within (RFC 7348, 5).
        return new DescriptorTransport(
            features,
            scope,
            new DescriptorSender(features.Name, polled, DescriptorKind.Datagrams, BatchDepth, header, peer),
            new DescriptorReceiver(features.Name, polled, DescriptorKind.Datagrams, BatchDepth, header, MessageExtra.Source));
    }
}
