using System.Net;
using System.Net.Sockets;
using Uml.Net.UserNet.Dns;

namespace Uml.Net.UserNet;

/// <summary>Datagrams between a guest and somebody. Forgotten when it is quiet for some time.</summary>
internal abstract class UdpFlow : ITimed
{
    protected UdpFlow(NetworkStack stack, FlowKey key)
    {
        (Stack, Key) = (stack, key);
        Place = new LinkedListNode<UdpFlow>(this);
    }

    public FlowKey Key { get; }

    /// <summary>Its place among all, the one that was quiet for the longest time being the first.</summary>
    public LinkedListNode<UdpFlow> Place { get; }

    public int TimerIndex { get; set; } = -1;

    public long TimerKey { get; set; }

    public long TimerDue { get; set; } = long.MaxValue;

    /// <summary>Milliseconds that it may be quiet.</summary>
    public virtual long Timeout => (long)Stack.Options.UdpTimeout.TotalMilliseconds;

    protected NetworkStack Stack { get; }

    public void OnTime(long now) => Stack.Udp.Remove(this);

    /// <summary>Passes on what the guest has sent.</summary>
    public abstract void Send(ReadOnlySpan<byte> data);

    /// <summary>Gives up what it has of the host's.</summary>
    public abstract void Close();

    /// <summary>Passes on what was sent to the guest.</summary>
    protected void Deliver(ReadOnlySpan<byte> data)
    {
        Stack.Udp.Touch(this);
        if (Stack.Neighbours.TryFind(Key.Guest.Address, out ulong mac))
        {
            Stack.SendUdp(Key.Remote, Key.Guest, mac, data);
        }
        else
        {
            Stack.Neighbours.Ask(Key.Guest.Address);
        }
    }
}

/// <summary>Datagrams between a guest and a socket of the host, which takes none of others.</summary>
internal sealed class SocketUdpFlow(NetworkStack stack, FlowKey key) : UdpFlow(stack, key), IDatagramOwner
{
    private DatagramSocket? _socket;

    public bool TryOpen(IPEndPoint target)
    {
        _socket = DatagramSocket.TryConnect(Stack, this, target, ProtocolType.Udp);
        return _socket is not null;
    }

    public override void Send(ReadOnlySpan<byte> data) => _socket!.Send(data);

    public override void Close() => _socket!.Dispose();

    public void OnDatagram(Span<byte> data) => Deliver(data);

    public void OnUnreachable() => Stack.Icmp.SendPortUnreachable(Key);
}

/// <summary>Questions of a guest that a name server outside answers.</summary>
internal sealed class NameFlow(NetworkStack stack, FlowKey key) : UdpFlow(stack, key), IDatagramOwner
{
    /// <summary>Without an answer for so long another server is asked.</summary>
    private const int Patience = 2000;

    private DatagramSocket? _socket;
    private long _askedAt = -1;
    private bool _isUnreachable;

    public override long Timeout => 15_000;

    public override void Send(ReadOnlySpan<byte> data)
    {
        bool isSlow = _isUnreachable || (_askedAt >= 0 && Stack.Now - _askedAt >= Patience);
        if (isSlow || _socket is null)
        {
            Close();
            (_isUnreachable, _askedAt) = (false, -1);
            IPEndPoint? server = Stack.Udp.Names.GetServer(isAnother: isSlow);
            _socket = server is null ? null : DatagramSocket.TryConnect(Stack, this, server, ProtocolType.Udp);
        }

        if (_socket is null)
        {
            Fail(data);
            return;
        }

        _askedAt = _askedAt < 0 ? Stack.Now : _askedAt;
        _socket.Send(data);
    }

    public override void Close() => _socket?.Dispose();

    public void OnDatagram(Span<byte> data)
    {
        _askedAt = -1;
        if (Stack.Udp.Names.TakeAnswer(data))
        {
            Deliver(data);
        }
    }

    /// <summary>Nobody is there: the guest asks again, and then somebody else is asked.</summary>
    public void OnUnreachable() => _isUnreachable = true;

    private void Fail(ReadOnlySpan<byte> question)
    {
        if (DnsMessage.TryReadQuestion(question, out DnsQuestion asked))
        {
            Deliver(DnsMessage.Answer(question, asked, DnsCode.ServerFailure, []));
        }
    }
}
