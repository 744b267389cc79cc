using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Fd;

/// <summary>
/// UML's <c>fd</c>: a descriptor that is open already, one frame without any header in each message or, where it is no socket, in each read and write.
/// </summary>
public sealed record FdOptions : NetTransportOptions
{
    /// <summary>
    /// The descriptor: a socket that keeps messages apart (datagrams or records), or a device such as a tap without a header. It is duplicated, and
    /// stays the caller's; it no longer blocks.
    /// </summary>
    public required int Descriptor { get; init; }

    internal override void Validate()
    {
        base.Validate();
        ArgumentOutOfRangeException.ThrowIfNegative(Descriptor, nameof(Descriptor));
    }

    internal override INetTransport Open(TransportScope scope)
    {
        string name = $"fd {Descriptor}";
        int copy = Fcntl.Control(Descriptor, Fcntl.Duplicate, 0);
        if (copy < 0)
        {
            throw HostError.OnOpen($"The descriptor {Descriptor} cannot be used", Marshal.GetLastPInvokeError());
        }

        SafeFileHandle descriptor = scope.Own(new SafeFileHandle(copy, ownsHandle: true));
        HostSocket.StopBlocking(descriptor, $"The descriptor {Descriptor}");
        return Open(scope, descriptor, Describe(name), BatchDepth);
    }

    /// <summary>Frames without a header over a descriptor that is owned already.</summary>
    internal static DescriptorTransport Open(TransportScope scope, SafeHandle descriptor, NetTransportFeatures features, int depth)
    {
        DescriptorKind kind = HostSocket.GetKind(descriptor) switch
        {
            null => DescriptorKind.File,
            Socket.Datagram => DescriptorKind.Datagrams,
            Socket.SequencedPacket => DescriptorKind.Connection,
            _ => throw new NetTransportException(
                $"{features.Name} is a socket that does not keep frames apart: use one of datagrams or of records (SOCK_DGRAM, SOCK_SEQPACKET), or the transport 'stream'."),
        };
        Polling.PolledDescriptor polled = scope.Poll(descriptor);
        return new DescriptorTransport(
            features, scope, new DescriptorSender(features.Name, polled, kind, depth), new DescriptorReceiver(features.Name, polled, kind, depth));
    }
}
