using System.Net;
using Uml.Net.Frames;

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
}
