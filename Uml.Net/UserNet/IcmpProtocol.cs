using System.Buffers.Binary;
using System.Net.Sockets;
using Uml.Net.Packets;

namespace Uml.Net.UserNet;

/// <summary>ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, by the network itself and to the outside, and word that a port is shut.</summary>
internal sealed class IcmpProtocol(NetworkStack stack)
{
    public const byte Request4 = 8, Reply4 = 0, Request6 = 128, Reply6 = 129;

    private const byte Unreachable4 = 3, PortCode4 = 3, Unreachable6 = 1, PortCode6 = 4;
    private const int HeaderLength = 8;

    public void Receive(in InboundPacket packet)
    {
        if (packet.Length < HeaderLength || !IsChecksumRight(packet))
        {
            stack.CountMalformed();
            return;
        }

        if (!packet.Source.IsIp4 && (!stack.Addresses.HasIp6 || stack.Neighbours.ReceiveIcmp6(packet)))
        {
            return;
        }

        byte request = packet.Source.IsIp4 ? Request4 : Request6;
        if (packet.Head[0] != request || packet.Head[1] != 0 || packet.Destination.IsMulticast || !stack.Addresses.IsGuest(packet.Source))
        {
            return;
        }

        if (stack.Addresses.IsOwn(packet.Destination))
        {
            Echo(packet);
        }
        else if (!stack.Addresses.IsLocal(packet.Destination))
        {
            Ask(packet);
        }
    }

    /// <summary>Tells a guest that nobody is at a port. Fields that are not known any more are made up: it looks at addresses and ports.</summary>
    public void SendPortUnreachable(FlowKey key)
    {
        if (!stack.Neighbours.TryFind(key.Guest.Address, out ulong mac))
        {
            return;
        }

        bool isIp4 = key.Guest.Address.IsIp4;
        int header = isIp4 ? FrameLayout.Ip4Length : FrameLayout.Ip6Length;
        Span<byte> message = stackalloc byte[HeaderLength + header + FrameLayout.UdpLength];
        message.Clear();
        (message[0], message[1]) = isIp4 ? (Unreachable4, PortCode4) : (Unreachable6, PortCode6);
        IpHeader.Write(message[HeaderLength..], key.Guest.Address, key.Remote.Address, FrameLayout.Udp, FrameLayout.UdpLength);
        Span<byte> udp = message[(HeaderLength + header)..];
        BinaryPrimitives.WriteUInt16BigEndian(udp, key.Guest.Port);
        BinaryPrimitives.WriteUInt16BigEndian(udp[2..], key.Remote.Port);
        BinaryPrimitives.WriteUInt16BigEndian(udp[4..], FrameLayout.UdpLength);
        InternetAddress source = stack.Addresses.IsOwn(key.Remote.Address) ? key.Remote.Address : isIp4 ? stack.Addresses.Gateway : stack.Addresses.Gateway6;
        Send(source, key.Guest.Address, mac, message);
    }

    /// <summary>Sends a message, whose checksum is made here.</summary>
    public void Send(InternetAddress source, InternetAddress destination, ulong mac, Span<byte> message)
    {
        if (!source.IsIp4)
        {
            stack.SendIcmp6(source, destination, mac, message);
            return;
        }

        message.Slice(2, sizeof(ushort)).Clear();
        InternetChecksum.Write(message[2..], InternetChecksum.Add(message));
        stack.SendPacket(source, destination, mac, IpHeader.Icmp4, message);
    }

    private static bool IsChecksumRight(in InboundPacket packet) => packet.Source.IsIp4
        ? InternetChecksum.Complete(InternetChecksum.Add(packet.Data(0))) == 0
        : packet.IsChecksumRight();

    private void Echo(in InboundPacket packet)
    {
        Span<byte> message = stack.Udp.Scratch.AsSpan(0, packet.Length);
        packet.Data(0).CopyTo(message);
        message[0] = packet.Source.IsIp4 ? Reply4 : Reply6;
        Send(packet.Destination, packet.Source, packet.Mac, message);
    }

    private void Ask(in InboundPacket packet)
    {
        FlowKey key = new(
            new InternetEndPoint(packet.Source, BinaryPrimitives.ReadUInt16BigEndian(packet.Head[4..])),
            new InternetEndPoint(packet.Destination, EchoFlow.Port));
        UdpFlow? flow = stack.Udp.Find(key);
        if (flow is null)
        {
            EchoFlow made = new(stack, key);
            if (!OperatingSystem.IsLinux() || !stack.Options.Policy.Allows(key.Remote, stack.Udp.Names.FindNames(packet.Destination)) || !made.TryOpen())
            {
                return;
            }

            stack.Udp.Add(made);
            flow = made;
        }

        stack.Udp.Touch(flow);
        Span<byte> message = stack.Udp.Scratch.AsSpan(0, packet.Length);
        packet.Data(0).CopyTo(message);
        flow.Send(message);
    }
}

/// <summary>Echoes of somebody outside, by a socket that Linux allows to those in net.ipv4.ping_group_range (icmp(7)); the kernel sets identifiers.</summary>
internal sealed class EchoFlow(NetworkStack stack, FlowKey key) : UdpFlow(stack, key), IDatagramOwner
{
    /// <summary>No port of UDP: nothing else is asked at it.</summary>
    public const ushort Port = 0;

    private const int HeaderLength = 8;

    private DatagramSocket? _socket;

    public override long Timeout => 30_000;

    public bool TryOpen()
    {
        ProtocolType protocol = Key.Remote.Address.IsIp4 ? ProtocolType.Icmp : ProtocolType.IcmpV6;
        _socket = DatagramSocket.TryConnect(Stack, this, Key.Remote.ToIPEndPoint(), protocol);
        return _socket is not null;
    }

    public override void Send(ReadOnlySpan<byte> data) => _socket!.Send(data);

    public override void Close() => _socket?.Dispose();

    public void OnDatagram(Span<byte> data)
    {
        byte reply = Key.Remote.Address.IsIp4 ? IcmpProtocol.Reply4 : IcmpProtocol.Reply6;
        if (data.Length >= HeaderLength && data[0] == reply && Stack.Neighbours.TryFind(Key.Guest.Address, out ulong mac))
        {
            BinaryPrimitives.WriteUInt16BigEndian(data[4..], Key.Guest.Port);
            Stack.Icmp.Send(Key.Remote.Address, Key.Guest.Address, mac, data);
        }
    }

    public void OnUnreachable()
    {
        // The guest's ping waits for an answer that does not come, and says so.
    }
}
