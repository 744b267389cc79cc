using System.Net;
using Uml.Net.Packets;
using Uml.Net.UserNet.Dns;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.UserNet;

/// <summary>All connections of guests.</summary>
internal sealed class TcpProtocol : IDisposable
{
    private readonly NetworkStack _stack;
    private readonly Dictionary<FlowKey, TcpFlow> _flows = [];
    private readonly LinkedList<TcpFlow> _byUse = new();
    private readonly Dictionary<InternetEndPoint, UserNetworkListener> _listeners = [];
    private readonly HashSet<TcpFlow> _forgotten = [];
    private int _lastPort;

    public TcpProtocol(NetworkStack stack)
    {
        _stack = stack;
        Settings4 = new TcpSettings { Pool = stack.Pool, SegmentSize = stack.Options.Mtu - FrameLayout.Ip4Length - FrameLayout.TcpLength };
        Settings6 = Settings4 with { SegmentSize = stack.Options.Mtu - FrameLayout.Ip6Length - FrameLayout.TcpLength };
    }

    public TcpSettings Settings4 { get; }

    public TcpSettings Settings6 { get; }

    public int Count => _flows.Count;

    public void Receive(in InboundPacket packet)
    {
        if (!TcpHeader.TryRead(packet.Head, out TcpHeader header, out int length) || length > packet.Length || !packet.IsChecksumRight())
        {
            _stack.CountMalformed();
            return;
        }

        FlowKey key = new(new InternetEndPoint(packet.Source, header.Source), new InternetEndPoint(packet.Destination, header.Destination));
        const TcpFlags kind = TcpFlags.Syn | TcpFlags.Ack | TcpFlags.Reset;
        bool isWish = (header.Flags & kind) == TcpFlags.Syn;
        if (_flows.TryGetValue(key, out TcpFlow? flow))
        {
            if (!isWish || !flow.Tcp.CanBeReplaced(header))
            {
                Touch(flow);
                flow.Tcp.Receive(header, packet.Data(length), _stack.Now);
                return;
            }

            flow.Tcp.Drop();
        }

        if (isWish && MakeFlow(key) is { } made)
        {
            Add(made);
            made.Tcp.Open(header, _stack.Now);
            made.Open();
        }
        else if ((header.Flags & TcpFlags.Reset) == 0)
        {
            Refuse(key, header, packet.Length - length, packet.Mac);
        }
    }

    /// <summary>Adds a flow. When there are too many the one that was quiet for the longest time goes.</summary>
    public void Add(TcpFlow flow)
    {
        if (_flows.Count >= _stack.Options.MaximumTcpConnections)
        {
            TcpFlow oldest = _byUse.First!.Value;
            SendReset(oldest);
            oldest.Tcp.Drop();
        }

        _flows.Add(flow.Key, flow);
        _byUse.AddLast(flow.Place);
    }

    /// <summary>Finds a port that a connection to a guest can come from.</summary>
    /// <param name="guest">Where to.</param>
    /// <param name="remote">Where from; with the port that is best, or 0.</param>
    /// <returns>Null when all are taken.</returns>
    public FlowKey? FindFree(InternetEndPoint guest, InternetEndPoint remote)
    {
        // RFC 6335, 6: those that nobody is given.
        const int first = 49152, count = ushort.MaxValue + 1 - first;
        FlowKey key = new(guest, remote);
        for (int i = 0; key.Remote.Port == 0 || _flows.ContainsKey(key); i++)
        {
            if (i == count)
            {
                return null;
            }

            _lastPort = (_lastPort + 1) % count;
            key = new FlowKey(guest, remote with { Port = (ushort)(first + _lastPort) });
        }

        return key;
    }

    public void Remove(TcpFlow flow)
    {
        if (_flows.Remove(flow.Key))
        {
            _byUse.Remove(flow.Place);
        }

        _stack.Timers.Remove(flow);
        _stack.Neighbours.Forget(flow);
    }

    /// <summary>A flow that is over has still something to pass on.</summary>
    public void Linger(TcpFlow flow) => _forgotten.Add(flow);

    public void EndLingering(TcpFlow flow) => _forgotten.Remove(flow);

    /// <exception cref="Frames.NetTransportException">Somebody listens there.</exception>
    public void Listen(InternetEndPoint endPoint, UserNetworkListener listener)
    {
        if (!_listeners.TryAdd(endPoint, listener))
        {
            throw new Frames.NetTransportException($"Something listens at {endPoint} of the network {_stack.Options.Name} already: choose another port, or dispose the other listener.");
        }

        if (_stack.Addresses.IsLocal(endPoint.Address) && !_stack.Addresses.IsOwn(endPoint.Address))
        {
            _stack.Neighbours.Virtual.Add(endPoint.Address);
        }
    }

    public void EndListening(InternetEndPoint endPoint)
    {
        _listeners.Remove(endPoint);
        if (!_listeners.Keys.Any(other => other.Address == endPoint.Address))
        {
            _stack.Neighbours.Virtual.Remove(endPoint.Address);
        }
    }

    public void Dispose()
    {
        foreach (UserNetworkListener listener in _listeners.Values.ToArray())
        {
            listener.End();
        }

        foreach (TcpFlow flow in _flows.Values.ToArray())
        {
            flow.Tcp.Drop();
        }

        foreach (TcpFlow flow in _forgotten.ToArray())
        {
            flow.Close();
        }
    }

    private void Touch(TcpFlow flow)
    {
        if (_byUse.Last != flow.Place)
        {
            _byUse.Remove(flow.Place);
            _byUse.AddLast(flow.Place);
        }
    }

    /// <summary>What answers a guest's wish for a connection; null for nobody.</summary>
    private IncomingTcpFlow? MakeFlow(FlowKey key)
    {
        InternetEndPoint remote = key.Remote;
        if (_listeners.TryGetValue(remote, out UserNetworkListener? listener))
        {
            return listener.TryMake(_stack, key);
        }

        if (_stack.Addresses.IsNameServer(remote.Address))
        {
            // Long answers. With a list of what is allowed each question has to be looked at, which is done for datagrams only.
            return remote.Port == DnsMessage.Port && _stack.Options.Policy.Allowed.Count == 0 && _stack.Udp.Names.GetServer() is { } server
                ? new SocketTcpFlow(_stack, key, server)
                : null;
        }

        if (_stack.Addresses.IsHost(remote.Address))
        {
            return _stack.Options.Policy.AllowsHost
                ? new SocketTcpFlow(_stack, key, new IPEndPoint(remote.Address.IsIp4 ? IPAddress.Loopback : IPAddress.IPv6Loopback, remote.Port))
                : null;
        }

        return !_stack.Addresses.IsLocal(remote.Address) && _stack.Options.Policy.Allows(remote, _stack.Udp.Names.FindNames(remote.Address))
            ? new SocketTcpFlow(_stack, key, remote.ToIPEndPoint())
            : null;
    }

    /// <summary>RFC 9293, 3.10.7.1.</summary>
    private void Refuse(FlowKey key, in TcpHeader header, int dataLength, ulong mac)
    {
        const TcpFlags counted = TcpFlags.Syn | TcpFlags.Fin;
        bool hasAck = (header.Flags & TcpFlags.Ack) != 0;
        TcpHeader reset = new()
        {
            Flags = hasAck ? TcpFlags.Reset : TcpFlags.Reset | TcpFlags.Ack,
            Sequence = hasAck ? header.Acknowledgment : 0,
            Acknowledgment = hasAck ? 0 : header.Sequence + (uint)(dataLength + System.Numerics.BitOperations.PopCount((uint)(header.Flags & counted))),
        };
        SendHeader(key, reset, mac);
    }

    private void SendReset(TcpFlow flow)
    {
        if (_stack.Neighbours.TryFind(flow.Guest.Address, out ulong mac))
        {
            SendHeader(flow.Key, flow.Tcp.MakeReset(), mac);
        }
    }

    private void SendHeader(FlowKey key, TcpHeader header, ulong mac)
    {
        Span<byte> bytes = stackalloc byte[TcpHeader.MaximumLength];
        (header.Source, header.Destination) = (key.Remote.Port, key.Guest.Port);
        bytes = bytes[..header.Write(bytes)];
        ulong sum = IpHeader.SumPseudoHeader(key.Remote.Address, key.Guest.Address, FrameLayout.Tcp, bytes.Length);
        InternetChecksum.Write(bytes[TcpHeader.ChecksumField..], InternetChecksum.Add(bytes, sum));
        _stack.SendPacket(key.Remote.Address, key.Guest.Address, mac, FrameLayout.Tcp, bytes);
    }
}
