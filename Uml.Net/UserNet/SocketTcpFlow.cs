using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Uml.Net.Packets;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.UserNet;

/// <summary>A connection that a guest wishes for.</summary>
internal abstract class IncomingTcpFlow(NetworkStack stack, FlowKey key) : TcpFlow(stack, key)
{
    /// <summary>Sees to it that the wish is granted, or refused.</summary>
    public abstract void Open();
}

/// <summary>
/// A connection between a guest and a socket of the host. Sockets are .NET's, which has them on every system: they are used without waiting, and
/// the runtime tells when one is ready. Data goes from a guest's frame to the socket, and from the socket to the queue of what the guest has not
/// acknowledged; when the socket is full it waits in the queue of what was received, and the guest's window shrinks.
/// </summary>
internal sealed class SocketTcpFlow : IncomingTcpFlow, IDisposable
{
    /// <summary>Room for more of the guest's that is worth asking the socket again.</summary>
    private const int WorthReading = BlockPool.BlockSize;

    /// <summary>Bytes in one piece that are worth a call.</summary>
    private const int WorthSending = 16 << 10;

    private const int PendingSize = 64 << 10;

    private readonly EndPoint? _target;

    // They need no execution context: nothing of the thread that waits is used where it goes on.
    private readonly SocketAsyncEventArgs _reader = new(true);
    private SocketAsyncEventArgs? _writer;
    private Socket? _socket;
    private byte[]? _pending;
    private bool _isReading, _isWriting, _isHostFinished, _isShut, _isClosed, _isEnded;

    /// <summary>A guest's connection to the outside.</summary>
    public SocketTcpFlow(NetworkStack stack, FlowKey key, IPEndPoint target)
        : base(stack, key)
    {
        _target = target;
        _reader.Completed += OnCompleted;
    }

    /// <summary>A connection from the outside to a guest, which <see cref="TcpConnection.Connect"/> is to be called for.</summary>
    public SocketTcpFlow(NetworkStack stack, FlowKey key, Socket accepted)
        : base(stack, key)
    {
        _socket = accepted;
        _reader.Completed += OnCompleted;
    }

    public override void Open()
    {
        try
        {
            _socket = new Socket(_target!.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false, NoDelay = true };
        }
        catch (SocketException)
        {
            // The host has no more sockets: the guest is refused, and may try again.
            Tcp.Abort(Now);
            return;
        }

        _reader.RemoteEndPoint = _target;
        if (!_socket.ConnectAsync(_reader))
        {
            OnHostConnected();
        }
    }

    public override void OnConnected() => Pull();

    public override int OnData(FrameData data)
    {
        if (_isWriting || _socket is not { } socket)
        {
            return 0;
        }

        int taken = 0;
        Span<byte> scratch = Stack.Udp.Scratch;
        while (taken < data.Length)
        {
            FrameData rest = data.Slice(taken, data.Length - taken);
            ReadOnlySpan<byte> piece = rest.First;
            if (piece.Length < WorthSending && piece.Length < rest.Length)
            {
                // Small pieces, such as a guest's pages: to copy them costs less than a call for each.
                rest.CopyTo(scratch);
                piece = scratch[..Math.Min(rest.Length, scratch.Length)];
            }

            int sent = socket.Send(piece, SocketFlags.None, out SocketError error);
            if (error is not (SocketError.Success or SocketError.WouldBlock))
            {
                Fail();
                return data.Length;
            }

            taken += sent;
            if (sent != piece.Length)
            {
                break;
            }
        }

        return taken;
    }

    public override void OnReceived() => Push();

    public override void OnPeerFinished() => Push();

    public override void OnSendRoom()
    {
        if (!_isReading && (Tcp.Unacknowledged.Length == 0 || Tcp.SendRoom >= WorthReading))
        {
            Pull();
        }
    }

    public override void OnEnded(TcpEnd end)
    {
        _isEnded = true;
        if (end != TcpEnd.Finished)
        {
            Close();
        }
        else if (_isShut)
        {
            Close(isAbrupt: false);
        }
        else
        {
            // The guest is done, and the host has not read all yet.
            Stack.Tcp.Linger(this);
            Push();
        }
    }

    public override void Close() => Close(isAbrupt: true);

    public void Dispose() => Close();

    private void OnCompleted(object? sender, SocketAsyncEventArgs args)
    {
        lock (Stack.Gate)
        {
            if (args == _writer)
            {
                OnWritten();
            }
            else if (_isClosed)
            {
                return;
            }
            else if (args.LastOperation == SocketAsyncOperation.Connect)
            {
                OnHostConnected();
            }
            else
            {
                _isReading = false;
                Pull();
            }

            Stack.SetTimer();
        }
    }

    private void OnHostConnected()
    {
        if (_reader.SocketError == SocketError.Success)
        {
            _reader.RemoteEndPoint = null;
            Tcp.Accept(Now);
        }
        else
        {
            Fail();
        }
    }

    /// <summary>Moves what the host has sent to the guest's queue, as far as there is room.</summary>
    private void Pull()
    {
        while (!_isHostFinished && !_isReading && !_isClosed && Tcp.SendRoom != 0)
        {
            Memory<byte> tail = Tcp.Unacknowledged.GetTail();
            if (tail.IsEmpty)
            {
                // No memory: it goes on when the guest has acknowledged what it has.
                break;
            }

            int read = _socket!.Receive(tail.Span, SocketFlags.None, out SocketError error);
            if (error == SocketError.WouldBlock)
            {
                WaitToRead();
                continue;
            }

            if (error != SocketError.Success)
            {
                Fail();
                return;
            }

            if (read == 0)
            {
                _isHostFinished = true;
                Trim();
                Tcp.Finish(Now);
                return;
            }

            Tcp.Unacknowledged.Extend(read);
        }

        Tcp.OnWritten(Now);
    }

    private void WaitToRead()
    {
        Trim();
        _reader.SetBuffer(default);
        _isReading = _socket!.ReceiveAsync(_reader);
    }

    /// <summary>A connection without data keeps no memory.</summary>
    private void Trim()
    {
        if (Tcp.Unacknowledged.Length == 0)
        {
            Tcp.Unacknowledged.Clear();
        }
    }

    /// <summary>Moves what the guest has sent to the socket, and says that it was all when it was.</summary>
    private void Push()
    {
        while (Tcp.Received.Length != 0 && !_isWriting && !_isClosed)
        {
            Memory<byte> piece = Tcp.Received.Read(0, PendingSize);
            int sent = _socket!.Send(piece.Span, SocketFlags.None, out SocketError error);
            if (error == SocketError.WouldBlock)
            {
                WriteLater(piece.Span);
            }
            else if (error != SocketError.Success)
            {
                Fail();
            }
            else
            {
                Tcp.Consume(sent, Now);
            }
        }

        if (Tcp.IsPeerFinished && Tcp.Received.Length == 0 && !_isWriting && !_isClosed && !_isShut)
        {
            Shut();
        }
    }

    /// <summary>The runtime writes when the socket has room: a copy, as the queue's memory may be another's by then.</summary>
    private void WriteLater(ReadOnlySpan<byte> piece)
    {
        if (_writer is null)
        {
            _writer = new SocketAsyncEventArgs(true);
            _writer.Completed += OnCompleted;
        }

        _pending = ArrayPool<byte>.Shared.Rent(PendingSize);
        piece.CopyTo(_pending);
        _writer.SetBuffer(_pending, 0, piece.Length);
        _isWriting = true;
        Tcp.Consume(piece.Length, Now);
        if (!_socket!.SendAsync(_writer))
        {
            OnWritten();
        }
    }

    private void OnWritten()
    {
        _isWriting = false;
        ArrayPool<byte>.Shared.Return(_pending!);
        _pending = null;
        if (_isClosed)
        {
            _writer!.Dispose();
        }
        else if (_writer!.SocketError != SocketError.Success)
        {
            Fail();
        }
        else
        {
            Push();
        }
    }

    private void Shut()
    {
        _isShut = true;
        try
        {
            _socket!.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The host's side was reset meanwhile.
            Fail();
            return;
        }

        if (_isEnded)
        {
            Close(isAbrupt: false);
        }
    }

    private void Fail()
    {
        Tcp.Abort(Now);
        Close();
    }

    private void Close(bool isAbrupt)
    {
        if (_isClosed)
        {
            return;
        }

        _isClosed = true;
        Stack.Tcp.EndLingering(this);
        if (isAbrupt && _socket is { AddressFamily: not AddressFamily.Unix } socket)
        {
            // The other side is told that this was no orderly end.
            socket.LingerState = new LingerOption(true, 0);
        }

        _socket?.Dispose();
        _reader.Dispose();
        if (!_isWriting)
        {
            _writer?.Dispose();
        }

        Tcp.Received.Clear();
    }
}
