using System.Net;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Multicast;

/// <summary>
/// UML's legacy <c>mcast</c>, which QEMU's <c>-netdev socket,mcast=</c> speaks too: one frame, without any header, in each datagram of UDP to a group.
/// All members of the group are one network.
/// </summary>
public sealed record MulticastOptions : NetTransportOptions
{
    private const int IpLevel = 0, TimeToLiveOption = 33, LoopOption = 34, AddMembership = 35, InterfaceOption = 32;

    /// <summary>The group, a multicast address of IPv4. UML's own is 239.192.168.1.</summary>
    public string Group { get; init; } = "239.192.168.1";

    /// <summary>The port of UDP, 1 to 65535. UML's own is 1102.</summary>
    public int Port { get; init; } = 1102;

    /// <summary>Our address on the interface that is used; null for the one that the host chooses.</summary>
    public string? Source { get; init; }

    /// <summary>How many routers frames pass at most, 0 to 255: 0 stays on this host, 1 in its network. UML's own is 1.</summary>
    public int TimeToLive { get; init; } = 1;

    internal override void Validate()
    {
        base.Validate();
        SocketPlace.ValidatePort(Port, 1, nameof(Port));
        ArgumentOutOfRangeException.ThrowIfNegative(TimeToLive, nameof(TimeToLive));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(TimeToLive, byte.MaxValue, nameof(TimeToLive));
    }

    internal override INetTransport Open(TransportScope scope)
    {
        SocketPlace group = SocketPlace.Find(Group, Port, isIp6: false);
        if (!group.IsMulticast)
        {
            throw new NetTransportException($"{Group} is no multicast address: use one of 224.0.0.0 to 239.255.255.255, such as 239.192.168.1.");
        }

        IPAddress source = Source is null ? IPAddress.Any : HostAddress.Resolve(Source, isIp6: false);
        SafeFileHandle receiving = HostSocket.Open(scope, group.Family, Socket.Datagram, 0), sending = HostSocket.Open(scope, group.Family, Socket.Datagram, 0);
        HostSocket.SetOption(receiving, Socket.SocketLevel, Socket.ReuseAddress, 1, "to share the port with other members");
        HostSocket.Bind(receiving, group.Address, group.Text);
        Join(receiving, group, source);
        HostSocket.WidenReceiveBuffer(receiving);

        // Members on this host get what we send; we too, and know it by our port.
        HostSocket.SetOption(sending, IpLevel, LoopOption, 1, "to send to members on this host");
        HostSocket.SetOption(sending, IpLevel, TimeToLiveOption, TimeToLive, $"a time to live of {TimeToLive}");
        SetAddress(sending, InterfaceOption, source.GetAddressBytes(), $"to send from {source}");
        HostSocket.Connect(sending, group.Address, group.Text);
        NetTransportFeatures features = Describe($"mcast {group.Text}");
        PolledDescriptor sender = scope.Poll(sending), receiver = scope.Poll(receiving);
        return new DescriptorTransport(
            features,
            scope,
            new DescriptorSender(features.Name, sender, DescriptorKind.Datagrams, BatchDepth),
            new DescriptorReceiver(
                features.Name, receiver, DescriptorKind.Datagrams, BatchDepth, new EchoFilter(HostSocket.GetName(sending)), MessageExtra.Source));
    }

    private static void Join(SafeFileHandle socket, SocketPlace group, IPAddress source)
    {
        // struct ip_mreq: the group, and our address.
        byte[] request = [.. group.Address.AsSpan(4, 4), .. source.GetAddressBytes()];
        SetAddress(socket, AddMembership, request, $"to join the group {group.Text} (is there a route to it? 'ip route')");
    }

    private static void SetAddress(SafeFileHandle socket, int option, byte[] value, string what)
    {
        if (Socket.SetOption(socket, IpLevel, option, value, value.Length) != 0)
        {
            throw HostError.OnOpen($"The host refuses {what}", System.Runtime.InteropServices.Marshal.GetLastPInvokeError());
        }
    }
}

/// <summary>No header, but who sent a frame counts: what we sent ourselves is no frame of others.</summary>
internal sealed class EchoFilter(byte[] own) : FrameHeader
{
    public override int SendLength => 0;

    public override void Write(Span<byte> header, NetFrame frame, ulong number)
    {
    }

    public override int Read(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra, NetFrame frame) => extra.SequenceEqual(own) ? Drop : 0;
}
