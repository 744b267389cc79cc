using Uml.Net.Packets;
using Uml.Net.Polling;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.UserNet;

/// <summary>A connection between a guest and the program itself.</summary>
internal sealed class StreamTcpFlow : IncomingTcpFlow
{
    private readonly UserNetworkListener? _listener;
    private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TcpEnd? _end;
    private bool _isClosed;

    /// <param name="listener">Gets it when it is established; null where the program has asked for it.</param>
    public StreamTcpFlow(NetworkStack stack, FlowKey key, UserNetworkListener? listener = null)
        : base(stack, key) => _listener = listener;

    public NetSignal Readable { get; } = new(continueInline: false);

    public NetSignal Writable { get; } = new(continueInline: false);

    /// <summary>Ends when it is established, or will not be.</summary>
    public Task Connected => _connected.Task;

    public override void Open() => Tcp.Accept(Now);

    public override void OnConnected()
    {
        _connected.TrySetResult();
        _listener?.Add(new UserNetworkStream(this));
    }

    public override int OnData(FrameData data) => 0;

    public override void OnReceived() => Readable.Set();

    public override void OnPeerFinished() => Readable.Set();

    public override void OnSendRoom() => Writable.Set();

    public override void OnEnded(TcpEnd end)
    {
        _end = end;
        if (!_connected.Task.IsCompleted)
        {
            _listener?.Forget();
            _connected.TrySetResult();
        }

        Readable.Set();
        Writable.Set();
        if (_isClosed)
        {
            Tcp.Received.Clear();
        }
    }

    public override void Close() => Tcp.Drop();

    /// <summary>Moves what was received.</summary>
    /// <returns>Bytes; 0 at the end; -1 when there is nothing yet.</returns>
    public int Read(Span<byte> buffer)
    {
        lock (Stack.Gate)
        {
            ObjectDisposedException.ThrowIf(_isClosed, typeof(UserNetworkStream));
            int done = 0;
            while (done < buffer.Length && Tcp.Received.Length != 0)
            {
                Memory<byte> piece = Tcp.Received.Read(0, buffer.Length - done);
                piece.Span.CopyTo(buffer[done..]);
                done += piece.Length;
                Tcp.Consume(piece.Length, Now);
            }

            if (done != 0)
            {
                Stack.SetTimer();
                return done;
            }

            if (buffer.Length == 0)
            {
                return Tcp.Received.Length != 0 || Tcp.IsPeerFinished ? 0 : ThrowOrWait();
            }

            return Tcp.IsPeerFinished ? 0 : ThrowOrWait();
        }
    }

    /// <summary>Takes what there is room for.</summary>
    /// <returns>Bytes taken.</returns>
    public int Write(ReadOnlySpan<byte> buffer)
    {
        lock (Stack.Gate)
        {
            ObjectDisposedException.ThrowIf(_isClosed, typeof(UserNetworkStream));
            _ = ThrowOrWait();
            int done = 0;
            while (done < buffer.Length && Tcp.SendRoom != 0)
            {
                Memory<byte> tail = Tcp.Unacknowledged.GetTail();
                if (tail.IsEmpty)
                {
                    break;
                }

                int part = Math.Min(tail.Length, buffer.Length - done);
                buffer.Slice(done, part).CopyTo(tail.Span);
                Tcp.Unacknowledged.Extend(part);
                done += part;
            }

            Tcp.OnWritten(Now);
            Stack.SetTimer();
            return done;
        }
    }

    /// <summary>Says to the guest that nothing follows.</summary>
    public void Finish()
    {
        lock (Stack.Gate)
        {
            Tcp.Finish(Now);
            Stack.SetTimer();
        }
    }

    public void Dispose()
    {
        lock (Stack.Gate)
        {
            if (_isClosed)
            {
                return;
            }

            _isClosed = true;
            Tcp.Abandon(Now);
            Tcp.Received.Clear();
            Readable.Close();
            Writable.Close();
            Stack.SetTimer();
        }
    }

    /// <summary>Throws when the connection was not made.</summary>
    /// <exception cref="IOException">See there.</exception>
    public void ThrowIfEnded()
    {
        lock (Stack.Gate)
        {
            _ = ThrowOrWait();
        }
    }

    private int ThrowOrWait() => _end switch
    {
        null or TcpEnd.Finished => -1,
        TcpEnd.Refused => throw new IOException($"Nothing listens at port {Guest.Port} of the guest {Guest.Address}: start the service in the guest, or wait until it has."),
        TcpEnd.TimedOut => throw new IOException($"The guest {Guest.Address} does not answer (port {Guest.Port}): it may be down, or have another address."),
        TcpEnd.Reset => throw new IOException($"The guest {Guest} has reset the connection."),
        _ => throw new IOException($"The connection with the guest {Guest} was given up by this side: the network {Stack.Options.Name} is closed, or has too many connections."),
    };
}
