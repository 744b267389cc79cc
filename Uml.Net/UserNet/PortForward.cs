using System.Net;
using System.Net.Sockets;

namespace Uml.Net.UserNet;

/// <summary>What a port forward moves.</summary>
public enum PortForwardProtocol
{
    /// <summary>Connections of TCP, or of a Unix socket.</summary>
    Tcp,

    /// <summary>Datagrams of UDP.</summary>
    Udp,
}

/// <summary>A port of the host, or a Unix socket, that leads to a port of a guest.</summary>
/// <param name="GuestPort">The guest's port, 1 to 65,535.</param>
public sealed record PortForward(int GuestPort)
{
    /// <summary>
    /// Where the host listens: the loopback address unless set, so that nobody else reaches the guest, with a port that is free.
    /// A <see cref="UnixDomainSocketEndPoint"/> makes a socket that only this user may use, and that is gone with the forward.
    /// </summary>
    public EndPoint Host { get; init; } = new IPEndPoint(IPAddress.Loopback, 0);

    /// <summary>What is forwarded.</summary>
    public PortForwardProtocol Protocol { get; init; }

    /// <summary>The guest's address; null for the first that is leased.</summary>
    public IPAddress? Guest { get; init; }

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(GuestPort, 1, nameof(GuestPort));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(GuestPort, ushort.MaxValue, nameof(GuestPort));
        if (Protocol == PortForwardProtocol.Udp ? Host is not IPEndPoint : Host is not (IPEndPoint or UnixDomainSocketEndPoint))
        {
            throw new ArgumentException($"{Host} cannot be forwarded by {Protocol}: give an address and a port, or with TCP a Unix socket.", nameof(Host));
        }
    }
}
