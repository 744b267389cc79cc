using System.Net;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Polling;

namespace Uml.Net.Transports.Descriptors;

/// <summary>What transports of Ethernet within IP have in common.</summary>
public abstract record IpTunnelOptions : NetTransportOptions
{
    /// <summary>The peer's address or name. UML calls it <c>dst</c>.</summary>
    public required string Destination { get; init; }

    /// <summary>Our own address or name; null for the one that the host chooses. UML calls it <c>src</c>.</summary>
    public string? Source { get; init; }

    /// <summary>The version of IP; null for that of the addresses. UML calls it <c>v6</c>.</summary>
    public bool? IsIp6 { get; init; }

    /// <summary>The two addresses, of one version of IP.</summary>
    internal (IPAddress Source, IPAddress Destination) Resolve()
    {
        IPAddress destination = HostAddress.Resolve(Destination, IsIp6);
        bool isIp6 = HostAddress.Family(destination) == Interop.Socket.FamilyIp6;
        IPAddress source = Source is null ? (isIp6 ? IPAddress.IPv6Any : IPAddress.Any) : HostAddress.Resolve(Source, IsIp6);
        return HostAddress.Family(source) == HostAddress.Family(destination)
            ? (source, destination)
            : throw new NetTransportException($"The addresses {source} and {destination} are of different versions of IP: give two of one.");
    }

    /// <summary>Makes the transport of a socket that is bound.</summary>
    /// <param name="scope">What is closed with it.</param>
    /// <param name="socket">The socket.</param>
    /// <param name="peer">The peer, with its port where there are ports.</param>
    /// <param name="name">What messages call the transport.</param>
    /// <param name="header">What stands before each frame.</param>
    /// <param name="isRaw">Whether it is a raw socket, which with IPv4 gives the header of IP too (raw(7)).</param>
    internal INetTransport Connect(TransportScope scope, SafeFileHandle socket, IPEndPoint peer, string name, FrameHeader header, bool isRaw)
    {
        HostSocket.Connect(socket, HostAddress.Ip(peer.Address, peer.Port), $"{peer.Address}");
        HostSocket.WidenReceiveBuffer(socket);
        PolledDescriptor polled = scope.Poll(socket);
        bool hasIpHeader = isRaw && HostAddress.Family(peer.Address) == Interop.Socket.FamilyIp4;
        return new DescriptorTransport(
            Describe(name),
            scope,
            new DescriptorSender(name, polled, DescriptorKind.Datagrams, BatchDepth, header),
            new DescriptorReceiver(name, polled, DescriptorKind.Datagrams, BatchDepth, hasIpHeader ? new Ip4RawHeader(header) : header));
    }
}
