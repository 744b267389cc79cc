using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Bess;

/// <summary>
/// UML's <c>bess</c>: a socket of records (SOCK_SEQPACKET) to a switch such as BESS, slirp4netns (<c>--target-type=bess</c>) or gvproxy
/// (<c>-listen-bess</c>), one frame in each record.
/// </summary>
public sealed record BessOptions : NetTransportOptions
{
    /// <summary>The path of the switch's socket, at most 107 bytes; with '@' first, an abstract name. UML calls it <c>dst</c>.</summary>
    public required string Destination { get; init; }

    /// <summary>The path that our socket is bound to, as for <see cref="Destination"/>; null for none. UML calls it <c>src</c>.</summary>
    public string? Source { get; init; }

    internal override INetTransport Open(TransportScope scope)
    {
        byte[] destination = HostAddress.Unix(Destination);
        SafeFileHandle socket = HostSocket.Open(scope, Socket.FamilyUnix, Socket.SequencedPacket, 0);
        if (Source is not null)
        {
            SocketFile.Bind(scope, socket, Source);
        }

        HostSocket.Connect(socket, destination, $"'{Destination}'");
        PolledDescriptor polled = scope.Poll(socket);
        NetTransportFeatures features = Describe($"bess {Destination}");

        // BESS may confirm a connection with a record of the four bytes "yes" and zero, which is shorter than any frame, and dropped as such.
        return new DescriptorTransport(
            features,
            scope,
            new DescriptorSender(features.Name, polled, DescriptorKind.Connection, BatchDepth),
            new DescriptorReceiver(features.Name, polled, DescriptorKind.Connection, BatchDepth));
    }
}
