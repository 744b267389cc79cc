using System.Buffers.Binary;
using System.Net;
using Uml.Net.Packets;
using Uml.Net.UserNet.Dhcp;
using Uml.Net.UserNet.Dns;

namespace Uml.Net.UserNet;

/// <summary>All datagrams of guests: to services of the network, and to the outside.</summary>
internal sealed class UdpProtocol(NetworkStack stack) : IDisposable
{
    private readonly Dictionary<FlowKey, UdpFlow> _flows = [];
    private readonly LinkedList<UdpFlow> _byUse = new();

    /// <summary>Room for a datagram that is made.</summary>
    public byte[] Scratch { get; } = new byte[ushort.MaxValue + 1 + FrameLayout.UdpLength];

    /// <summary>Room for a datagram that is received from the host.</summary>
    public byte[] ReceiveBuffer { get; } = new byte[ushort.MaxValue];

    /// <summary>Room for a fragment.</summary>
    public byte[] FragmentBuffer { get; } = new byte[FrameLayout.EthernetLength + stack.Options.Mtu];

    public NameService Names { get; } = new(stack);

    public int Count => _flows.Count;

    public void Receive(in InboundPacket packet)
    {
        ReadOnlySpan<byte> head = packet.Head;
        int length = head.Length < FrameLayout.UdpLength ? 0 : BinaryPrimitives.ReadUInt16BigEndian(head[4..]);
        bool hasChecksum = length != 0 && BinaryPrimitives.ReadUInt16BigEndian(head[6..]) != 0;

        // IPv6 has no datagrams without a checksum (RFC 8200, 8.1).
        if (length < FrameLayout.UdpLength || length != packet.Length || (hasChecksum ? !packet.IsChecksumRight() : !packet.Source.IsIp4))
        {
            stack.CountMalformed();
            return;
        }

        FlowKey key = new(
            new InternetEndPoint(packet.Source, BinaryPrimitives.ReadUInt16BigEndian(head)),
            new InternetEndPoint(packet.Destination, BinaryPrimitives.ReadUInt16BigEndian(head[2..])));
        FrameData data = packet.Data(FrameLayout.UdpLength);
        int size = packet.DatagramSize == 0 ? data.Length : packet.DatagramSize;
        int start = 0;
        do
        {
            FrameData part = data.Slice(start, Math.Min(size, data.Length - start));
            Span<byte> bytes = Scratch.AsSpan(FrameLayout.UdpLength, part.Length);
            part.CopyTo(bytes);
            Receive(key, bytes, packet);
            start += part.Length;
        }
        while (start < data.Length);
    }

    /// <summary>Adds a flow. When there are too many the one that was quiet for the longest time goes.</summary>
    public void Add(UdpFlow flow)
    {
        if (_flows.Count >= stack.Options.MaximumUdpFlows)
        {
            Remove(_byUse.First!.Value);
        }

        _flows.Add(flow.Key, flow);
        _byUse.AddLast(flow.Place);
        stack.Timers.Set(flow, stack.Now + flow.Timeout);
    }

    public UdpFlow? Find(FlowKey key) => _flows.GetValueOrDefault(key);

    /// <summary>A flow is used.</summary>
    public void Touch(UdpFlow flow)
    {
        if (flow.Place.List is not null)
        {
            _byUse.Remove(flow.Place);
            _byUse.AddLast(flow.Place);
            stack.Timers.Set(flow, stack.Now + flow.Timeout);
        }
    }

    public void Remove(UdpFlow flow)
    {
        if (_flows.Remove(flow.Key))
        {
            _byUse.Remove(flow.Place);
            stack.Timers.Remove(flow);
            flow.Close();
        }
    }

    public void Dispose()
    {
        foreach (UdpFlow flow in _flows.Values.ToArray())
        {
            Remove(flow);
        }
    }

    private void Receive(FlowKey key, ReadOnlySpan<byte> data, in InboundPacket packet)
    {
        if (key.Remote.Port == DhcpMessage.ServerPort && (packet.Destination.IsMulticast || packet.Destination == stack.Addresses.Gateway))
        {
            stack.Dhcp.Receive(data);
            return;
        }

        if (packet.Destination.IsMulticast || !stack.Addresses.IsGuest(packet.Source))
        {
            return;
        }

        if (_flows.TryGetValue(key, out UdpFlow? flow))
        {
            Touch(flow);
        }

        bool isName = key.Remote.Port == DnsMessage.Port && stack.Addresses.IsNameServer(key.Remote.Address);
        if (isName && IsAnswered(key, data, packet.Mac))
        {
            return;
        }

        if (flow is null)
        {
            flow = isName ? new NameFlow(stack, key) : TryMakeFlow(key);
            if (flow is null)
            {
                stack.Icmp.SendPortUnreachable(key);
                return;
            }

            Add(flow);
        }

        flow.Send(data);
    }

    /// <summary>Whether a question is answered already, or is none.</summary>
    private bool IsAnswered(FlowKey key, ReadOnlySpan<byte> data, ulong mac)
    {
        if (DnsMessage.IsResponse(data) || !DnsMessage.TryReadQuestion(data, out DnsQuestion question))
        {
            stack.CountMalformed();
            return true;
        }

        bool isAnswered = Names.TryAnswer(data, question, out byte[] answer);
        if (isAnswered)
        {
            stack.SendUdp(key.Remote, key.Guest, mac, answer);
        }

        return isAnswered;
    }

    private SocketUdpFlow? TryMakeFlow(FlowKey key)
    {
        InternetEndPoint remote = key.Remote;
        IPEndPoint? target = null;
        if (stack.Addresses.IsHost(remote.Address))
        {
            target = stack.Options.Policy.AllowsHost ? new IPEndPoint(remote.Address.IsIp4 ? IPAddress.Loopback : IPAddress.IPv6Loopback, remote.Port) : null;
        }
        else if (remote.Port != 0 && !stack.Addresses.IsLocal(remote.Address) && stack.Options.Policy.Allows(remote, Names.FindNames(remote.Address)))
        {
            target = remote.ToIPEndPoint();
        }

        SocketUdpFlow flow = new(stack, key);
        return target is not null && flow.TryOpen(target) ? flow : null;
    }
}
