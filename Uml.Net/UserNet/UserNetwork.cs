using System.Net;
using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.UserNet;

/// <summary>
/// A network for guests that needs no privilege and nothing installed: a card's other end is a small TCP/IP stack, which is the gateway, leases
/// addresses, answers names, and turns connections and datagrams into those of sockets of the host.
/// </summary>
/// <remarks>
/// Several machines share one by a switch between them and it. Frames are handled on the threads that send and receive them. Fragments of guests
/// are dropped.
/// </remarks>
public sealed class UserNetwork : INetTransport
{
    private readonly NetworkStack _stack;
    private readonly List<HostForward> _forwards = [];

    /// <summary>Makes a network.</summary>
    /// <param name="options">What it is like.</param>
    /// <exception cref="ArgumentException">An option is out of its range; the message says which.</exception>
    /// <exception cref="NetTransportException">A port of the host cannot be forwarded; the message names it.</exception>
    public UserNetwork(UserNetworkOptions? options = null)
    {
        Options = options ?? new UserNetworkOptions();
        Options.Validate();
        Features = new NetTransportFeatures(Options.Name)
        {
            Mtu = Options.Mtu,
            MaximumFrameLength = ushort.MaxValue + FrameLayout.EthernetLength,
            SendOffloads = NetOffloads.All,
            ReceiveOffloads = NetOffloads.Checksum | NetOffloads.Tcp4 | NetOffloads.Tcp6,
        };
        _stack = new NetworkStack(Options);
        try
        {
            foreach (PortForward forward in Options.Forwards)
            {
                Forward(forward);
            }
        }
        catch
        {
            Close();
            throw;
        }
    }

    /// <summary>What it is like.</summary>
    public UserNetworkOptions Options { get; }

    /// <inheritdoc/>
    public NetTransportFeatures Features { get; }

    /// <summary>Ports of the host that lead to guests.</summary>
    public IReadOnlyList<HostForward> Forwards
    {
        get
        {
            lock (_stack.Gate)
            {
                return [.. _forwards.Where(forward => !forward.IsDisposed)];
            }
        }
    }

    /// <summary>Connections of TCP that there are.</summary>
    public int TcpConnectionCount
    {
        get
        {
            lock (_stack.Gate)
            {
                return _stack.Tcp.Count;
            }
        }
    }

    /// <summary>Flows of UDP, of names and of ping that there are.</summary>
    public int UdpFlowCount
    {
        get
        {
            lock (_stack.Gate)
            {
                return _stack.Udp.Count;
            }
        }
    }

    /// <summary>Frames of guests that were dropped because they were wrong, or fragments.</summary>
    public long MalformedFrames => _stack.Malformed;

    /// <summary>Frames for guests that were lost because too many waited.</summary>
    public long LostFrames => _stack.Lost;

    /// <summary>Bytes of memory that connections have for data.</summary>
    public long BufferedBytes
    {
        get
        {
            lock (_stack.Gate)
            {
                return _stack.Pool.Used;
            }
        }
    }

    /// <summary>Forwards a port of the host, or a Unix socket, to a guest.</summary>
    /// <param name="forward">What, where to.</param>
    /// <returns>The forward, which tells the port, and can be disposed.</returns>
    /// <exception cref="NetTransportException">The port is taken, or not to be opened; the message names it.</exception>
    public HostForward Forward(PortForward forward)
    {
        ArgumentNullException.ThrowIfNull(forward);
        HostForward started = HostForward.Start(_stack, forward);
        lock (_stack.Gate)
        {
            if (!_stack.IsDisposed)
            {
                _forwards.RemoveAll(static other => other.IsDisposed);
                _forwards.Add(started);
                return started;
            }
        }

        started.Dispose();
        throw new ObjectDisposedException(nameof(UserNetwork));
    }

    /// <summary>Connects to a port of a guest, without a port of the host.</summary>
    /// <param name="port">The guest's port.</param>
    /// <param name="guest">The guest's address; null for the first that is leased.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="IOException">Nothing listens there, or the guest does not answer; the message says which.</exception>
    /// <exception cref="OperationCanceledException">The attempt was ended.</exception>
    public async ValueTask<UserNetworkStream> ConnectAsync(int port, IPAddress? guest = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, ushort.MaxValue);
        InternetAddress address = guest is null ? new InternetAddress(_stack.Addresses.FirstLease) : InternetAddress.From(guest);
        if (!_stack.Addresses.IsGuest(address))
        {
            throw new ArgumentException($"{address} is no address that a guest of the network {Options.Network} can have.", nameof(guest));
        }

        StreamTcpFlow flow = Connect(new InternetEndPoint(address, (ushort)port));
        try
        {
            await flow.Connected.WaitAsync(cancellationToken).ConfigureAwait(false);
            flow.ThrowIfEnded();
        }
        catch
        {
            flow.Dispose();
            throw;
        }

        return new UserNetworkStream(flow);
    }

    /// <summary>Listens for connections of guests, without a port of the host.</summary>
    /// <param name="port">The port that guests connect to.</param>
    /// <param name="address">
    /// The address that guests connect to: any of the network that no guest has, or any outside, whose port is then this one's; null for the gateway's.
    /// </param>
    /// <exception cref="NetTransportException">Something listens there already.</exception>
    public UserNetworkListener Listen(int port, IPAddress? address = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, ushort.MaxValue);
        InternetEndPoint endPoint = new(address is null ? _stack.Addresses.Gateway : InternetAddress.From(address), (ushort)port);
        UserNetworkListener listener = new(_stack, endPoint);
        lock (_stack.Gate)
        {
            ObjectDisposedException.ThrowIf(_stack.IsDisposed, this);
            _stack.Tcp.Listen(endPoint, listener);
        }

        return listener;
    }

    /// <inheritdoc/>
    public void AcceptOffloads(NetOffloads offloads)
    {
        const NetOffloads needChecksum = NetOffloads.Tcp4 | NetOffloads.Tcp6;
        if ((offloads & ~Features.ReceiveOffloads) != 0 || ((offloads & needChecksum) != 0 && (offloads & NetOffloads.Checksum) == 0))
        {
            throw new ArgumentException($"The network {Options.Name} can leave {Features.ReceiveOffloads} to its receiver, those of TCP with the checksum only; not {offloads}.", nameof(offloads));
        }

        lock (_stack.Gate)
        {
            _stack.Accepted = offloads;
        }
    }

    /// <inheritdoc/>
    public int Send(ReadOnlySpan<NetFrame> frames)
    {
        _stack.Input(frames);
        return frames.Length;
    }

    /// <inheritdoc/>
    public int Receive(ReadOnlySpan<NetFrame> frames) => _stack.Output(frames);

    /// <inheritdoc/>
    public ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default) => cancellationToken.IsCancellationRequested
        ? ValueTask.FromCanceled<bool>(cancellationToken)
        : ValueTask.FromResult(!_stack.IsDisposed);

    /// <inheritdoc/>
    public ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default) => _stack.Receivable.WaitAsync(cancellationToken);

    /// <summary>Ends all connections and forwards.</summary>
    public ValueTask DisposeAsync()
    {
        Close();
        return ValueTask.CompletedTask;
    }

    private StreamTcpFlow Connect(InternetEndPoint guest)
    {
        lock (_stack.Gate)
        {
            ObjectDisposedException.ThrowIf(_stack.IsDisposed, this);
            InternetAddress gateway = guest.Address.IsIp4 ? _stack.Addresses.Gateway : _stack.Addresses.Gateway6;
            FlowKey key = _stack.Tcp.FindFree(guest, new InternetEndPoint(gateway, 0))
                ?? throw new NetTransportException($"All ports of the network {Options.Name} have a connection to {guest}: dispose some.");
            StreamTcpFlow flow = new(_stack, key);
            _stack.Tcp.Add(flow);
            flow.Tcp.Connect(_stack.Now);
            _stack.SetTimer();
            return flow;
        }
    }

    private void Close()
    {
        _stack.Dispose();
        foreach (HostForward forward in Forwards)
        {
            forward.Dispose();
        }
    }
}
