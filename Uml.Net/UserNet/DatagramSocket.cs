using System.Net;
using System.Net.Sockets;

namespace Uml.Net.UserNet;

/// <summary>Who a socket for datagrams belongs to. Called within the gate.</summary>
internal interface IDatagramOwner
{
    /// <summary>A datagram has come.</summary>
    /// <param name="data">Its data, in memory that is used again.</param>
    void OnDatagram(Span<byte> data);

    /// <summary>The host says that a datagram did not arrive.</summary>
    void OnUnreachable();
}

/// <summary>A socket of the host for datagrams to and from one address.</summary>
internal sealed class DatagramSocket : IDisposable
{
    /// <summary>Datagrams that are moved before others may have the gate.</summary>
    private const int Batch = 64;

    private readonly NetworkStack _stack;
    private readonly IDatagramOwner _owner;
    private readonly Socket _socket;

    // It needs no execution context: nothing of the thread that waits is used where it goes on.
    private readonly SocketAsyncEventArgs _waiter = new(true);
    private bool _isDisposed;

    private DatagramSocket(NetworkStack stack, IDatagramOwner owner, Socket socket)
    {
        (_stack, _owner, _socket) = (stack, owner, socket);

        _waiter.SetBuffer(new byte[1]);
        _waiter.Completed += OnReadable;
    }

    /// <summary>Makes a socket.</summary>
    /// <returns>Null where the host has none left, forbids it, or has no way there.</returns>
    public static DatagramSocket? TryConnect(NetworkStack stack, IDatagramOwner owner, IPEndPoint remote, ProtocolType protocol)
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(remote.AddressFamily, SocketType.Dgram, protocol) { Blocking = false };
            socket.Connect(remote);
        }
        catch (SocketException)
        {
            socket?.Dispose();
            return null;
        }

        DatagramSocket made = new(stack, owner, socket);
        made.Receive();
        return made;
    }

    /// <summary>Sends a datagram, or loses it.</summary>
    public void Send(ReadOnlySpan<byte> data)
    {
        _ = _socket.Send(data, SocketFlags.None, out SocketError error);
        if (error == SocketError.ConnectionRefused)
        {
            // That was the one before; this one is tried once more.
            _owner.OnUnreachable();
            _ = _isDisposed ? 0 : _socket.Send(data, SocketFlags.None, out _);
        }
    }

    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _socket.Dispose();
            _waiter.Dispose();
        }
    }

    private void OnReadable(object? sender, SocketAsyncEventArgs args)
    {
        lock (_stack.Gate)
        {
            TellError();
            Receive();
            _stack.SetTimer();
        }
    }

    private void Receive()
    {
        while (!_isDisposed)
        {
            for (int i = 0; i < Batch && !_isDisposed; i++)
            {
                int length = _socket.Receive(_stack.Udp.ReceiveBuffer, SocketFlags.None, out SocketError error);
                if (error == SocketError.WouldBlock)
                {
                    break;
                }

                if (error == SocketError.Success)
                {
                    _owner.OnDatagram(_stack.Udp.ReceiveBuffer.AsSpan(0, length));
                }
                else
                {
                    _owner.OnUnreachable();
                }
            }

            if (_isDisposed)
            {
                return;
            }

            // Looks for a byte and leaves it there: a wait that needs no memory. Each wait overwrites the flags with those of what came.
            _waiter.SocketFlags = SocketFlags.Peek;
            if (_socket.ReceiveAsync(_waiter))
            {
                return;
            }

            TellError();
        }
    }

    /// <summary>The host tells an error once: maybe to the one who waits.</summary>
    private void TellError()
    {
        if (!_isDisposed && _waiter.SocketError != SocketError.Success)
        {
            _owner.OnUnreachable();
        }
    }
}
