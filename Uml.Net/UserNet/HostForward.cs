using System.Net;
using System.Net.Sockets;
using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.UserNet;

/// <summary>A port of the host that leads to a guest, as long as it is not disposed.</summary>
public abstract class HostForward : IDisposable
{
    private readonly CancellationTokenSource _stop = new();

    private protected HostForward(NetworkStack stack, PortForward options, InternetAddress guest, Socket socket)
    {
        (Stack, Options, Socket) = (stack, options, socket);
        Guest = new InternetEndPoint(guest, (ushort)options.GuestPort);
        EndPoint = socket.LocalEndPoint!;
    }

    /// <summary>What is forwarded, as it was asked for.</summary>
    public PortForward Options { get; }

    /// <summary>Where the host listens, with the port that was chosen.</summary>
    public EndPoint EndPoint { get; }

    /// <summary>Whether it was disposed.</summary>
    internal bool IsDisposed => _stop.IsCancellationRequested;

    private protected NetworkStack Stack { get; }

    private protected InternetEndPoint Guest { get; }

    private protected Socket Socket { get; }

    /// <summary>Cancelled when the forward is disposed.</summary>
    private protected CancellationToken Stop => _stop.Token;

    /// <summary>Ends the forward. Connections that there are go on.</summary>
    public void Dispose()
    {
        if (IsDisposed)
        {
            return;
        }

        _stop.Cancel();
        Socket.Dispose();
        if (EndPoint is UnixDomainSocketEndPoint)
        {
            File.Delete(EndPoint.ToString()!);
        }

        _stop.Dispose();
        GC.SuppressFinalize(this);
    }

    internal static HostForward Start(NetworkStack stack, PortForward options)
    {
        options.Validate();
        InternetAddress guest = options.Guest is null ? new InternetAddress(stack.Addresses.FirstLease) : InternetAddress.From(options.Guest);
        if (!stack.Addresses.IsGuest(guest))
        {
            throw new NetTransportException($"{options.Host} cannot be forwarded to {guest}, which no guest of the network {stack.Options.Network} can have: give an address of it, or none for the first that is leased.");
        }

        Socket? socket = null;
        try
        {
            bool isUnix = options.Host is UnixDomainSocketEndPoint, isUdp = options.Protocol == PortForwardProtocol.Udp;
            socket = new Socket(options.Host.AddressFamily, isUdp ? SocketType.Dgram : SocketType.Stream, isUnix ? ProtocolType.Unspecified : isUdp ? ProtocolType.Udp : ProtocolType.Tcp);
            socket.Bind(options.Host);
            if (isUdp)
            {
                return new UdpForward(stack, options, guest, socket);
            }

            if (isUnix && !OperatingSystem.IsWindows())
            {
                // Before anyone can connect, which is possible when it listens.
                File.SetUnixFileMode(options.Host.ToString()!, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            socket.Listen();
            return new TcpForward(stack, options, guest, socket);
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            socket?.Dispose();
            throw new NetTransportException(Explain(options, e), e);
        }
    }

    private static string Explain(PortForward options, Exception e)
    {
        string what = $"The host's {options.Host} ({options.Protocol}) cannot be forwarded to port {options.GuestPort} of the guest: ";
        return what + (e is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse }
            ? "something else has it. Choose another port, or 0 for one that is free, or end what uses this one."
            : e is SocketException { SocketErrorCode: SocketError.AccessDenied }
                ? "it is not this user's to open (ports below 1024 often are not). Choose another port."
                : $"{e.Message}. Choose an address of this host.");
    }

    /// <summary>Who the guest sees: the one outside, or the gateway for whoever has no address that the guest could answer to.</summary>
    private protected InternetEndPoint GetRemote(EndPoint? client)
    {
        InternetAddress gateway = Guest.Address.IsIp4 ? Stack.Addresses.Gateway : Stack.Addresses.Gateway6;
        if (client is not IPEndPoint endPoint)
        {
            return new InternetEndPoint(gateway, 0);
        }

        InternetEndPoint remote = InternetEndPoint.From(endPoint);
        bool isSeen = remote.Address.IsIp4 == Guest.Address.IsIp4 && !IPAddress.IsLoopback(endPoint.Address) && !remote.Address.IsLinkLocal && !Stack.Addresses.IsLocal(remote.Address);
        return isSeen ? remote : remote with { Address = gateway };
    }
}

/// <summary>Connections.</summary>
internal sealed class TcpForward : HostForward
{
    /// <summary>Between attempts to accept when the host has no sockets left.</summary>
    private static readonly TimeSpan AcceptDelay = TimeSpan.FromMilliseconds(100);

    public TcpForward(NetworkStack stack, PortForward options, InternetAddress guest, Socket listener)
        : base(stack, options, guest, listener) => _ = AcceptAsync(Stop);

    private async Task AcceptAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                Socket accepted = await Socket.AcceptAsync(stop).ConfigureAwait(false);
                Connect(accepted);
            }
            catch (SocketException) when (!stop.IsCancellationRequested)
            {
                // The host has no sockets left, which passes.
                await Task.Delay(AcceptDelay, Stack.Options.TimeProvider, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                // The forward was disposed.
                return;
            }
        }
    }

    private void Connect(Socket accepted)
    {
        EndPoint? client;
        try
        {
            client = accepted.RemoteEndPoint;
            accepted.Blocking = false;
            if (client is IPEndPoint)
            {
                accepted.NoDelay = true;
            }
        }
        catch (SocketException)
        {
            // The client is gone already.
            accepted.Dispose();
            return;
        }

        lock (Stack.Gate)
        {
            if (Stack.IsDisposed || Stack.Tcp.FindFree(Guest, GetRemote(client)) is not { } key)
            {
                accepted.Dispose();
                return;
            }

            SocketTcpFlow flow = new(Stack, key, accepted);
            Stack.Tcp.Add(flow);
            flow.Tcp.Connect(Stack.Now);
            Stack.SetTimer();
        }
    }
}

/// <summary>Datagrams: each client is a flow of its own.</summary>
internal sealed class UdpForward : HostForward
{
    public UdpForward(NetworkStack stack, PortForward options, InternetAddress guest, Socket socket)
        : base(stack, options, guest, socket) => _ = ReceiveAsync(Stop);

    public void Send(ReadOnlySpan<byte> data, EndPoint client)
    {
        try
        {
            _ = Socket.SendTo(data, SocketFlags.None, client);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client is gone, or the forward: datagrams may be lost.
            Stack.CountMalformed();
        }
    }

    private async Task ReceiveAsync(CancellationToken stop)
    {
        byte[] buffer = new byte[ushort.MaxValue];
        EndPoint any = new IPEndPoint(Socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                SocketReceiveFromResult result = await Socket.ReceiveFromAsync(buffer, any, stop).ConfigureAwait(false);
                Deliver(buffer.AsSpan(0, result.ReceivedBytes), result.RemoteEndPoint);
            }
            catch (SocketException) when (!stop.IsCancellationRequested)
            {
                // A datagram of before did not arrive; the next may.
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                // The forward was disposed.
                return;
            }
        }
    }

    private void Deliver(ReadOnlySpan<byte> data, EndPoint client)
    {
        lock (Stack.Gate)
        {
            if (Stack.IsDisposed)
            {
                return;
            }

            FlowKey key = new(Guest, GetRemote(client));
            if (Stack.Udp.Find(key) is not ForwardedUdpFlow flow)
            {
                flow = new ForwardedUdpFlow(Stack, key, this, client);
                if (Stack.Udp.Find(key) is not null)
                {
                    return;
                }

                Stack.Udp.Add(flow);
            }

            flow.Pass(data);
            Stack.SetTimer();
        }
    }
}

/// <summary>Datagrams between a guest and a client of a forward.</summary>
internal sealed class ForwardedUdpFlow(NetworkStack stack, FlowKey key, UdpForward forward, EndPoint client) : UdpFlow(stack, key)
{
    public void Pass(ReadOnlySpan<byte> data) => Deliver(data);

    public override void Send(ReadOnlySpan<byte> data) => forward.Send(data, client);

    public override void Close()
    {
    }
}
