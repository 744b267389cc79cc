using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Datagrams;

/// <summary>
/// One frame, without any header, in each datagram, over UDP or between two Unix sockets: what QEMU's <c>-netdev dgram</c> and <c>socket,udp=</c>, and
/// gvproxy's <c>-listen-vfkit</c> speak.
/// </summary>
public sealed record DatagramOptions : NetTransportOptions
{
    /// <summary>
    /// Where we receive: a path (with '@' first, an abstract name), or, where there is a <see cref="SourcePort"/>, one of our addresses. UML would call
    /// it <c>src</c>.
    /// </summary>
    public required string Source { get; init; }

    /// <summary>Where the peer receives: of the same kind. UML would call it <c>dst</c>.</summary>
    public required string Destination { get; init; }

    /// <summary>Our port of UDP, 1 to 65535; null for a path.</summary>
    public int? SourcePort { get; init; }

    /// <summary>The peer's port of UDP, 1 to 65535; null for a path.</summary>
    public int? DestinationPort { get; init; }

    /// <summary>The version of IP; null for that of the addresses.</summary>
    public bool? IsIp6 { get; init; }

    internal override void Validate()
    {
        base.Validate();
        SocketPlace.ValidatePort(SourcePort, 1, nameof(SourcePort));
        SocketPlace.ValidatePort(DestinationPort, 1, nameof(DestinationPort));
        if (SourcePort is null != DestinationPort is null)
        {
            throw new ArgumentException("One end has a port and the other none: give both (srcport and dstport) for UDP, or neither for paths.", nameof(SourcePort));
        }
    }

    internal override INetTransport Open(TransportScope scope)
    {
        SocketPlace source = SocketPlace.Find(Source, SourcePort, IsIp6), destination = SocketPlace.Find(Destination, DestinationPort, IsIp6);
        if (source.Family != destination.Family)
        {
            throw new NetTransportException($"The addresses {source.Text} and {destination.Text} are of different versions of IP: give two of one.");
        }

        SafeFileHandle socket = HostSocket.Open(scope, source.Family, Socket.Datagram, 0);
        NetTransportFeatures features = Describe($"dgram {Destination}");
        if (source.IsPath)
        {
            SocketFile.Bind(scope, socket, Source);
        }
        else
        {
            HostSocket.Bind(socket, source.Address, source.Text, "ports below 1024 need CAP_NET_BIND_SERVICE: name a higher one");
            HostSocket.Connect(socket, destination.Address, destination.Text);
            HostSocket.WidenReceiveBuffer(socket);
        }

        PolledDescriptor polled = scope.Poll(socket);
        DescriptorSender sender = new(features.Name, polled, DescriptorKind.Datagrams, BatchDepth);
        DescriptorReceiver receiver = new(features.Name, polled, DescriptorKind.Datagrams, BatchDepth);
        return source.IsPath
            ? new PathDatagramTransport(features, scope, sender, receiver, socket, destination.Address)
            : new DescriptorTransport(features, scope, sender, receiver);
    }
}
