using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Streams;

/// <summary>
/// Frames with their length before each in a stream, over TCP or a Unix socket: what QEMU's <c>-netdev stream</c> and <c>socket</c>, passt and gvproxy
/// speak.
/// </summary>
public sealed record StreamOptions : NetTransportOptions
{
    private const int TcpLevel = 6, NoDelay = 1;

    /// <summary>
    /// Where the other end listens, or where to listen: a path (with '@' first, an abstract name), or, where there is a <see cref="Port"/>, a host's
    /// address or name. UML would call it <c>dst</c>, or <c>src</c> of one who listens.
    /// </summary>
    public required string Address { get; init; }

    /// <summary>The port of TCP, 1 to 65535; null for a path.</summary>
    public int? Port { get; init; }

    /// <summary>Whether to listen. One connection at a time is served; others are closed at once. Until there is one, the cable is unplugged.</summary>
    public bool IsServer { get; init; }

    /// <summary>How frames are told apart.</summary>
    public StreamFraming Framing { get; init; }

    /// <summary>The version of IP, where <see cref="Address"/> is a name; null for any.</summary>
    public bool? IsIp6 { get; init; }

    internal override void Validate()
    {
        base.Validate();
        SocketPlace.ValidatePort(Port, 1, nameof(Port));
        if (!Enum.IsDefined(Framing))
        {
            throw new ArgumentOutOfRangeException(nameof(Framing), Framing, "There is no such framing.");
        }
    }

    internal override INetTransport Open(TransportScope scope)
    {
        SocketPlace place = SocketPlace.Find(Address, Port, IsIp6);
        SafeFileHandle socket = HostSocket.Open(scope, place.Family, Socket.Stream, 0);
        NetTransportFeatures features = Describe($"stream {Address}");
        features = features with { MaximumFrameLength = Math.Min(features.MaximumFrameLength, StreamLength.MaximumFrame(Framing)) };
        StreamTransport transport = new(features, scope, Framing, BatchDepth);
        if (!IsServer)
        {
            HostSocket.Connect(socket, place.Address, place.Text);
            Prepare(socket, place);
            transport.Connect(socket);
            return transport;
        }

        if (place.IsPath)
        {
            SocketFile.Bind(scope, socket, Address);
        }
        else
        {
            HostSocket.TrySetOption(socket, Socket.SocketLevel, Socket.ReuseAddress, 1);
            HostSocket.Bind(socket, place.Address, place.Text, "ports below 1024 need CAP_NET_BIND_SERVICE: name a higher one");
        }

        if (Socket.Listen(socket, backlog: 1) != 0)
        {
            throw HostError.OnOpen($"Nobody can connect with {place.Text}", Marshal.GetLastPInvokeError());
        }

        transport.Listen(scope.Poll(socket), connection => Prepare(connection, place));
        return transport;
    }

    private static void Prepare(SafeFileHandle connection, SocketPlace place)
    {
        if (!place.IsPath)
        {
            HostSocket.TrySetOption(connection, TcpLevel, NoDelay, 1);
        }
    }
}
